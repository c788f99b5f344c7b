"""What mattered: known importances are found, and nothing is made up where the trials do not tell."""

import logging
import math

import numpy as np
import pytest
from test_report import summarised

import automl
from automl.explanation import explain, verdict
from automl.patterns import failing, reasons
from automl.study import Study, Trial
from automl.surrogate import Background, Surrogate, comparable
from strategies._features import Features
from strategies.base import Outcome, Proposal
from strategies.encoding import Encoding

UNIT = {"float": [0, 1]}
FOUR = {f"x{i}": UNIT for i in range(4)}
CONDITIONAL = {
    "lr": {"float": [1e-6, 1], "log": True},
    "optimizer": {"choice": ["sgd", "adam"]},
    "momentum": {"float": [0, 1], "when": {"optimizer": "sgd"}},
    "layers": {"int": [1, 4]},
}


def explained(objective, space, n_trials=40, **more):
    result = automl.tune(objective, space, strategy="sobol", n_trials=n_trials, seed=1, **more)
    return explain(result.study, summarised(result))


@pytest.fixture(scope="module")
def additive():
    """The variances of 2 x0, x1 and x2 / 2 are as 16 to 4 to 1; x3 does nothing."""
    return explained(lambda c: 2 * c["x0"] + c["x1"] + c["x2"] / 2, FOUR)


def test_known_shares_of_the_variance_are_found(additive):
    shares = {row.name: row.share for row in additive.importances.each}
    assert list(shares) == ["x0", "x1", "x2", "x3"]
    for name, true in {"x0": 16 / 21, "x1": 4 / 21, "x2": 1 / 21, "x3": 0.0}.items():
        assert shares[name].value == pytest.approx(true, abs=0.05)
        assert shares[name].low <= shares[name].value <= shares[name].high
    assert additive.importances.each[0].fanova.value > 0.5  # Optuna's, from the same trials
    assert additive.importances.skill > 0.9


def test_what_matters_comes_first_in_words(additive):
    first, *rest = additive.words
    assert first.startswith("x0 (")
    assert first.endswith(" matters most.")
    assert any("x3 hardly matter" in words for words in rest)
    assert not any("act together" in words for words in rest)
    assert not any("failed" in words for words in rest)


def test_a_product_is_told_as_acting_together():
    told = explained(lambda c: 4 * (c["x0"] - 0.5) * (c["x1"] - 0.5) + c["x2"], FOUR)
    pair = told.importances.pairs[0]
    assert set(pair.names) == {"x0", "x1"}
    assert pair.share.value == pytest.approx(4 / 7, abs=0.15)  # of the variances 1/9 and 1/12
    assert [w for w in told.words if "act together" in w] == [w for w in told.words if "x0 and x1 act together" in w]
    assert {row.name: verdict(row) for row in told.importances.each}["x3"] == "hardly matters"


def test_noise_is_told_as_noise():
    rng = np.random.default_rng(0)
    told = explained(lambda c: rng.standard_normal(), FOUR)
    assert told.importances is None
    assert "cannot be told from these 40 trials" in told.words[0]
    assert not told.effects


def test_too_few_trials_are_told_as_too_few():
    told = explained(lambda c: c["x0"], FOUR, n_trials=9)
    assert told.words == ["Too few trials to tell: 9 were trained far enough to be compared, 10 are needed."]
    same = explained(lambda c: 1.0, FOUR, n_trials=12)
    assert same.reason == "Nothing to tell: all trials reached the same value."


def test_conditions_failures_and_regions(caplog, capfd):
    def training(config):
        if config["layers"] == 4:
            raise RuntimeError("out of memory")
        return min(1.0, (math.log10(config["lr"]) + 2) ** 2 / 4) + 0.5 * (config.get("momentum", 0.9) - 0.9) ** 2

    with caplog.at_level(logging.INFO):
        told = explained(training, CONDITIONAL, n_trials=60)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    by_name = {row.name: row for row in told.importances.each}
    assert told.importances.each[0].name == "lr"
    assert 10 < by_name["momentum"].n_trials < told.n_trials
    assert by_name["momentum"].fanova is not None
    assert set(told.effects) == set(CONDITIONAL)
    assert not any("momentum" in pair.names for pair in told.importances.pairs)
    words = " ".join(told.words)
    assert "Below lr = 0.000" in words
    assert " nothing works: none of " in words
    assert f"Those with layers from 4 fail: {told.n_failed} of {told.n_failed}, against 0 of " in words
    assert "trials failed, all of them with: RuntimeError: out of memory." in words
    assert any(row.name == "lr" and row.telling for row in told.best)


def test_the_effect_is_that_of_the_function_and_less_sure_where_no_trial_was():
    space = Encoding(automl.load_space({"x": UNIT, "y": UNIT}))
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.random(40) * 0.7, rng.random(40)])
    effect = Surrogate.fit(Features(space), points, points[:, 0] ** 2 + points[:, 1], Background.of(space, 0)).effect(0)
    inside = effect.at < 0.65
    assert effect.mean[inside] == pytest.approx(effect.at[inside] ** 2 + 0.5, abs=0.05)
    assert effect.sd[-1] > 3 * effect.sd[inside].mean()
    assert np.all(np.abs(effect.mean - effect.at**2 - 0.5) <= 4 * effect.sd + 0.02)


def test_a_trial_that_was_stopped_keeps_its_place_among_those_that_were_not():
    study = Study(automl.load_space({"x": UNIT}), 3)
    curves = [(0.9, 0.5, 0.1), (0.8, 0.6, 0.2), (0.7, 0.7, 0.3), (0.85,), (1.0,), (0.95, 0.4)]
    for number, losses in enumerate(curves):
        proposal = Proposal(number, {"x": 0.1 * number}, 3)
        study.asked(proposal, 0.0)
        study.told(Outcome(proposal, losses, 1.0, stopped=len(losses) < 3), 0.0, 1.0)
    trials, values = comparable(study, "loss", maximize=False)
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4, 5]
    assert values == pytest.approx([0.1, 0.2, 0.3, 0.25, 0.4, 0.1])  # 1.0 is 0.1 worse than the worst of epoch 1


def test_failures_by_chance_have_nothing_in_common():
    encoding = Encoding(automl.load_space(FOUR))
    rng = np.random.default_rng(4)
    points = rng.random((40, 4))
    by_chance = [
        Trial(i, encoding.decode(point), state="failed" if i % 5 == 0 else "complete", error="OSError: disk")
        for i, point in enumerate(points)
    ]
    assert failing(encoding, by_chance, seed=0) is None
    assert reasons([trial for trial in by_chance if trial.state == "failed"]) == [("OSError: disk", 8)]
    assert failing(encoding, by_chance[:2], seed=0) is None
