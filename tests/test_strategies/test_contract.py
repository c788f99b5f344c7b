"""Contract tests of every strategy in STRATEGIES on a set of difficult spaces."""

import json
import math
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import spaces
from ConfigSpace import Configuration
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces import N_CELLS_FINITE, SPACES, loss_of, space

from automl.space.parse import load_space
from strategies import STRATEGIES, WRAPPERS, make_strategy
from strategies.base import Outcome, Proposal, Strategy
from strategies.encoding import Encoding

FAILURES = {
    "error": {"losses": (), "error": "CUDA out of memory"},
    "nan": {"losses": (0.5, math.nan)},
    "inf": {"losses": (math.inf,)},
    "missing": {"losses": ()},
}

every_strategy = pytest.mark.parametrize("name", STRATEGIES)
every_space = pytest.mark.parametrize("space_name", SPACES)


def make(name: str, space_name: str = "mixed", seed: int = 0, **options) -> Strategy:
    return make_strategy(name, space(space_name), seed=seed, n_trials=30, **options)


def outcome(proposal: Proposal, **changes) -> Outcome:
    return Outcome(**{"proposal": proposal, "losses": (loss_of(proposal.config),), "seconds": 1.0} | changes)


def run(strategy: Strategy, n: int) -> list[Proposal]:
    proposals = []
    for _ in range(n):
        proposal = strategy.ask()
        if proposal is None:
            break
        proposals.append(proposal)
        strategy.tell(outcome(proposal))
    return proposals


def check(strategy: Strategy, proposal: Proposal) -> None:
    Configuration(strategy.space, values=proposal.config)  # raises for illegal, inactive, missing or forbidden values
    assert {type(value) for value in proposal.config.values()} <= {bool, int, float, str}
    assert 1 <= proposal.epochs <= strategy.max_epochs
    json.dumps(dict(proposal.info), allow_nan=False)


def distinct(proposals: list[Proposal]) -> bool:
    return len({tuple(sorted(p.config.items())) for p in proposals}) == len(proposals)


@every_strategy
@every_space
def test_configs_lie_in_the_space_and_never_repeat(name, space_name):
    strategy = make(name, space_name)
    proposals = run(strategy, 25)
    for proposal in proposals:
        check(strategy, proposal)
    assert distinct(proposals)
    assert [p.trial for p in proposals] == list(range(len(proposals)))


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "grid"])
@every_space
def test_the_default_config_comes_first(name, space_name):
    strategy = make(name, space_name)
    assert strategy.ask().config == dict(strategy.space.get_default_configuration())


@pytest.mark.parametrize(("name", "n"), [("bo", 4), ("skopt", 8), ("tpe", 8), ("hyperopt", 8), ("ga", 8)])
def test_strategies_share_the_initial_design(name, n):
    assert [p.config for p in run(make(name, seed=3), n)] == [p.config for p in run(make("sobol", seed=3), n)]


@every_strategy
@every_space
def test_eight_asks_in_a_row_before_any_tell_and_again_later(name, space_name):
    strategy = make(name, space_name)
    first = [p for p in (strategy.ask() for _ in range(8)) if p]
    for proposal in reversed(first):
        strategy.tell(outcome(proposal))
    later = [p for p in (strategy.ask() for _ in range(8)) if p]
    assert len(first) == 8
    assert distinct(first + later)


@every_strategy
def test_a_finite_space_is_enumerated_and_then_exhausted(name):
    strategy = make(name, "finite")
    proposals = run(strategy, 100)
    assert len(proposals) == N_CELLS_FINITE
    assert distinct(proposals)
    assert strategy.exhausted
    assert strategy.ask() is None


@every_strategy
def test_exhaustion_includes_pending_proposals(name):
    strategy = make(name, "finite")
    proposals = [strategy.ask() for _ in range(N_CELLS_FINITE)]
    assert None not in proposals
    assert strategy.exhausted
    assert strategy.ask() is None


