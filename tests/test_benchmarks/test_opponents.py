"""Contract tests of every opponent, and tests specific to each."""

import importlib.util
import json
import logging
import random
import tempfile
from dataclasses import dataclass

import numpy as np
import pytest
from ConfigSpace import Configuration

from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.study import Study
from automl.tuning.tuner import Tuner
from benchmarks import opponents
from benchmarks.opponents import OPPONENTS, installed, make, opponent_class
from benchmarks.opponents.base import MAX_FORBIDDEN, Opponent
from benchmarks.runner.replay import ReplayExecutor
from benchmarks.suites import load_suite
from benchmarks.suites.base import Curve, SimulatedTask
from strategies import STRATEGIES
from strategies.base import Outcome, Proposal
from strategies.encoding import Encoding
from strategies.errors import UnknownStrategy
from strategies.random_search import RandomSearch

SPACE = load_space(
    {
        "optimizer": {"choice": ["sgd", "adamw"], "default": "adamw"},
        "momentum": {"float": [0.0, 0.99], "when": {"optimizer": "sgd"}},
        "nesterov": {"choice": [True, False], "when": {"optimizer": "sgd"}},
        "lr": {"float": [1e-5, 1e-1], "log": True},
        "layers": {"int": [1, 3]},
        "units2": {"int": [4, 64], "log": True, "when": {"layers": [2, 3]}},
        "beta": {"float": [0.5, 0.999], "when": {"optimizer": "adamw", "layers": [1, 2]}},
        "batch_size": {"ordinal": [16, 32, 64]},
        "bias": {"choice": [True, False]},
        "one": {"int": [3, 3]},
        "forbidden": [{"optimizer": "sgd", "batch_size": 64}, {"bias": False, "layers": 3}],
    }
)
N_TRIALS = 11  # one more than scikit-optimize draws at random; SMAC draws a quarter of its budget

NOT_IN_CI = {"raw-ax", "raw-neps", "raw-neps-hyperband"}  # tested where they are installed
HERE = [name for name in OPPONENTS if name not in NOT_IN_CI or name in installed()]
NEED_EPOCHS = {"raw-dehb", "raw-neps-hyperband"}
LENGTHS = (1, 3, 9, 27)  # epochs of a training in these
NO_DEFAULT = {"raw-dehb"}  # cannot be given the default config

every_opponent = pytest.mark.parametrize("name", HERE)


def loss_of(config: dict) -> float:
    return abs(np.log10(config["lr"]) + 3) + 0.1 * config["layers"] + (config["optimizer"] == "sgd")


def told(proposal: Proposal, failed: bool = False) -> Outcome:
    return Outcome(
        proposal, () if failed else (loss_of(proposal.config),), 1.0, "CUDA out of memory" if failed else None
    )


def fewest_epochs(name: str) -> int:
    return LENGTHS[-1] if name in NEED_EPOCHS else 1


def run(name: str, failures: tuple[int, ...] = (0, 3, 9), seed: int = 3) -> list[Proposal]:
    """Three asks before the first tell, then asks and tells in turn."""
    opponent = make(name, SPACE, seed=seed, n_trials=N_TRIALS, n_workers=3, max_epochs=fewest_epochs(name))
    proposals = [opponent.ask() for _ in range(3)]
    for i in range(N_TRIALS):
        if i == len(proposals):
            proposals.append(opponent.ask())
        opponent.tell(told(proposals[i], failed=i in failures))
    return proposals


@pytest.fixture(scope="module", params=HERE)
def twice(request) -> tuple[list[Proposal], list[Proposal]]:
    """Two runs with the same seed, with failures, under different global random states, which must not change."""
    opponent_class(request.param)  # importing a library may draw a number
    runs = []
    for global_seed in (1, 2):
        random.seed(global_seed)
        np.random.seed(global_seed)  # noqa: NPY002
        states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        runs.append(run(request.param))
        assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002
    return runs[0], runs[1]


def test_every_opponent_is_installed_here():
    assert installed() == HERE


def test_configs_are_legal_and_plain(twice):
    for proposal in twice[0]:
        Configuration(SPACE, values=proposal.config)  # raises for illegal, inactive, missing or forbidden values
        assert {type(value) for value in proposal.config.values()} <= {bool, int, float, str}
        assert list(proposal.config) == [name for name in Encoding(SPACE).names if name in proposal.config]
        assert proposal.epochs in LENGTHS
    assert [proposal.trial for proposal in twice[0]] == list(range(N_TRIALS))


