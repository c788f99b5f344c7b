"""Every strategy as an Optuna sampler: Optuna's own test cases, and further guarantees for users of a study."""

import math
import pickle

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase
from optuna.trial import TrialState, create_trial

from strategies import STRATEGIES
from strategies.errors import UnknownStrategy
from strategies.optuna_sampler import StrategySampler

every_strategy = pytest.mark.parametrize("name", STRATEGIES)
X = FloatDistribution(-5.0, 5.0)
Y = FloatDistribution(1e-4, 10.0, log=True)


@pytest.mark.parametrize("name", ["bo", "ga"])  # the sampler is the same around all; a model, and none
class TestOptunasOwnCases(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self, name):
        return lambda: StrategySampler(name, seed=0)


def new_study(name="bo", seed=0, **options):
    return optuna.create_study(sampler=StrategySampler(name, seed=seed), **options)


def bowl(trial):
    return (trial.suggest_float("x", -5, 5) - 2) ** 2 + (math.log10(trial.suggest_float("y", 1e-4, 10, log=True))) ** 2


def params(study):
    return [trial.params for trial in study.trials]


def told(study):
    """The outcomes known to the strategy behind a study's sampler at the next ask."""
    study.ask().suggest_float("x", -5, 5)
    return study.sampler._search._strategy


@every_strategy
def test_the_same_seed_reproduces_a_study(name):
    first, again = new_study(name), new_study(name)
    first.optimize(bowl, n_trials=12)
    again.optimize(bowl, n_trials=12)
    assert params(first) == params(again)


@every_strategy
def test_maximising_mirrors_minimising(name):
    low, high = new_study(name), new_study(name, direction="maximize")
    low.optimize(bowl, n_trials=14)
    high.optimize(lambda trial: -bowl(trial), n_trials=14)
    assert params(low) == params(high)


@every_strategy
def test_failed_pruned_and_nan_trials_are_handled(name):
    def objective(trial):
        loss = bowl(trial)
        if trial.number % 4 == 1:
            raise FloatingPointError
        if trial.number % 4 == 2:
            trial.report(loss, 3)
            raise optuna.TrialPruned
        return math.nan if trial.number % 4 == 3 else loss

    study = new_study(name)
    study.optimize(objective, n_trials=16, catch=FloatingPointError)
    assert [trial.state for trial in study.trials[:4]] == [
        TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.FAIL,
    ]  # fmt: skip
    assert len({tuple(p.values()) for p in params(study)}) == 16


@every_strategy
def test_a_finite_space_is_exhausted_before_it_repeats(name):
    def objective(trial):
        return float(trial.suggest_categorical("a", ["p", None, True]) is None) + trial.suggest_int("b", 2, 6, step=2)

    study = new_study(name)
    study.optimize(objective, n_trials=13)
    cells = [(str(p["a"]), p["b"]) for p in params(study)]
    assert len(set(cells[:9])) == 9
    assert set(cells[9:]) <= set(cells[:9])


@pytest.mark.parametrize("name", ["bo", "tpe", "ga", "hyperopt"])
def test_the_strategy_beats_random_draws(name):
    def best(sampler):
        found = []
        for seed in range(3):
            study = optuna.create_study(sampler=sampler(seed))
            study.optimize(bowl, n_trials=30)
            found.append(math.log(study.best_value))
        return sum(found)

    assert best(lambda seed: StrategySampler(name, seed=seed)) < best(optuna.samplers.RandomSampler)


def test_threads_share_pending_proposals_and_lose_no_trial():
    study = new_study("bo")
    study.optimize(bowl, n_trials=24, n_jobs=4)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 24
    assert len({tuple(p.values()) for p in params(study)}) == 24
    strategy = told(study)
    assert len(strategy.outcomes) == 24
    assert len(strategy.pending) == 1  # what the question itself has asked for


def test_trials_of_other_samplers_are_learned():
    study = new_study("bo")
    study.add_trial(create_trial(params={"x": 1.0, "y": 1.0}, distributions={"x": X, "y": Y}, value=1.0))
    study.add_trial(create_trial(params={"x": 4.0}, distributions={"x": X}, value=9.0))
    study.add_trial(create_trial(state=TrialState.PRUNED, params={"x": 2.0}, distributions={"x": X}))
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.add_trial(
        create_trial(
            state=TrialState.PRUNED,
            params={"x": "out"},
            distributions={"x": CategoricalDistribution(["out"])},
            intermediate_values={0: 1.0},
        )
    )
    strategy = told(study)
    assert [outcome.loss for outcome in strategy.outcomes.values()] == [1.0, 9.0, None]
    assert [outcome.proposal.config for outcome in strategy.outcomes.values()] == [{"x": 0.6}, {"x": 0.9}, {"x": 0.7}]