@pytest.mark.slow
@every_strategy
@pytest.mark.parametrize("space_name", ["numeric", "mixed", "constants", "finite"])  # the others: across processes
def test_the_same_seed_is_reproducible_and_another_differs(name, space_name):
    def configs(seed):
        return [p.config for p in run(make(name, space_name, seed=seed), 14)]

    first = configs(5)
    assert first == configs(5)
    if space_name != "finite":
        assert first != configs(6)


@every_strategy
@pytest.mark.parametrize("space_name", ["conditional", "mixed", "forbidden"])
@pytest.mark.parametrize("n_told", [0, 1, 9, 17])
def test_restoring_a_prefix_gives_the_same_next_proposals(name, space_name, n_told):
    """With two pending proposals, told out of order, and with failures and ties."""
    strategy, log = make(name, space_name), []
    order = np.random.default_rng(n_told)
    pending = []
    while sum(kind == "tell" for kind, _ in log) < n_told:
        pending.append(strategy.ask())
        log.append(("ask", pending[-1]))
        if len(pending) == 3:
            told = outcome(pending.pop(order.integers(3)), losses=(round(order.random(), 1),))
            if len(log) % 5 == 0:
                told = outcome(told.proposal, **FAILURES["nan"])
            strategy.tell(told)
            log.append(("tell", told))
    restored = make(name, space_name)
    for kind, value in log:
        (restored.restore if kind == "ask" else restored.tell)(value)
    assert [restored.ask() for _ in range(3)] == [strategy.ask() for _ in range(3)]


@every_strategy
def test_returning_none_changes_no_state(name):
    strategy, twin = make(name, "finite"), make(name, "finite")
    for s in (strategy, twin):
        run(s, 5)
    pending = [strategy.ask() for _ in range(N_CELLS_FINITE - 5)]
    assert [strategy.ask() for _ in range(3)] == [None] * 3
    assert pending == [twin.ask() for _ in range(N_CELLS_FINITE - 5)]


@every_strategy
@pytest.mark.parametrize("failure", FAILURES)
def test_failures_are_handled_from_the_first_trial_on(name, failure):
    strategy = make(name, "conditional")
    proposals = []
    for i in range(24):
        proposal = strategy.ask()
        check(strategy, proposal)
        proposals.append(proposal)
        strategy.tell(outcome(proposal, **(FAILURES[failure] if i < 12 or i % 3 == 0 else {})))
    assert distinct(proposals)


def seeds_for(name, n):
    """One repetition for skopt, which takes half a second per suggestion."""
    return range(1 if name == "skopt" else n)


@pytest.mark.parametrize("name", ["bo", "skopt", "tpe", "hyperopt", "ga"])
def test_a_failing_region_is_avoided(name):
    """Half of the range fails: a strategy that ignored failures would spend half of its trials there."""
    shares = []
    for seed in seeds_for(name, 3):
        strategy = make(name, "numeric", seed=seed)
        for _ in range(40):
            proposal = strategy.ask()
            failed = proposal.config["x"] > 0
            losses = (math.nan,) if failed else ((proposal.config["x"] + 2) ** 2,)
            strategy.tell(outcome(proposal, losses=losses))
            if proposal.trial >= 15:
                shares.append(failed)
    assert np.mean(shares) < 0.3


@pytest.mark.parametrize("name", ["bo", "skopt", "tpe", "hyperopt", "ga", "cmaes"])
def test_guided_strategies_learn_from_outcomes(name):
    """The best of 40 trials on a sphere, over several seeds, versus random search and versus random outcomes."""
    seeds = seeds_for(name, 5)

    def best(name, seed, told_noise=False):
        strategy, noise = make(name, "numeric", seed=seed), np.random.default_rng(seed)
        losses = []
        for _ in range(40):
            proposal = strategy.ask()
            loss = (proposal.config["x"] - 2) ** 2 + (math.log10(proposal.config["y"]) + 2) ** 2
            losses.append(loss)
            strategy.tell(outcome(proposal, losses=(noise.random() if told_noise else loss,)))
        return min(losses)

    def mean(name, **options):
        return np.mean([math.log(best(name, seed, **options)) for seed in seeds])

    assert mean(name) < mean("random")
    assert mean(name) < mean(name, told_noise=True)


