"""Explanations: known importances are found, and none are claimed where the trials show none."""

import logging
import math

import numpy as np
import pytest
from test_report import summarised

import automl
from automl.analysis.comparable import BarelyExplored
from automl.analysis.explanation import Explanation, _about_importance, explain, verdict
from automl.analysis.importance import Importance, Importances, Share
from automl.analysis.patterns import failing, hopeless
from automl.analysis.surrogate import Background, Surrogate
from automl.study.trial import Trial
from strategies.encoding import Encoding
from strategies.features import Features

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
        assert shares[name].value == pytest.approx(true, abs=0.01)
        assert shares[name].low <= shares[name].value <= shares[name].high
    assert additive.importances.each[0].fanova.value > 0.5  # Optuna's, from the same trials
    assert additive.importances.skill > 0.9


def test_what_matters_comes_first_in_words(additive):
    first, *rest = additive.words
    assert first.startswith("x0 (")
    assert first.endswith(" matters most.")
    assert any("x3 hardly matter" in words for words in rest)
    assert not any("interact" in words for words in rest)
    assert not any("failed" in words for words in rest)


def test_a_product_is_an_interaction():
    told = explained(lambda c: 4 * (c["x0"] - 0.5) * (c["x1"] - 0.5) + c["x2"], FOUR)
    pair = told.importances.pairs[0]
    assert set(pair.names) == {"x0", "x1"}
    assert pair.share.value == pytest.approx(4 / 7, abs=0.15)  # of the variances 1/9 and 1/12
    assert [w for w in told.words if "interact" in w] == [w for w in told.words if "x0 and x1 interact" in w]
    assert {row.name: verdict(row) for row in told.importances.each}["x3"] == "hardly matters"


@pytest.mark.parametrize("seed", range(3))
def test_hyperparameters_of_equal_effect_are_in_no_order(seed):
    result = automl.tune(
        lambda c: (c["x0"] - 0.5) * (c["x1"] - 0.5), FOUR, strategy="random", n_trials=60, seed=seed, progress=False
    )
    told = explain(result.study, summarised(result))
    assert [row.share.value for row in told.importances.each[:2]] == pytest.approx([1.0, 1.0], abs=0.02)
    assert told.words[0].endswith("matter most; their order is uncertain.")


def test_noise_is_recognised():
    rng = np.random.default_rng(0)
    told = explained(lambda c: rng.standard_normal(), FOUR)
    assert told.importances is None
    assert "cannot be determined from these 40 trials" in told.words[0]
    assert not told.effects


def test_too_few_trials_give_no_explanation():
    told = explained(lambda c: c["x0"], FOUR, n_trials=9)
    assert told.words == ["Too few trials: 9 were trained long enough to be compared, 10 are needed."]
    same = explained(lambda c: 1.0, FOUR, n_trials=12)
    assert same.reason == "Nothing to explain: all trials reached the same value."


def test_conditions_failures_and_regions(caplog, capfd):
    def training(config):
        if config["layers"] == 4:
            raise RuntimeError("out of memory")
        return min(1.0, (math.log10(config["lr"]) + 2) ** 2 / 4) + 0.5 * (config.get("momentum", 0.9) - 0.9) ** 2

    with caplog.at_level(logging.INFO, logger="optuna"):
        told = explained(training, CONDITIONAL, n_trials=60)
    assert not [record for record in caplog.records if record.name != "automl"]
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


TWO_MODELS = {
    "model": {"choice": ["a", "b"]},
    **{f"{family}_0": {"float": [0.0, 1.0], "when": {"model": family}} for family in "ab"},
}


def test_what_only_some_trials_have_stays_out_of_the_first_sentence():
    told = explained(lambda c: c["a_0"] if c["model"] == "a" else 0.2, TWO_MODELS, n_trials=60)
    (row,) = [row for row in told.importances.each if row.name == "a_0"]
    assert verdict(row) == "matters"
    assert "a_0" not in told.words[0]
    (said,) = [words for words in told.words if "a_0 (" in words]
    assert said.startswith(f"Within a ({row.n_trials} trials), a_0 (")
    few = explained(lambda c: c["a_0"] if c["model"] == "a" else 0.2, TWO_MODELS, n_trials=16)
    n = {row.name: row.n_trials for row in few.importances.each}["a_0"]
    assert n < 10
    assert not any("a_0 (" in words for words in few.words)


def test_the_share_of_a_conditional_hyperparameter_is_of_the_variance_where_it_is_there():
    space = TWO_MODELS | {"a_1": {"float": [0.0, 1.0], "when": {"model": "a"}}}
    told = explained(lambda c: c["a_0"] + c["a_1"] if c["model"] == "a" else 1.0, space, n_trials=80)
    shares = {row.name: row.share.value for row in told.importances.each}
    assert shares["a_0"] == pytest.approx(0.5, abs=0.1)
    assert shares["a_1"] == pytest.approx(0.5, abs=0.1)