def test_the_default_comes_first(twice, request):
    default = Encoding(SPACE).default
    first = twice[0][0].config
    is_default = first.keys() == default.keys() and all(
        first[name] == (pytest.approx(v) if isinstance(v, float) else v) for name, v in default.items()
    )
    assert is_default == (request.node.callspec.params["twice"] not in NO_DEFAULT)


def test_the_same_seed_gives_the_same_proposals(twice):
    assert twice[0] == twice[1]
    assert len({json.dumps(proposal.config) for proposal in twice[0]}) > N_TRIALS // 2


@pytest.mark.parametrize("name", [name for name in HERE if name not in NEED_EPOCHS])
def test_a_simulated_task_runs_to_the_end_of_its_budget(name):
    task = next(task for task in load_suite("tables") if task.name == "hpobench-car")
    study = Study(task.space, task.max_epochs)
    opponent = make(name, task.space, seed=1, n_trials=12, max_epochs=task.max_epochs)
    Tuner(task, opponent, study, ReplayExecutor(task, 1, lambda n: 0.0), n_trials=12, seed=1).run()
    assert len(study.trials) == 12
    assert study.trials[0].config == Encoding(task.space).default
    assert study.best.loss < 0.5


@pytest.mark.parametrize("max_epochs", [4, 1])
def test_one_epoch_spends_its_budget_on_single_epochs_and_trains_the_best_fully(max_epochs):
    reference = make("one-epoch", SPACE, seed=1, n_trials=3, max_epochs=max_epochs)
    proposals = [reference.ask() for _ in range(2 * max_epochs + 1)]
    assert {proposal.epochs for proposal in proposals} == {1}
    assert proposals[0].config == Encoding(SPACE).default
    if max_epochs == 1:
        return
    assert reference.ask() is None  # the last one may be the best
    losses = [loss_of(proposal.config) for proposal in proposals]
    for proposal in proposals:
        reference.tell(told(proposal))
    first, second = sorted(range(len(losses)), key=losses.__getitem__)[:2]
    whole = reference.ask()
    assert (whole.trial, whole.config, whole.epochs) == (first, proposals[first].config, 4)
    assert sum(p.epochs for p in proposals) - 1 + whole.epochs == 3 * 4  # all of the budget
    reference.tell(told(whole, failed=True))
    assert reference.ask().trial == second


@pytest.mark.parametrize("name", [name for name in HERE if name != "one-epoch"])
def test_runs_cannot_be_resumed(name):
    opponent = make(name, SPACE, seed=0, n_trials=5, max_epochs=fewest_epochs(name))
    proposal = opponent.ask()
    with pytest.raises(NotImplementedError, match="cannot be resumed"):
        opponent.restore(proposal)
    opponent.tell(told(proposal))
    with pytest.raises(ValueError, match="trial 0 is not pending"):
        opponent.tell(told(proposal))


def test_other_names_are_strategies():
    assert type(make("random", SPACE, seed=0)) is RandomSearch
    assert not OPPONENTS.keys() & STRATEGIES.keys()
    with pytest.raises(UnknownStrategy, match="unknown opponent 'raw-optina'; choose one of: raw-optuna"):
        opponent_class("raw-optina")


def test_a_missing_package_is_reported_in_one_line(monkeypatch):
    monkeypatch.setattr(opponents, "find_spec", lambda name: None if name == "smac" else importlib.util.find_spec(name))
    assert "raw-smac" not in installed()
    with pytest.raises(UserError, match=r"^raw-smac needs the package smac: pip install 'smac>=[\d.]+'$"):
        make("raw-smac", SPACE, seed=0)


def test_an_opponent_with_only_forbidden_configs_is_stopped():
    class Stubborn(Opponent):
        n_failures = 0

        def _ask(self):
            return self.config({dim.name: dim.default for dim in self.dimensions} | {"bias": False, "layers": 3}), None

        def _tell(self, asked, loss):
            assert loss is None
            self.n_failures += 1

    opponent = Stubborn(SPACE, seed=0)
    with pytest.raises(RuntimeError, match="1000 forbidden configs in a row"):
        opponent.ask()
    assert opponent.n_failures == MAX_FORBIDDEN


