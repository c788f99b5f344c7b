"""Families of models as arms: the choice that defines them, their order, and that each stays in its subspace."""

import numpy as np
import pytest
from ConfigSpace import Configuration
from spaces import space

from automl.space.parse import load_space
from strategies import make_strategy
from strategies._families import PATIENCE
from strategies._family_choice import family_choice
from strategies.base import Outcome, Proposal, Start
from strategies.encoding import Encoding
from strategies.fidelity import Fidelity

MODELS = load_space(
    {
        "model": {"choice": ["linear", "trees", "net"], "default": "trees"},
        "c": {"float": [0.01, 100.0], "log": True, "when": {"model": "linear"}},
        "leaves": {"int": [2, 200], "log": True, "when": {"model": "trees"}},
        "rate": {"float": [0.01, 1.0], "log": True, "default": 0.1, "when": {"model": "trees"}},
        "lr": {"float": [1e-4, 1e-1], "log": True, "default": 1e-3, "when": {"model": "net"}},
        "schedule": {"choice": ["constant", "cosine"], "when": {"model": "net"}},
        "warmup": {"float": [0.0, 0.3], "when": {"model": "net", "schedule": "cosine"}},
    }
)
BEST = {"linear": 0.30, "trees": 0.10, "net": 0.12}  # of each family, at its best


def loss_of(config) -> float:
    place = {"linear": ("c", 10.0), "trees": ("rate", 0.03), "net": ("lr", 0.02)}[config["model"]]
    return BEST[config["model"]] + 0.02 * abs(np.log(config[place[0]] / place[1]))


def run(strategy, n_trials, seconds=lambda config: 1.0, loss=loss_of):
    proposals = []
    for _ in range(n_trials):
        proposal = strategy.ask()
        proposals.append(proposal)
        strategy.tell(Outcome(proposal, (loss(proposal.config),) * proposal.epochs, seconds(proposal.config)))
    return proposals


def counts(proposals):
    return {name: sum(p.config["model"] == name for p in proposals) for name in BEST}


def test_families_are_the_values_of_the_choice_most_others_depend_on():
    assert family_choice(MODELS) == "model"
    for name in ("numeric", "mixed", "conditional", "finite"):
        assert family_choice(space(name)) is None


def test_shared_hyperparameters_do_not_define_families():
    shared = {f"x{i}": {"float": [0, 1]} for i in range(4)}
    form = {"model": {"choice": ["a", "b"]}, **shared, "k": {"int": [1, 9], "when": {"model": "a"}}}
    assert family_choice(load_space(form)) is None
    form = {"model": {"choice": ["a", "b"]}, "x": {"float": [0, 1]}}
    own = {name: {"float": [0, 1], "when": {"model": name}} for name in "ab"}
    assert family_choice(load_space(form | own)) == "model", "two of three others depend on it"


@pytest.mark.parametrize("model", BEST)
def test_a_subspace_has_only_hyperparameters_that_can_be_active(model):
    encoding = Encoding(MODELS, {"model": model})
    own = {"linear": {"c"}, "trees": {"leaves", "rate"}, "net": {"lr", "schedule", "warmup"}}[model]
    assert set(encoding.names) == {"model", *own}
    rng = np.random.default_rng(0)
    for _ in range(20):
        config = encoding.decode(rng.random(len(encoding.dimensions)))
        Configuration(MODELS, values=config)  # raises unless it is a config of the whole space too
        assert config["model"] == model


def test_each_default_is_trained_fully_first():
    kinds = {"linear": Fidelity("whole"), "trees": Fidelity("resume"), "net": Fidelity("restart")}
    strategy = make_strategy(
        "auto", MODELS, seed=0, n_trials=30, max_epochs=20, fidelity=lambda config: kinds[config["model"]]
    )
    proposals = run(strategy, 3)
    assert [p.config["model"] for p in proposals] == ["trees", "linear", "net"]
    assert {p.info["from"] for p in proposals} == {"default"}
    proposals += run(strategy, 40)
    assert all(p.epochs == 20 for p in proposals if p.config["model"] == "linear")
    whole = {p.config["model"] for p in proposals if p.info["from"] == "default" or p.info.get("from") == "asha"}
    assert whole == set(BEST)
    assert len({p.trial for p in proposals if p.promotes is None and p.config["model"] != "trees"}) > 3