def test_failures_are_not_blamed_on_a_hyperparameter_that_the_failed_trials_do_not_have():
    encoding = Encoding(automl.load_space(CONDITIONAL | {"nesterov": {**UNIT, "when": {"optimizer": "sgd"}}}))
    trials = []
    for i, point in enumerate(np.random.default_rng(0).random((40, len(encoding.dimensions)))):
        config = encoding.decode(point)
        trials.append(Trial(i, config, state="failed" if config["optimizer"] == "adam" else "complete"))
    for seed in range(5):
        assert failing(encoding, trials, seed).condition in ("optimizer = adam", "optimizer other than sgd")


def test_what_too_few_trials_have_is_named_without_a_share():
    each = [
        Importance("rare", Share(0.97, 0.9, 1.0), None, None, 5),
        Importance("vague", Share(0.9, 0.0, 1.0), None, None, 20),
    ]
    each += [Importance("model", Share(0.8, 0.7, 0.9), None, None, 20)]
    told = Explanation([], None, None, Importances(each, [], 0.9))
    assert [row.name for row in told.judged] == ["model", "vague"]
    assert told.not_judged == "in fewer than 10 of the compared trials, too few for a verdict: rare"


@pytest.mark.parametrize("n", [1, 2])
def test_the_verb_after_or_is_singular(n):
    each = [Importance(f"x{i}", Share(0.1, 0.0, 0.3), None, None, 20) for i in range(n)]
    *_, said = _about_importance(Importances(each, [], 0.5))
    assert said == f"Whether {' or '.join(row.name for row in each)} matters is uncertain."


def test_many_uncertain_names_are_counted():
    each = [Importance(f"x{i}", Share(0.1, 0.0, 0.3), None, None, 20) for i in range(9)]
    each.append(Importance("rare", Share(0.1, 0.0, 0.3), None, None, 5))  # which has no verdict
    *_, said = _about_importance(Importances(each, [], 0.5))
    assert said == "Whether x0, x1, x2 or 6 more matter is uncertain."


def test_the_effect_is_that_of_the_function_and_less_sure_where_no_trial_was():
    space = Encoding(automl.load_space({"x": UNIT, "y": UNIT}))
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.random(40) * 0.7, rng.random(40)])
    effect = Surrogate.fit(Features(space), points, points[:, 0] ** 2 + points[:, 1], Background.of(space, 0)).effect(0)
    inside = effect.at < 0.65
    assert effect.mean[inside] == pytest.approx(effect.at[inside] ** 2 + 0.5, abs=0.05)
    assert effect.sd[-1] > 3 * effect.sd[inside].mean()
    assert np.all(np.abs(effect.mean - effect.at**2 - 0.5) <= 4 * effect.sd + 0.02)


FAMILIES = {
    "model": {"choice": ["quick", "slow", "poor"]},
    "lr": {"float": [1e-4, 1], "log": True, "default": 0.01},
    "width": {"int": [1, 64], "when": {"model": "slow"}},
}


def family(config):
    """The slow family ends best by far, but after its first epoch it is behind all others."""
    penalty = 0.1 * abs(math.log10(config["lr"]) + 2)
    for epoch in range(9):
        yield {
            "quick": 0.5 + penalty - 0.01 * epoch,
            "slow": 2.0 + penalty - 0.2 * epoch,
            "poor": 0.9 + penalty - 0.01 * epoch,
        }[config["model"]]


@pytest.fixture(scope="module")
def stopped_early():
    result = automl.tune(family, FAMILIES, strategy="random+asha", n_trials=40, seed=2, max_epochs=9)
    by_model = {name: [t for t in result.trials if t.config["model"] == name] for name in ("quick", "slow", "poor")}
    assert max(trial.epochs for trial in by_model["slow"]) < 9  # none of the best family was trained to the end
    return result, by_model, explain(result.study, summarised(result))


def test_a_family_that_was_only_trained_short_is_not_said_to_fail(stopped_early):
    _, by_model, told = stopped_early
    assert told.compared.whole
    assert "fully trained trials are compared" in told.words[0]
    assert not any("nothing works" in words for words in told.words)
    assert any(" full trainings reaches loss 0." in words and "lr = " in words for words in told.words)
    [barely] = [words for words in told.words if words.startswith("Too little explored")]
    assert f"model = slow ({len(by_model['slow'])} trials, none trained to the end)" in barely