def test_a_loaded_study_resumes(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(study_name="mine", storage=url).optimize(bowl, n_trials=6)
    study = optuna.load_study(study_name="mine", storage=url, sampler=StrategySampler("bo", seed=0))
    study.optimize(bowl, n_trials=3)
    assert len(told(study).outcomes) == 9


@every_strategy
def test_enqueued_values_replace_the_proposed_ones(name):
    study = new_study(name)
    study.optimize(bowl, n_trials=9)
    study.enqueue_trial({"x": 1.25})
    study.enqueue_trial({"x": -1.25, "y": 1.0})
    study.optimize(bowl, n_trials=8)
    assert [p["x"] for p in params(study)[9:11]] == [1.25, -1.25]
    strategy = told(study)
    learner = strategy._inner._inner if name == "auto" else strategy
    configs = [outcome.proposal.config for outcome in learner.outcomes.values()]
    assert configs[9]["x"] == 0.625
    assert configs[10] == {"x": 0.375, "y": 0.8}


def test_a_trial_with_values_outside_the_space_is_ignored():
    study = new_study("bo")
    study.optimize(bowl, n_trials=3)
    trial = study.ask()
    trial.suggest_float("x", -5, 5)
    study.enqueue_trial({"x": 0.0, "y": 0.5})
    other = study.ask()
    other.suggest_float("x", -5, 5)
    study.tell(other, state=TrialState.FAIL)
    study.tell(trial, state=TrialState.FAIL)
    study.add_trial(
        create_trial(
            state=TrialState.PRUNED, params={"x": 7.0, "y": 1.0}, distributions={"x": FloatDistribution(5, 9), "y": Y}
        )
    )
    assert len(told(study).outcomes) == 4  # three complete, one failed where it was proposed


@every_strategy
def test_a_pickled_sampler_continues_like_the_original(name):
    study = new_study(name)
    study.optimize(bowl, n_trials=11)
    twin = optuna.create_study(sampler=pickle.loads(pickle.dumps(study.sampler)))
    twin.sampler._study = (twin.study_name, twin._study_id)
    twin.add_trials(study.trials)
    study.optimize(bowl, n_trials=4)
    twin.optimize(bowl, n_trials=4)
    assert params(study) == params(twin)


def test_reseeding_changes_the_draws_and_keeps_the_history():
    study, twin = new_study("random"), new_study("random")
    for each in (study, twin):
        each.optimize(bowl, n_trials=5)
    twin.sampler.reseed_rng()
    assert len(told(twin).outcomes) == len(told(study).outcomes) == 5
    assert params(study)[:5] == params(twin)[:5]
    assert params(study)[5] != params(twin)[5]


@pytest.mark.parametrize("name", ["bo", "auto"])
def test_reseeding_reaches_the_initial_design_and_the_parts_of_a_strategy(name):
    study, twin = new_study(name), new_study(name)
    for each in (study, twin):
        each.optimize(bowl, n_trials=3)
    twin.sampler.reseed_rng()
    for each in (study, twin):
        each.optimize(bowl, n_trials=1)
    assert params(study)[:3] == params(twin)[:3]
    assert params(study)[3] != params(twin)[3]


def test_one_sampler_serves_one_study_after_another():
    sampler = StrategySampler("bo", seed=0)
    for _ in range(2):
        study = optuna.create_study(sampler=sampler)
        study.optimize(bowl, n_trials=4)
        assert len(told(study).outcomes) == 4


def test_it_works_with_a_pruner_that_filters_the_study():
    def objective(trial):
        loss = bowl(trial)
        for step in range(9):
            trial.report(loss + 1 / (1 + step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss

    study = new_study("bo", pruner=optuna.pruners.HyperbandPruner(max_resource=9))
    study.optimize(objective, n_trials=30)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(1e-12, 1e-11, log=True),
        FloatDistribution(1e9, 1e9 + 1e-3),
        FloatDistribution(0.0, 1e6, step=1e-6),
        FloatDistribution(-1.0, 0.8, step=0.3),
        IntDistribution(-(2**60), 2**60),
        IntDistribution(1, 2**40, log=True),
        IntDistribution(3, 17, step=7),
        CategoricalDistribution([None, True, 1.5, "a", math.nan, 2]),
    ],
    ids=str,
)
def test_all_distributions_round_trip_through_the_strategy(distribution):
    study = new_study("bo")
    for i in range(12):
        trial = study.ask({"a name: [of] any kind": distribution, "x": X})
        study.tell(trial, float(i % 5))
    search = study.sampler._search
    study.ask({"x": X})
    assert len(search._strategy.outcomes) == 12
    # None but the first came from elsewhere: what was proposed came back as it was.
    assert [trial for trial in search._strategy.outcomes if trial < 0] == [-1]


def test_a_suggestion_does_not_rebuild_the_strategy():
    study = new_study("bo")
    study.optimize(bowl, n_trials=5)
    strategy = told(study)
    study.optimize(bowl, n_trials=3)
    assert told(study) is strategy


def test_several_objectives_are_rejected_with_an_alternative():
    study = new_study("bo", directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match=r"one objective, but this study has 2; use .*NSGAIISampler"):
        study.optimize(lambda trial: (bowl(trial), 2.0), n_trials=1)


def test_invalid_arguments_are_rejected():
    with pytest.raises(UnknownStrategy, match="did you mean 'cmaes'"):
        StrategySampler("cmae")
    with pytest.raises(ValueError, match=r"stops trials early, .* StrategySampler\('tpe'\)"):
        StrategySampler("tpe+asha")
    with pytest.raises(ValueError, match=r"must be a whole number in \[0, 2\*\*32\), got -1"):
        StrategySampler("bo", seed=-1)
