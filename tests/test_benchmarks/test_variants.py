"""The variants of bo and auto: each differs in one component, proposes valid configs, and is reproducible."""

import numpy as np
import pandas as pd
import pytest
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from scipy.optimize import approx_fprime

from benchmarks.experiments.ablation import N_TRIALS, planned_of, summary
from benchmarks.opponents import make
from benchmarks.opponents.bo_variants import MeanEI, _draws, quadratic_minimum
from benchmarks.opponents.variants import variants_of
from benchmarks.scoring.cohorts import EVERY_SUITE
from strategies._acquisition import LogEI
from strategies.base import Outcome
from strategies.gaussian_process import BOUNDS, GP, fit

SPACE = ConfigurationSpace(
    space={"x": Float("x", (0.0, 1.0)), "n": Integer("n", (1, 9)), "c": Categorical("c", ["a", "b", "d"])}
)
OWNER = np.arange(2)


def configs(spec, n=20):
    """The proposals for a smooth loss, one config per line."""
    strategy = make(spec, SPACE, seed=1, n_trials=n)
    found = []
    for _ in range(n):
        proposal = strategy.ask()
        x, number, c = (proposal.config[name] for name in ("x", "n", "c"))
        loss = (x - 0.3) ** 2 + 0.01 * (number - 6) ** 2 + 0.1 * (c != "b")
        strategy.tell(Outcome(proposal, (loss,), 0.0))
        found.append(str(sorted(proposal.config.items())))
    return found


@pytest.mark.parametrize(
    "spec",
    [
        name
        for name in variants_of("bo")
        if name not in ("bo~no-ceiling", "bo~local", "bo~more-initial", "bo~few-initial-in-large")
    ],
)  # which need equal losses, numbers alone, or a larger space
def test_a_variant_starts_like_bo_is_reproducible_and_then_differs(spec):
    found, bo = configs(spec), configs("bo")
    assert found == configs(spec)
    assert len(set(found)) == len(found)
    assert found[:4] == bo[:4]  # the default, and the Sobol points of the seed
    assert found != bo


@pytest.mark.parametrize(
    ("spec", "d", "n_bo", "n"), [("bo~more-initial", 4, 4, 8), ("bo~few-initial-in-large", 11, 8, 4)]
)
def test_an_initial_design_of_another_size_starts_like_bo(spec, d, n_bo, n):
    numbers = ConfigurationSpace(space={f"x{i}": Float(f"x{i}", (0.0, 1.0)) for i in range(d)})
    found = {}
    for name in ("bo", spec):
        strategy = make(name, numbers, seed=1, n_trials=9)
        proposals = []
        for _ in range(9):
            proposals.append(strategy.ask())
            strategy.tell(Outcome(proposals[-1], (sum(proposals[-1].config.values()),), 0.0))
        found[name] = proposals
    bo, other = found.values()
    assert [p.config for p in bo[:4]] == [p.config for p in other[:4]]
    for proposals, size in ((bo, n_bo), (other, n)):
        origins = [p.info["from"] for p in proposals]
        assert origins == ["default", *["initial design"] * (size - 1), *["gp"] * (9 - size)]


def test_a_quadratic_model_finds_the_minimum_of_a_quadratic_function():
    rng = np.random.default_rng(0)
    points = rng.random((40, 3))
    losses = ((points - [0.4, 0.5, 0.6]) ** 2).sum(axis=1) + 0.5 * points[:, 0] * points[:, 1]
    exact = np.linalg.solve([[2, 0.5, 0], [0.5, 2, 0], [0, 0, 2]], [0.8, 1.0, 1.2])
    assert quadratic_minimum(points, losses, rng) == pytest.approx(exact, abs=0.1)


def arms(spec, max_epochs=4, n_trials=12):
    """The arms that made the proposals of a run with learning curves."""
    strategy = make(spec, SPACE, seed=1, n_trials=n_trials, max_epochs=max_epochs)
    found = []
    while sum(epochs for _, _, epochs in found) < 25 * max_epochs and (proposal := strategy.ask()) is not None:
        loss = (proposal.config["x"] - 0.3) ** 2 + 0.01 * proposal.config["n"]
        losses = tuple(loss + 1 / epoch for epoch in range(1, proposal.epochs + 1))
        strategy.tell(Outcome(proposal, losses, 0.0))
        found.append((proposal.info.get("arm"), str(proposal.config), proposal.epochs))
    return found


def test_auto_with_a_genetic_algorithm_is_otherwise_auto():
    found, auto = arms("auto~genetic"), arms("auto")
    assert found == arms("auto~genetic")
    assert {arm for arm, _, _ in auto} == {None}
    assert {arm for arm, _, _ in found} == {None, "bo", "ga"}
    assert found[:4] == auto[:4]
    assert {epochs for _, _, epochs in found} == {epochs for _, _, epochs in auto}  # early stopping stays


def test_another_model_of_curves_starts_like_auto_and_is_reproducible():
    found, auto = arms("auto~late-noise", 27, 40), arms("auto", 27, 40)
    assert found == arms("auto~late-noise", 27, 40)
    assert found[:4] == auto[:4]
    assert found != auto


def test_losses_of_a_config_share_noise_later_in_a_search_of_few_trials():
    assert arms("auto~late-noise", 27, 30) == arms("auto", 27, 30)