def test_nothing_is_made_up_of_a_family_that_was_only_trained_short(stopped_early):
    _, _, told = stopped_early
    assert told.importances is not None
    verdicts = {row.name: verdict(row) for row in told.importances.each}
    assert verdicts == {"lr": "matters", "model": "uncertain"}  # width is the slow family's alone
    model = Encoding(automl.load_space(FAMILIES)).dimensions[0]
    assert model.to_unit("slow") not in told.effects["model"].at
    assert "width" not in told.effects


def test_whole_trainings_can_show_that_nothing_works():
    """The same families, each trained to the end: the poor one is found out, and the slow one is the best."""
    result = automl.tune(family, FAMILIES, strategy="random", n_trials=40, seed=2, max_epochs=9)
    told = explain(result.study, summarised(result))
    assert any(words.startswith("With model = poor nothing works: none of ") for words in told.words)
    assert not any(words.startswith("Barely") for words in told.words)
    assert verdict(told.importances.each[0]) == "matters"
    assert told.importances.each[0].name == "model"


def test_where_few_are_whole_what_was_reached_earlier_is_compared_and_said_so():
    result = automl.tune(family, FAMILIES, strategy="random+asha", n_trials=8, seed=2, max_epochs=9)
    told = explain(result.study, summarised(result))
    assert sum(trial.state == "complete" for trial in result.trials) < 10
    assert told.words[0].startswith("Too few trials were fully trained: the values of ")
    assert told.words[0].endswith(" of 9 epochs are compared.")
    assert not any("nothing works" in words for words in told.words)


@pytest.mark.parametrize(
    ("share", "n_trials", "settled", "expected"),
    [
        (Share(0.3, 0.1, 0.5), 20, True, "matters"),
        (Share(0.3, 0.1, 0.5), 20, False, "matters"),  # of the values that were tried
        (Share(0.02, 0.0, 0.05), 20, True, "hardly matters"),
        (Share(0.02, 0.0, 0.05), 20, False, "uncertain"),
        (Share(0.1, 0.02, 0.2), 20, True, "uncertain"),
        (Share(0.3, 0.1, 0.5), 9, True, "uncertain"),
    ],
)
def test_what_may_be_said_of_a_share(share, n_trials, settled, expected):
    assert verdict(Importance("x", share, None, None, n_trials, settled)) == expected


def test_a_poor_model_does_not_say_that_something_hardly_matters():
    """Half of the variation is noise, in which a weak effect could hide."""
    rng = np.random.default_rng(0)
    told = explained(lambda c: c["x0"] + 0.3 * rng.standard_normal(), FOUR, n_trials=60)
    assert 0.1 < told.importances.skill < 0.5
    assert "hardly matters" not in {verdict(row) for row in told.importances.each}
    assert told.importances.each[0].name == "x0"


def test_a_choice_that_nearly_all_whole_trainings_agree_on_can_be_explained():
    """Some refits then see one of its values alone."""

    def training(config):
        return config.get("x", 0.7)

    space = {"model": {"choice": ["a", "b"]}, "x": {"float": [0, 1], "when": {"model": "a"}}}
    given = [{"model": "a", "x": x / 20} for x in range(14)]
    result = automl.tune(training, space, strategy="random", n_trials=16, start=[*given, {"model": "b"}])
    told = explain(result.study, summarised(result))
    assert told.reason is None
    verdicts = {row.name: verdict(row) for row in told.importances.each}
    assert verdicts == {"model": "uncertain", "x": "matters"}  # a single b tells nothing of it, nor of an interaction
    assert not any("model (" in words or "interact" in words for words in told.words)


def test_nothing_works_ends_where_whole_trainings_end():
    encoding = Encoding(automl.load_space({"x": UNIT}))
    trials = [Trial(i, {"x": i / 20}) for i in range(4, 20)]
    good = np.array([trial.config["x"] >= 0.5 for trial in trials])
    [open_end] = hopeless(encoding.dimensions, trials, good)
    assert (open_end.where, open_end.n_trials) == ("below x = 0.5", 6)
    [closed] = hopeless(encoding.dimensions, trials, good, [BarelyExplored("x", "below", "x below 0.2", 30, 0)])
    assert (closed.where, closed.n_trials) == ("between x = 0.2 and 0.5", 6)


def test_failures_by_chance_have_nothing_in_common():
    encoding = Encoding(automl.load_space(FOUR))
    rng = np.random.default_rng(4)
    points = rng.random((40, 4))
    by_chance = [
        Trial(i, encoding.decode(point), state="failed" if i % 5 == 0 else "complete", error="OSError: disk")
        for i, point in enumerate(points)
    ]
    assert failing(encoding, by_chance, seed=0) is None
    assert failing(encoding, by_chance[:2], seed=0) is None