@every_strategy
def test_warm_starts_are_learned_and_not_proposed_again(name):
    strategy = make(name, "finite")
    elsewhere = list(Encoding(strategy.space).cells())[:4]
    for i, config in enumerate(elsewhere):
        strategy.tell(outcome(Proposal(-1 - i, config, 1)))
    proposals = run(strategy, 100)
    assert len(proposals) == N_CELLS_FINITE - 4
    assert all(p.config not in elsewhere for p in proposals)
    assert [p.trial for p in proposals] == list(range(len(proposals)))


@every_strategy
@pytest.mark.parametrize(
    ("config", "rule"),
    [
        ({"a": 7, "b": "p"}, "must be a number in"),
        ({"a": 1, "b": "x"}, "must be one of"),
        ({"a": 1, "b": "p", "z": 1}, "unknown hyperparameter"),
        ({"a": 1, "b": "q"}, "is missing"),
        ({"a": 1, "b": "p", "c": 1}, "although it is inactive"),
        ({"a": 3, "b": "q", "c": 1}, "forbidden"),
    ],
)
def test_a_warm_start_outside_the_space_is_rejected(name, config, rule):
    with pytest.raises(ValueError, match=rule):
        make(name, "finite").tell(outcome(Proposal(-1, config, 1)))


@pytest.mark.parametrize("name", [*STRATEGIES, "bo+asha", "random+hyperband", "ga+stop"])
def test_an_outcome_of_a_trial_that_was_not_asked_is_rejected(name):
    """As after a restart without ``restore``: its number will be that of another trial."""
    strategy, earlier = make(name, "finite"), make(name, "finite")
    first = earlier.ask()
    with pytest.raises(ValueError, match="trial 0 was never asked for"):
        strategy.tell(outcome(first))
    strategy.restore(first)
    with pytest.raises(ValueError, match="was asked with"):
        strategy.tell(outcome(replace(first, config={**first.config, "a": -1})))
    strategy.tell(outcome(first))


@pytest.mark.parametrize("name", [*STRATEGIES, "bo+asha", "random+hyperband", "ga+stop"])
def test_a_proposal_whose_config_was_changed_is_rejected(name):
    """As by a training that takes values out of the dict, before or after another trial was asked for."""
    strategy = make(name, "finite")
    first, second = strategy.ask(), strategy.ask()
    first.config["a"] = 99
    with pytest.raises(ValueError, match="trial 0 was asked with"):
        strategy.tell(outcome(first, losses=(0.5,)))
    strategy.tell(outcome(second, losses=(0.5,)))


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "cmaes"])
def test_a_trial_may_be_told_again_after_more_epochs(name):
    """As with a wrapper that pauses and resumes trials: the later outcome replaces the earlier one."""
    strategy, twin = make(name), make(name)
    for _ in range(12):
        proposal, same = strategy.ask(), twin.ask()
        assert proposal == same
        strategy.tell(outcome(proposal, losses=(9.0,)))
        strategy.tell(outcome(proposal, losses=(9.0, loss_of(proposal.config))))
        twin.tell(outcome(proposal, losses=(9.0, loss_of(proposal.config))))
    assert strategy.ask() == twin.ask()


def test_cmaes_takes_the_latest_losses_until_its_generation_is_complete():
    """A loss that is replaced before the last of the nine samples is told does not count; one told later does not."""

    def next_proposals(*rounds):
        """The second generation, after these rounds of losses of the samples of the first."""
        strategy = make("cmaes")
        run(strategy, 1)  # the default
        samples = [strategy.ask() for _ in range(9)]
        for losses in rounds:
            for sample, loss in zip(samples, losses, strict=False):
                strategy.tell(outcome(sample, losses=(loss,)))
        return [strategy.ask() for _ in samples]

    losses = [3.0, 1.0, 4.0, 1.5, 9.0, 2.0, 6.0, 5.0, 3.5]
    expected = next_proposals(losses)
    assert [proposal.info["generation"] for proposal in expected] == [1] * 9
    assert next_proposals(losses[::-1]) != expected
    assert next_proposals(losses[::-1][:8], losses) == expected
    assert next_proposals(losses, losses[::-1]) == expected