def test_the_budget_goes_to_families_that_may_still_improve():
    found = counts(run(make_strategy("auto", MODELS, seed=0, n_trials=40), 40))
    assert found["linear"] <= 12
    assert found["trees"] + found["net"] >= 28


def test_a_converged_family_waits_for_the_others():
    def flat(config):
        return 0.2 if config["model"] == "trees" else loss_of(config)

    proposals = run(make_strategy("auto", MODELS, seed=0, n_trials=40), 30, loss=flat)  # later, all have converged
    assert PATIENCE <= counts(proposals)["trees"] <= PATIENCE + 4


def test_a_converged_leader_takes_turns_with_families_that_are_unlikely_to_catch_up():
    cost = {"linear": 1.0, "trees": 2.0, "net": 4.0}
    strategy = make_strategy("auto", MODELS, seed=0, seconds=300.0)
    spent, proposals = 0.0, []
    while spent < 290:
        proposals += run(strategy, 1, lambda config: cost[config["model"]], loss=lambda config: BEST[config["model"]])
        spent += cost[proposals[-1].config["model"]]
    found = counts(proposals)
    assert 3 * found["trees"] * cost["trees"] < 2 * spent, "the best, but converged"
    assert found["net"] > 2 * PATIENCE


def test_a_cheap_family_that_repeats_its_best_loss_gets_no_more_of_the_budget():
    """Its 5 latest trainings cost less than one of another family, which explores without improvement."""
    rng = np.random.default_rng(0)
    cost = {"linear": 0.1, "trees": 1.0, "net": 4.0}

    def loss(config):
        return BEST[config["model"]] if config["model"] == "linear" else BEST[config["model"]] + rng.random()

    strategy = make_strategy("auto", MODELS, seed=0, seconds=100.0)
    spent, proposals = 0.0, []
    while spent < 90:
        proposals += run(strategy, 1, lambda config: cost[config["model"]], loss)
        spent += cost[proposals[-1].config["model"]]
    assert PATIENCE < counts(proposals)["linear"] <= PATIENCE + 4


def test_with_a_trial_for_each_every_default_comes_first():
    form = {"model": {"choice": [*"abcdefg"]}} | {f"{x}1": {"float": [0, 1], "when": {"model": x}} for x in "abcdefg"}
    strategy = make_strategy("auto", load_space(form), seed=0, n_trials=7)
    proposals = run(strategy, 7, loss=lambda config: 1.0)
    assert [p.config["model"] for p in proposals] == [*"abcdefg"]


def test_seconds_affect_the_order():
    def slow(config):
        return 20.0 if config["model"] == "net" else 1.0

    strategy = make_strategy("auto", MODELS, seed=0, seconds=100.0)
    spent, proposals = 0.0, []
    while spent < 100:
        proposals += run(strategy, 1, slow)
        spent += slow(proposals[-1].config)
    assert counts(proposals)["net"] < counts(proposals)["trees"]
    assert counts(proposals)["net"] >= 1


def test_a_failing_family_is_abandoned():
    def broken(config):
        return np.nan if config["model"] == "trees" else loss_of(config)

    found = counts(run(make_strategy("auto", MODELS, seed=0, n_trials=40), 40, loss=broken))
    assert found["trees"] < found["net"]


def test_start_configs_go_to_their_families():
    prior = [Start({"model": "net", "lr": 0.02, "schedule": "constant"}, "past"), Start({"model": "linear", "c": 9.0})]
    proposals = run(make_strategy("auto", MODELS, seed=0, n_trials=30, prior=prior), 7)
    configs = [p.config for p in proposals]
    assert configs[0]["model"] == "trees"
    assert all(start.config in configs[:5] for start in prior)