def test_repeats_are_of_the_best_configs_at_the_end_of_the_budget():
    strategy, losses, again = make("auto~repeats", SPACE, seed=0, n_trials=50), [], []
    for _ in range(50):
        proposal = strategy.ask()
        loss = proposal.config["x"] + np.random.default_rng(proposal.trial).normal(0, 0.1)
        strategy.tell(Outcome(proposal, (loss,), 0.0))
        losses.append(loss)
        again += [proposal.repeats] if proposal.repeats is not None else []
    assert again == np.argsort(losses[:45])[:5].tolist()


def test_an_ablation_runs_a_strategy_and_its_variants_on_the_same_tasks_and_seeds():
    _, planned = planned_of("recorded", ["auto", *variants_of("auto")], 2)
    assert {run.strategy for run in planned} == {"auto", *variants_of("auto")}
    assert len(planned) == 2 * 3 * len({run.strategy for run in planned})
    assert {run.n_trials for run in planned} == {N_TRIALS}


def test_the_summary_of_an_ablation_names_the_better_variant_first():
    row = {"strategy": "bo", "suite": EVERY_SUITE, "budget": 50, "n_tasks": 9, "min_seeds": 5, "fresh_tasks": 3}
    worse = row | {"rival": "bo~box", "regret": 0.1, "rival_regret": 0.3, "difference": -0.2, "low": -0.3, "high": -0.1}
    better = row | {"rival": "bo~ranks", "regret": 0.1, "rival_regret": 0.05, "difference": 0.05, "low": 0, "high": 0.1}
    lines = summary(pd.DataFrame([worse, better]), "bo")
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == ["bo~ranks", "bo~box"]
    assert "After 50 trainings, 9 tasks, 3 of them by fresh seeds, 5 seeds; `bo`: 0.100" in lines
    assert any(line.endswith("| 0.300 | +0.200 | +0.100 to +0.300 |") for line in lines)


def test_the_summary_of_an_ablation_gives_the_differences_on_each_suite():
    row = {"strategy": "bo", "rival": "bo~box", "budget": 50, "min_seeds": 5, "fresh_tasks": 0, "rival_regret": 0.3}
    over_all = row | {"suite": EVERY_SUITE, "n_tasks": 11, "regret": 0.1, "difference": -0.2, "low": -0.3, "high": -0.1}
    few = over_all | {"suite": "recorded", "n_tasks": 3, "low": float("nan"), "high": float("nan")}
    lines = summary(pd.DataFrame([over_all, over_all | {"suite": "yahpo", "n_tasks": 8}, few]), "bo")
    assert lines[-2:] == [
        "| yahpo, 8 tasks | 50 | 0.100 | +0.200 (+0.100 to +0.300) |",
        "| recorded, 3 tasks | 50 | 0.100 | +0.200 |",
    ]


@pytest.mark.parametrize("spec", ["bo~no-ceiling", "bo~credulous"])
def test_without_the_ceiling_ties_do_not_bound_the_noise(spec):
    y = np.concatenate([np.full(8, -1.0), np.linspace(-0.9, 2.0, 20)])
    unbounded, bounded = (make(name, SPACE, seed=0)._noise_ceiling(y) for name in (spec, "bo"))
    assert unbounded == BOUNDS["noise"][1]
    assert bounded < -1


def process():
    rng = np.random.default_rng(0)
    X = rng.random((12, 2))
    return fit(X, np.sin(5 * X[:, 0]) + 0.1 * rng.standard_normal(12), OWNER, None)


def test_theta_is_sampled_around_its_mode():
    gp = process()
    draws = np.concatenate([_draws(gp, np.random.default_rng(seed)) for seed in range(200)])
    assert np.median(draws, axis=0) == pytest.approx(gp.theta, abs=0.2)
    assert (draws.std(axis=0) > 0.05).all()
    assert (draws.std(axis=0) < 2.0).all()


def test_the_gradient_of_an_averaged_improvement_matches_finite_differences():
    gp = process()
    gps = [gp, *(GP.given(gp.X, gp.Y, theta, OWNER) for theta in _draws(gp, np.random.default_rng(1)))]
    averaged = MeanEI(tuple(LogEI(each, np.array([-0.5])) for each in gps))
    at = np.array([[0.3, 0.7], [0.9, 0.1]])
    values, gradients = averaged.gradients(at)
    alone = np.array([part(at) for part in averaged.parts])
    assert values == pytest.approx(np.log(np.exp(alone).mean(axis=0)))
    for x, gradient in zip(at, gradients, strict=True):
        assert gradient == pytest.approx(approx_fprime(x, lambda p: averaged(p[None])[0], 1e-7), rel=1e-3, abs=1e-4)


def test_a_variant_without_runs_in_a_suite_has_an_empty_cell_there():
    columns = ["rival", "suite", "budget", "n_tasks", "fresh_tasks", "min_seeds", "regret", "rival_regret"]
    columns += ["difference", "low", "high"]
    pairs = [("auto~genetic", "yahpo"), ("auto~repeats", "yahpo"), ("auto~genetic", "recorded")]
    rows = [(rival, suite, 20, 15, 0, 5, 0.1, 0.2, -0.1, -0.2, 0.0) for rival, suite in pairs]
    *_, yahpo, recorded = summary(pd.DataFrame(rows, columns=columns), "auto")
    assert yahpo == "| yahpo, 15 tasks | 20 | 0.100 | +0.100 (+0.000 to +0.200) | +0.100 (+0.000 to +0.200) |"
    assert recorded == "| recorded, 15 tasks | 20 | 0.100 | +0.100 (+0.000 to +0.200) |  |"