@pytest.mark.parametrize("huge", [1e200, sys.float_info.max])
@pytest.mark.parametrize("name", ["auto", "bo", "skopt", "tpe", "hyperopt", "ga"])  # cmaes uses ranks alone
def test_huge_losses_are_handled(name, huge):
    """As of trainings that diverge above some learning rate: not the scale of all the others."""
    strategy = make_strategy(name, load_space({"x": {"float": [0, 1]}, "y": {"float": [0, 1]}}), seed=0, n_trials=30)
    losses = []
    for _ in range(30):
        proposal = strategy.ask()
        x, y = proposal.config["x"], proposal.config["y"]
        losses.append(huge if x > 0.35 else (x - 0.2) ** 2 + (y - 0.6) ** 2)
        strategy.tell(outcome(proposal, losses=(losses[-1],)))
    assert sum(loss > 1 for loss in losses[15:]) <= 6
    assert min(losses) < 0.02


@pytest.mark.parametrize("name", ["auto", "bo"])
def test_losses_may_be_whole_numbers(name):
    strategy = make_strategy(name, load_space({f"x{i}": {"float": [0, 1]} for i in range(21)}), seed=0, n_trials=30)
    for i in range(14):
        strategy.tell(outcome(strategy.ask(), losses=(i % 3,)))
    assert len(strategy.ask().config) == 21


@every_strategy
def test_a_range_with_few_floats_is_exhausted(name):
    strategy = make_strategy(name, load_space({"x": {"float": [1e6, 1e6 + 1e-9]}}), seed=0, n_trials=50)
    proposals = run(strategy, 50)
    assert 1 < len(proposals) < 20
    assert distinct(proposals)
    assert strategy.exhausted
    assert strategy.ask() is None


@every_strategy
@pytest.mark.parametrize("bounds", [[1e9, 1e9 + 0.5], [1e-9, 3e-9], [1.0, 1.0 + 1e-7]])
def test_narrow_and_tiny_ranges(name, bounds):
    strategy = make_strategy(name, load_space({"x": {"float": bounds}}), seed=0)
    proposals = run(strategy, 12)
    assert len(proposals) == 12
    assert distinct(proposals)
    assert all(bounds[0] <= p.config["x"] <= bounds[1] for p in proposals)


@every_strategy
def test_a_default_told_as_warm_start_is_not_proposed(name):
    strategy = make(name)
    default = dict(Encoding(strategy.space).default)
    strategy.tell(outcome(Proposal(-1, default, 1)))
    first = strategy.ask()
    assert first.config != default
    assert first.info.get("from") != "default"


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "auto"])  # which may stop early by itself
def test_epochs_are_the_full_training(name):
    assert make(name, max_epochs=27).ask().epochs == 27


