"""Which trainings may be compared: those of equal length, full ones where there are enough."""

from dataclasses import replace

import numpy as np
import pytest

import automl
from automl.analysis.comparable import MIN_COMPARED, barely_explored, chance_of_none, compared
from automl.study.study import Study
from strategies.base import Outcome, Proposal
from strategies.encoding import Encoding

UNIT = {"x": {"float": [0, 1]}, "kind": {"choice": ["a", "b", "c"]}}


def study_of(*rows, max_epochs=9, space=UNIT) -> Study:
    """Trials by (config, losses) or (config, losses, info); one that ends before max_epochs was paused there."""
    study = Study(automl.load_space(space), max_epochs)
    for number, (config, losses, *info) in enumerate(rows):
        proposal = Proposal(number, config, len(losses), *info)
        study.asked(proposal, 0.0)
        study.told(Outcome(proposal, tuple(losses), 1.0), 0.0, 1.0)
    return study


def trials(n, n_epochs, kind="a", start=1.0, low=0.0, high=1.0, info=None):
    """Curves that fall by 0.1 an epoch, from higher up the larger x is."""
    for x in np.linspace(low, high, n):
        losses = [start + float(x) - 0.1 * epoch for epoch in range(n_epochs)]
        yield ({"x": float(x), "kind": kind}, losses, *([info] if info else []))


def test_whole_trainings_are_compared_and_shorter_ones_left_out():
    found = compared(study_of(*trials(MIN_COMPARED, 9), *trials(20, 3)), "loss", maximize=False)
    assert found.whole
    assert [trial.number for trial in found.trials] == list(range(MIN_COMPARED))
    assert found.values == pytest.approx(0.2 + np.linspace(0, 1, MIN_COMPARED))  # the end of the curve
    assert found.basis == (
        f"Only the {MIN_COMPARED} fully trained trials are compared; 20 with shorter trainings are left out."
    )


def test_where_too_few_are_whole_the_highest_epoch_that_enough_share_decides():
    found = compared(study_of(*trials(4, 9), *trials(7, 3), *trials(20, 1)), "loss", maximize=False)
    assert not found.whole
    assert found.epochs == 3
    assert [trial.number for trial in found.trials] == list(range(11))  # the whole ones too, at their third epoch
    assert found.values == pytest.approx([0.8 + x for x in [*np.linspace(0, 1, 4), *np.linspace(0, 1, 7)]])
    assert found.basis == ("Too few trials were fully trained: the values of 11 after 3 of 9 epochs are compared.")
    assert replace(found, unit="folds").after == " after 3 of 9 folds"


def test_a_short_training_with_a_schedule_of_its_own_is_compared_with_its_like_only():
    """Its loss at epoch 3 is that of a decayed learning rate: better than what a whole training has by then."""
    short = list(trials(12, 3, start=0.5, info={"schedule": 3}))
    found = compared(study_of(*trials(4, 9), *short), "loss", maximize=False)
    assert (found.epochs, found.schedule, found.whole) == (3, 3, False)
    assert [trial.number for trial in found.trials] == list(range(4, 16))
    assert "trained for 3 of 9 epochs with a schedule of that length" in found.basis
    promoted = list(trials(MIN_COMPARED, 9, info={"promotes": 0}))
    found = compared(study_of(*short, *promoted), "loss", maximize=False)
    assert found.whole
    assert [trial.number for trial in found.trials] == list(range(12, 12 + MIN_COMPARED))


def test_a_study_without_early_stopping_is_compared_without_a_word():
    failed = ({"x": 0.5, "kind": "b"}, [1.0, float("nan")])
    found = compared(study_of(*trials(12, 9), failed), "loss", maximize=False)
    assert found.whole
    assert found.basis is None
    assert found.others == []
    few = compared(study_of(*trials(3, 9), *trials(3, 1)), "loss", maximize=False)
    assert len(few.trials) == 3
    assert not few.enough


def test_a_choice_that_was_only_trained_short_is_barely_explored():
    study = study_of(*trials(12, 9), *trials(5, 1, "b"), *trials(1, 9, "c"), *trials(2, 3, "c"))
    found = compared(study, "loss", maximize=False)
    regions = barely_explored(Encoding(study.space), found)
    assert [region.in_words(found.length) for region in regions] == [
        "kind = b (5 trials, none trained to the end)",
        "kind = c (3 trials, 1 trained to the end)",
    ]
    assert not barely_explored(Encoding(study.space), compared(study_of(*trials(12, 9)), "loss", maximize=False))


def test_what_was_trained_for_longer_than_compared_is_explored():
    short = trials(12, 3, info={"schedule": 3})
    study = study_of(*short, *trials(4, 9, "b"), *trials(3, 1, "c"))
    found = compared(study, "loss", maximize=False)
    assert found.schedule == 3
    assert [region.where for region in barely_explored(Encoding(study.space), found)] == ["kind = c"]


def test_an_end_of_a_range_is_barely_explored_where_chance_would_rarely_have_it_so():
    def told(n_beyond):
        study = study_of(*trials(12, 9, high=0.5), *trials(6, 1, high=0.5), *trials(n_beyond, 1, low=0.6))
        return [
            r.in_words("to the end") for r in barely_explored(Encoding(study.space), compared(study, "loss", False))
        ]

    assert told(12) == ["x above 0.5 (12 trials, none trained to the end)"]
    assert told(2) == []
    assert chance_of_none(2, 12, 20) == pytest.approx(8 / 20 * 7 / 19)