def test_a_gaussian_process_without_a_random_part_leaves_the_forbidden_region():
    space = load_space(
        {"a": {"int": [0, 9]}, "b": {"choice": ["p", "q"]}, "forbidden": [{"a": [0, 1, 2, 3], "b": ["p", "q"]}]}
    )
    opponent = make("raw-optuna-gp", space, seed=0, n_trials=14)
    for _ in range(14):
        proposal = opponent.ask()
        opponent.tell(Outcome(proposal, (float(proposal.config["a"]),), 1.0))  # best where it may not go
    assert proposal.config["a"] == 4


def test_a_gaussian_process_without_a_random_part_leaves_the_region_where_trainings_fail():
    space = load_space({"a": {"int": [0, 9]}, "b": {"choice": ["p", "q"]}})
    opponent, failed = make("raw-optuna-gp", space, seed=0, n_trials=20), []
    for _ in range(20):
        proposal = opponent.ask()
        error = "out of memory" if proposal.config["a"] < 4 else None
        failed.append(error is not None)
        opponent.tell(Outcome(proposal, () if error else (float(proposal.config["a"]),), 1.0, error))
    assert proposal.config["a"] == 4
    assert sum(failed[10:]) < 5, "of those after the random ones"


@pytest.mark.parametrize("name", [name for name in HERE if name not in NEED_EPOCHS])
def test_many_workers_may_have_to_wait_but_are_served_after_an_outcome(name):
    opponent = make(name, SPACE, seed=0, n_trials=30, n_workers=12)
    pending = [proposal for _ in range(12) if (proposal := opponent.ask()) is not None]
    assert pending
    for proposal in pending:
        opponent.tell(told(proposal))
    assert opponent.ask() is not None


@dataclass(frozen=True)
class Ramp(SimulatedTask):
    """A config x has loss x in every epoch; an epoch takes one second."""

    def curve(self, config, seed, epochs):
        return Curve(np.full(self.max_epochs, config["x"]), np.ones(self.max_epochs))

    def final_loss(self, config):
        return config["x"]


RAMP = Ramp("test", "ramp", "development", load_space({"x": {"float": [0, 10]}}), max_epochs=9)


def test_hyperband_stops_the_bad_ones_early():
    study = Study(RAMP.space, RAMP.max_epochs)
    opponent = make("raw-optuna-hyperband", RAMP.space, seed=0, n_trials=10, max_epochs=RAMP.max_epochs)
    Tuner(RAMP, opponent, study, ReplayExecutor(RAMP, 1, lambda n: 0.0), n_trials=10, seed=0).run()
    stopped = [trial for trial in study.trials.values() if len(trial.losses) < 9]
    complete = [trial for trial in study.trials.values() if len(trial.losses) == 9]
    assert len(stopped) >= 3
    assert len(study.trials) > 10  # the epochs that it saves go to more configs
    assert np.median([t.losses[-1] for t in complete]) < np.median([t.losses[-1] for t in stopped])
    states = {trial.state.name for trial in opponent.study.get_trials()}
    assert states <= {"COMPLETE", "PRUNED", "RUNNING"}
    assert "PRUNED" in states


def test_syne_tune_stops_the_bad_ones_early():
    study = Study(RAMP.space, RAMP.max_epochs)
    opponent = make("raw-syne-tune", RAMP.space, seed=0, n_trials=10, max_epochs=RAMP.max_epochs)
    Tuner(RAMP, opponent, study, ReplayExecutor(RAMP, 1, lambda n: 0.0), n_trials=10, seed=0).run()
    lengths = [len(trial.losses) for trial in study.trials.values()]
    assert set(lengths) == {1, 3, 9}
    assert len(lengths) > 20
    whole = [trial.losses[-1] for trial in study.trials.values() if len(trial.losses) == 9]
    assert np.median(whole) < np.median([trial.losses[0] for trial in study.trials.values()])


@pytest.mark.parametrize("name", [name for name in HERE if name in NEED_EPOCHS])
def test_without_epochs_hyperband_alone_is_rejected_in_one_line(name):
    with pytest.raises(UserError, match=rf"^{name} needs trainings of several epochs"):
        make(name, RAMP.space, seed=0)