def test_families_declare_no_regret_bound():
    assert not make_strategy("auto", MODELS, seed=0, n_trials=60).bounds_regret
    assert make_strategy("auto", space("numeric"), seed=0, n_trials=60).bounds_regret


def test_every_family_is_tried_before_failing_ones_get_more():
    def broken(config):
        return loss_of(config) if config["model"] == "net" else np.nan

    proposals = run(make_strategy("auto", MODELS, seed=0, n_trials=5), 5, loss=broken)
    assert {p.config["model"] for p in proposals} == set(BEST)


def test_without_measured_seconds_a_run_is_reproducible():
    def configs(timed, seed):
        rng = np.random.default_rng(seed)
        strategy = make_strategy("auto", MODELS, seed=0, n_trials=30, timed=timed)
        return [p.config for p in run(strategy, 30, seconds=lambda config: rng.uniform(0.1, 9.0))]

    assert configs(False, 1) == configs(False, 2)
    assert configs(True, 1) != configs(True, 2)


def test_warm_starts_count_for_their_family():
    strategy = make_strategy("auto", MODELS, seed=0, n_trials=30)
    encoding, rng = Encoding(MODELS), np.random.default_rng(0)
    for i in range(30):
        config = encoding.decode(rng.random(len(encoding.dimensions)))
        loss = 0.01 if config["model"] == "net" else 5.0
        strategy.tell(Outcome(Proposal(-1 - i, config, 1), (loss + 0.001 * i,), 1.0))
    with pytest.raises(ValueError, match="must be one of"):
        strategy.tell(Outcome(Proposal(-99, {"model": "zzz"}, 1), (1.0,), 1.0))
    assert strategy.families.families["net"].best < 1.0
    with pytest.raises(ValueError, match="must be one of"):
        make_strategy("auto", MODELS, seed=0, prior=[Start({"model": "zzz"})])


def test_ordered_choices_and_empty_subspaces_define_no_families():
    form = {"depth": {"ordinal": [1, 2]}} | {f"u{i}": {"float": [0, 1], "when": {"depth": 2}} for i in range(3)}
    assert family_choice(load_space(form)) is None
    form = {"model": {"choice": ["a", "b"]}} | {f"u{i}": {"float": [0, 1], "when": {"model": "a"}} for i in range(3)}
    assert family_choice(load_space(form)) == "model"
    assert family_choice(load_space(form | {"forbidden": [{"model": "b"}]})) is None


def test_a_converged_family_is_reported():
    strategy = make_strategy("auto", MODELS, seed=0, n_trials=60)
    assert strategy.findings == []
    run(strategy, 60)
    assert any("in the last 5 full trainings of trees" in finding for finding in strategy.findings)


def test_convergence_of_all_families_is_reported():
    strategy = make_strategy("auto", MODELS, seed=0, n_trials=40)
    run(strategy, 40, loss=lambda config: 0.1)
    assert strategy.findings == ["no model improved in its last 5 full trainings: more trials will gain little"]


def test_a_run_of_packs_is_restored_as_it_was():
    """With many pending trials families are ranked seldom, and a pack counts as one proposal."""

    def packs(strategy, n):
        for _ in range(n):
            first = strategy.ask()
            yield first
            for _ in range(7):
                beside = strategy.ask_alike(first, lambda config: config["model"])
                if beside is not None:
                    yield beside

    asked = make_strategy("auto", MODELS, seed=0, n_trials=300, timed=False)
    again = make_strategy("auto", MODELS, seed=0, n_trials=300, timed=False)
    for proposal in packs(asked, 25):
        again.restore(proposal)
        if proposal.trial < 40:
            for strategy in (asked, again):
                strategy.tell(Outcome(proposal, (loss_of(proposal.config),), 1.0))
    assert again.families._n_since == asked.families._n_since
    assert again.ask() == asked.ask()