@every_strategy
def test_no_global_random_state_is_read_or_set(name):
    def trace(global_seed):
        random.seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002
        before = (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
        proposals = run(make(name, "conditional"), 14)
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
        return proposals

    assert trace(1) == trace(2)


TRACE = """
import json, random, sys
import numpy as np
sys.path.insert(0, {here!r})
from spaces import loss_of, space
from automl.space.parse import load_space
from strategies import STRATEGIES, WRAPPERS, make_strategy
from strategies.base import Outcome
random.seed({seed}); np.random.seed({seed})
traces = {{}}
for name in STRATEGIES:
    for space_name in ("conditional", "categorical", "forbidden"):
        strategy = make_strategy(name, space(space_name), seed=3, n_trials=20)
        trace = traces[name + " " + space_name] = []
        for _ in range(16):
            proposal = strategy.ask()
            trace.append(proposal.config)
            strategy.tell(Outcome(proposal, (loss_of(proposal.config),), 0.0))
print(json.dumps(traces))
"""


@pytest.mark.slow
def test_proposals_do_not_depend_on_the_process():
    """The same with another PYTHONHASHSEED and another global random state."""

    def traces(seed: int) -> dict:
        code = TRACE.format(here=str(Path(spaces.__file__).parent), seed=seed)
        env = os.environ | {"PYTHONHASHSEED": str(seed)}
        result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        return json.loads(result.stdout)

    assert traces(1) == traces(2)


@every_strategy
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_interleaving_of_asks_tells_and_failures(name, data):
    """Up to eight pending proposals, told in any order, 30% of them failed."""
    space_name = data.draw(st.sampled_from(["conditional", "forbidden", "finite", "mixed"]))
    strategy = make(name, space_name, seed=data.draw(st.integers(0, 3)))
    pending, proposals = [], []
    for _ in range(data.draw(st.integers(5, 30))):
        if pending and (len(pending) == 8 or data.draw(st.booleans())):
            told = pending.pop(data.draw(st.integers(0, len(pending) - 1)))
            failed = data.draw(st.integers(0, 9)) < 3
            strategy.tell(outcome(told, **(FAILURES[data.draw(st.sampled_from(sorted(FAILURES)))] if failed else {})))
        else:
            proposal = strategy.ask()
            if proposal is None:
                assert strategy.exhausted
                continue
            check(strategy, proposal)
            pending.append(proposal)
            proposals.append(proposal)
    assert distinct(proposals)
    assert not (space_name == "finite" and len(proposals) == N_CELLS_FINITE) or strategy.exhausted


@every_strategy
def test_regret_bounds_exist_where_declared(name):
    strategy = make(name, "numeric")
    run(strategy, 20)
    assert (strategy.regret_bound() is not None) == strategy.bounds_regret


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_delegate_the_regret_bound(wrapper):
    strategy = make(f"bo+{wrapper}", "numeric", max_epochs=9)
    for _ in range(80):
        proposal = strategy.ask()
        strategy.tell(outcome(proposal, losses=(loss_of(proposal.config),) * proposal.epochs))
    assert strategy.bounds_regret
    assert strategy.regret_bound() is not None
    assert not make(f"random+{wrapper}", "numeric", max_epochs=9).bounds_regret


@pytest.mark.parametrize(
    ("losses", "rule"),
    [
        *((losses, r"losses must be a tuple .* such as \(0\.3,\), got ") for losses in (0.3, None, [0.3])),
        (("a",), r"losses must be numbers, got str in \('a',\); use float\(loss\)"),
        ((0.3, None), r"losses must be numbers, got NoneType in \(0\.3, None\)"),
    ],
)
def test_losses_of_another_type_are_rejected_when_they_are_told(losses, rule):
    with pytest.raises(TypeError, match=rule):
        outcome(make("random").ask(), losses=losses)


def test_numpy_losses_are_numbers():
    assert outcome(make("random").ask(), losses=(np.float32(0.5), np.int64(1), 0)).loss == 0


def test_a_space_in_the_short_form_is_rejected_with_what_converts_it():
    with pytest.raises(TypeError, match=r"got dict; automl\.load_space makes one"):
        make_strategy("bo", {"x": {"float": [-1, 1]}}, seed=0)


@every_strategy
@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"seed": -1}, "seed must be 0 or larger, got -1"),
        ({"max_epochs": 0}, "max_epochs must be 1 or more, got 0"),
        ({"n_trials": 0}, "n_trials must be 1 or more, or None, got 0"),
    ],
)
def test_a_budget_or_seed_out_of_range_is_rejected(name, given, rule):
    with pytest.raises(ValueError, match=rule):
        make_strategy(name, make("random").space, **{"seed": 0, **given})


@every_strategy
def test_a_prior_of_plain_dicts_is_rejected_with_what_it_must_be(name):
    with pytest.raises(TypeError, match=r"must be a strategies\.base\.Start, got \{'x': 1\}"):
        make_strategy(name, make("random").space, seed=0, prior=[{"x": 1}])