@pytest.mark.parametrize("resumable", [True, False])
@pytest.mark.parametrize(
    "name", [name for name in ("raw-smac-hyperband", "raw-dehb", "raw-neps", "raw-neps-hyperband") if name in HERE]
)
def test_the_best_are_trained_longer(name, resumable):
    opponent = make(name, RAMP.space, seed=0, n_trials=8, max_epochs=RAMP.max_epochs, n_workers=2, resumable=resumable)
    study = Study(RAMP.space, RAMP.max_epochs)
    Tuner(RAMP, opponent, study, ReplayExecutor(RAMP, 2, lambda n: 0.0), n_trials=8, seed=0).run()
    longest = {}
    for trial in study.trials.values():
        longest[trial.config["x"]] = max(trial.epochs, longest.get(trial.config["x"], 0))
    assert set(longest.values()) == {1, 3, 9}
    assert len(longest) > 8
    n_continued = sum(len(trial.proposals) > 1 for trial in study.trials.values())
    if resumable:
        assert n_continued > 0
        assert len(study.trials) == len(longest)
    else:  # what cannot go on is another trial of the same config
        assert n_continued == 0
        assert len(study.trials) > len(longest)
    whole = [x for x, epochs in longest.items() if epochs == 9]
    assert np.mean(whole) < np.mean(list(longest))


def test_without_curves_hyperband_is_optuna():
    assert run("raw-optuna-hyperband", failures=()) == run("raw-optuna", failures=())


def test_hyperopt_proposals_match_its_fmin():
    from hyperopt import STATUS_OK, fmin, hp, tpe

    opponent = make("raw-hyperopt", space := load_space({"x": {"float": [-5, 5]}, "c": {"choice": ["a", "b"]}}), seed=7)
    tried = []

    def loss(config):
        tried.append({"x": config["x"], "c": "ab"[config["c"]]})
        return {"loss": config["x"] ** 2 + config["c"], "status": STATUS_OK}

    fmin(
        loss,
        {"c": hp.choice("c", [0, 1]), "x": hp.uniform("x", -5, 5)},
        algo=tpe.suggest,
        max_evals=30,
        points_to_evaluate=[{"x": 0.0, "c": 0}],
        rstate=np.random.default_rng(7),
        verbose=False,
    )
    proposed = []
    for _ in tried:
        proposal = opponent.ask()
        proposed.append(proposal.config)
        opponent.tell(Outcome(proposal, (proposal.config["x"] ** 2 + (proposal.config["c"] == "b"),), 1.0))
    assert Encoding(space).default == {"x": 0.0, "c": "a"}
    assert len(tried) == 31  # eleven of them from its model
    assert proposed == tried


def test_smac_leaves_no_files_or_log_and_does_not_change_the_space(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger()
    before = logger.level, logger.handlers[:], SPACE.random.get_state()[1].tolist()
    opponent = make("raw-smac", SPACE, seed=0, n_trials=8)
    opponent.tell(told(opponent.ask()))
    assert (logger.level, logger.handlers, SPACE.random.get_state()[1].tolist()) == before
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_smac_is_exhausted_when_it_finds_no_other_config():
    space = load_space({"a": {"choice": ["p", "q"]}, "b": {"ordinal": [1, 2]}})
    opponent = make("raw-smac", space, seed=0, n_trials=12)
    while (proposal := opponent.ask()) is not None:
        opponent.tell(Outcome(proposal, (float(proposal.config["b"]),), 1.0))
    assert opponent.exhausted


def test_nevergrad_has_no_more_pending_proposals_than_workers():
    opponent = make("raw-nevergrad", SPACE, seed=0, n_trials=10)
    proposal = opponent.ask()
    assert opponent.ask() is None
    opponent.tell(told(proposal))
    assert opponent.ask() is not None


@pytest.mark.parametrize("seed", range(3))
def test_nevergrad_does_not_start_with_the_default_twice(seed):
    opponent = make("raw-nevergrad", SPACE, seed=seed, n_trials=12)
    configs = []
    for _ in range(2):
        proposal = opponent.ask()
        configs.append(proposal.config)
        opponent.tell(Outcome(proposal, (float(len(configs)),), 1.0))
    assert configs[0] == Encoding(SPACE).default
    assert configs[1] != configs[0]


def test_nevergrad_for_several_workers_models_continuous_spaces():
    """There it chooses a metamodel, which starts after about ten trials."""

    def configs():
        space = load_space({"x": {"float": [-5, 5]}, "y": {"float": [-5, 5]}})
        opponent = make("raw-nevergrad", space, seed=0, n_trials=30, n_workers=4)
        pending, found = [opponent.ask() for _ in range(4)], []
        while len(found) < 30:
            proposal = pending.pop(0)
            found.append(proposal.config)
            loss = (proposal.config["x"] - 1) ** 2 + proposal.config["y"] ** 2
            opponent.tell(Outcome(proposal, (loss,), 1.0))
            pending.append(opponent.ask())
        return found

    assert configs() == configs()
