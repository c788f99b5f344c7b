"""The choice of a candidate, and its verdict."""

import numpy as np
import pytest

from automl.continual import paired_bootstrap
from automl.continual.paired_bootstrap import (
    CONFIDENCE,
    PROMOTION_CONFIDENCE,
    Gain,
    GroundTruth,
    allowance,
    gain,
    score,
)
from automl.continual.promotion import Verdict, _best, _in_words, saw_validation


def test_examples_that_a_candidate_was_trained_on_do_not_choose_it():
    assert saw_validation({"made": "refit"})
    assert saw_validation({"made": "updated", "saw_valid": True})
    assert not saw_validation({"made": "updated", "saw_valid": False})
    y = np.arange(80.0)
    memorised = np.where(np.arange(80) < 40, y, y + 3)  # of a model that has seen the first 40
    honest = y + 2
    halves = [np.arange(40, 80, 2), np.arange(41, 80, 2)]
    place, crossed = _best("rmse", GroundTruth(y), [memorised, honest], halves, 40)
    assert place == 1
    assert (crossed == honest).all()
    assert _best("rmse", GroundTruth(y), [memorised, honest], [np.arange(0, 80, 2), np.arange(1, 80, 2)], 40)[0] == 0


def predicted(n_right):
    """Probabilities of 200 examples of the first of two classes, of which the first ones are right."""
    return np.where(np.arange(200)[:, None] < n_right, [0.9, 0.1], [0.1, 0.9])


@pytest.mark.parametrize(
    ("on_new", "on_old", "tolerance", "promoted"),
    [
        (160, 180, 0.0, True),
        (121, 180, 0.0, False),  # one more is chance
        (120, 180, 0.0, False),  # equal
        (100, 180, 0.0, False),
        (100, 200, 0.0, False),  # better on old examples alone
        (160, 179, 0.0, True),  # one less on old ones is chance
        (160, 150, 0.0, False),
        (160, 150, 0.14, False),
        (160, 150, 0.16, True),
        (100, 150, 0.16, False),  # a tolerance is no gain
    ],
)
def test_a_verdict_on_a_model_that_is_right_on_120_new_and_180_old_of_200_each(
    on_new, on_old, tolerance, promoted, monkeypatch
):
    monkeypatch.setattr(paired_bootstrap, "DRAWS", 100)
    truth, ours_new, ours_old = GroundTruth(np.zeros(200, int)), predicted(120), predicted(180)
    theirs_new, theirs_old = predicted(on_new), predicted(on_old)
    ours, theirs = np.concatenate([ours_old, ours_new]), np.concatenate([theirs_old, theirs_new])
    verdict = Verdict(
        gain("accuracy", truth, ours_new, theirs_new, PROMOTION_CONFIDENCE),
        gain("accuracy", truth + truth, ours, theirs, PROMOTION_CONFIDENCE),
        gain("accuracy", truth, theirs_old, ours_old, CONFIDENCE),
        allowance("accuracy", tolerance, score("accuracy", truth, ours_old)),
        200,
    )
    assert (verdict.new.value, verdict.lost.value) == pytest.approx(((on_new - 120) / 200, (180 - on_old) / 200))
    assert verdict.promoted is promoted


NONE, SURELY, PERHAPS = Gain(0.0, 0.0), Gain(0.03, 0.02), Gain(0.03, -0.01)


@pytest.mark.parametrize(
    ("new", "both", "lost", "n_old", "said"),
    [
        (
            SURELY, NONE, NONE, 50,
            "is better in auc by 0.03 on new validation data (likely by 0.02) and no worse on old",
        ),
        (
            PERHAPS, SURELY, NONE, 50,
            "is better in auc by 0.03 on new validation data, on all data likely by 0.02, and no worse on old",
        ),
        (
            PERHAPS, PERHAPS, PERHAPS, 50,
            "is better in auc by 0.03 on new validation data, which may be chance, and worse by 0.03 on old, which may "
            "be chance",
        ),
        (
            Gain(-0.03, -0.05), NONE, SURELY, 50,
            "is worse in auc by 0.03 on new validation data and worse by 0.03 on old (0.01 is allowed)",
        ),
        (NONE, NONE, NONE, 50, "is equal in auc on new validation data and no worse on old"),
        (
            PERHAPS, PERHAPS, NONE, 0,
            "is better in auc by 0.03 on new validation data, which may be chance; there is no test set of the run to "
            "compare on",
        ),
    ],
)  # fmt: skip
def test_a_verdict_in_words(new, both, lost, n_old, said):
    assert _in_words("auc", Verdict(new, both, lost, 0.01, n_old)) == said
