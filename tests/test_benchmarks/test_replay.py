"""Simulated tasks, the virtual clock, and the commands of the comparison."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from ConfigSpace import Configuration

from automl.errors import UserError
from automl.space.parse import load_space
from automl.study.study import Study
from automl.study.trial import TellEntry
from automl.tuning.final_evaluation import final_seed
from automl.tuning.tuner import Tuner
from benchmarks.runner.costs import strategy_seconds
from benchmarks.runner.replay import ReplayExecutor
from benchmarks.runner.simulate import N_FRESH, Run, simulate, strategy_seed
from benchmarks.suites import SUITES, load_suite
from benchmarks.suites.base import Curve, SimulatedTask
from benchmarks.suites.tables import _PlainUnpickler
from strategies import STRATEGIES, make_strategy
from strategies.encoding import Encoding


@dataclass(frozen=True)
class Ramp(SimulatedTask):
    """A config x takes 1 + x seconds per epoch and has loss x / epoch."""

    def curve(self, config, seed, epochs):
        epochs = np.arange(1, self.max_epochs + 1)
        return Curve(config["x"] / epochs, np.full(self.max_epochs, 1.0 + config["x"]))

    def final_loss(self, config):
        return config["x"] / self.max_epochs


RAMP = Ramp("test", "ramp", "development", load_space({"x": {"float": [0, 10]}}), max_epochs=4)


def run(n_workers: int, strategy: str = "random", seconds=lambda n: 0.0, n_trials: int = 12) -> Study:
    study = Study(RAMP.space, RAMP.max_epochs)
    chosen = make_strategy(strategy, RAMP.space, seed=0, n_trials=n_trials, max_epochs=RAMP.max_epochs)
    Tuner(RAMP, chosen, study, ReplayExecutor(RAMP, n_workers, seconds), n_trials=n_trials, seed=0).run()
    return study


def test_one_workers_clock_is_the_sum_of_the_trainings():
    study = run(1)
    assert study.clock == pytest.approx(sum(4 * (1 + t.config["x"]) for t in study.trials.values()))
    assert all(t.losses == pytest.approx([t.config["x"] / e for e in (1, 2, 3, 4)]) for t in study.trials.values())


def test_several_workers_train_concurrently_with_events_in_time_order():
    study = run(3)
    told = [entry for entry in study.log if isinstance(entry, TellEntry)]
    assert [entry.at for entry in told] == sorted(entry.at for entry in told)
    total = sum(4 * (1 + t.config["x"]) for t in study.trials.values())
    assert total / 3 <= study.clock < total
    # The first three start at 0; the shortest is told first.
    first = min((study.trials[i] for i in range(3)), key=lambda t: t.config["x"])
    assert told[0].outcome.proposal.trial == first.number
    assert told[0].at == pytest.approx(4 * (1 + first.config["x"]))


def test_the_strategys_own_seconds_are_charged():
    free, charged = run(1), run(1, seconds=lambda n_steps: 0.5)
    assert charged.clock == pytest.approx(free.clock + 0.5 * (2 * 12 - 1))  # the last tell comes after the last outcome


@pytest.mark.parametrize("strategy", ["tpe", "ga"])
def test_a_replay_is_deterministic(strategy):
    def log(study):
        return [(entry.outcome, entry.at) if isinstance(entry, TellEntry) else entry.proposal for entry in study.log]

    assert log(run(4, strategy)) == log(run(4, strategy))


SIMULATED = [task for suite in ("tables", "synthetic") for task in load_suite(suite) if task.split == "development"]


def test_the_split_is_as_documented():
    assert sum(task.suite == "synthetic" for task in SIMULATED) == 12 * 5
    assert sum(task.suite == "tables" for task in SIMULATED) == 8
    assert len(load_suite("synthetic")) == 24 * 5
    assert len(load_suite("tables")) == 15


@pytest.mark.parametrize("task", SIMULATED[:8] + SIMULATED[8::7], ids=lambda task: task.name)
def test_simulated_tasks_support_any_config(task):
    encoding, rng = Encoding(task.space), np.random.default_rng(0)
    worths = []
    for _ in range(40):
        config = encoding.decode(rng.random(len(encoding.dimensions)))
        Configuration(task.space, values=config)
        curve = task.curve(config, int(rng.integers(99)), task.max_epochs)
        assert curve.losses.shape == curve.seconds.shape == (task.max_epochs,)
        assert np.isfinite(curve.losses).all()
        assert (curve.seconds > 0).all()
        worths.append(task.final_loss(config))
    assert min(worths) >= task.best - 1e-9
    assert min(worths) < task.reference < max(worths)
    assert task.provenance


def test_the_optimum_of_a_bbob_function_is_zero():
    import ioh

    for function in (1, 10, 21):
        task = next(t for t in SIMULATED if t.name == f"f{function:02d}-5d")
        optimum = ioh.get_problem(function, 1, 5, ioh.ProblemClass.BBOB).optimum.x
        assert task.final_loss({f"x{i}": x for i, x in enumerate(optimum)}) == pytest.approx(0.0, abs=1e-8)


def test_a_table_gives_its_own_trainings_and_their_mean():
    task = next(t for t in SIMULATED if t.name == "hpobench-car")
    config = Encoding(task.space).default
    losses = {float(task.curve(config, seed, 1).losses[0]) for seed in range(5)}
    assert 1 < len(losses) <= 5
    assert task.final_loss(config) == pytest.approx(
        np.mean([task.curve(config, seed, 1).losses[0] for seed in range(5)])
    )


def test_tables_are_read_without_executing_code():
    import io
    import os
    import pickle

    class Evil:
        def __reduce__(self):
            return (os.system, ("true",))

    with pytest.raises(pickle.UnpicklingError, match="only plain containers are allowed"):
        _PlainUnpickler(io.BytesIO(pickle.dumps(Evil()))).load()


def test_unknown_suites_and_missing_data_are_reported_in_one_line(monkeypatch):
    with pytest.raises(UserError, match="unknown suite 'tabels'; did you mean 'tables'"):
        load_suite("tabels")
    monkeypatch.setenv("YAHPO_DATA", "/nowhere")
    with pytest.raises(UserError, match="set YAHPO_DATA"):
        load_suite("yahpo")
    assert "yahpo" in SUITES


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_costs_are_known_for_every_strategy(strategy):
    seconds = strategy_seconds(strategy, 8)
    assert all(seconds(n) >= 0 for n in (0, 10, 100, 5000))
    assert math.isfinite(seconds(10_000))


def test_a_run_is_a_tidy_table():
    which = Run("tables", "hpobench-car", "random", seed=1, n_trials=6, n_workers=2)
    task = next(task for task in load_suite("tables") if task.name == which.task)
    rows = pd.DataFrame(simulate(which, task, lambda n: 0.0))
    assert list(rows["at_epochs"]) == [1, 2, 3, 4, 5, 6]
    assert rows["at_seconds"].is_monotonic_increasing
    assert not rows["failed"].any()
    assert all(Configuration(task.space, values=json.loads(text)) for text in rows["config"])


@pytest.mark.slow
def test_the_commands_from_runs_to_the_leaderboard(tmp_path):
    command = [
        sys.executable, "-m", "benchmarks.run", "--suite", "quick", "--strategies", "random,sobol", "--seeds", "2",
        "--trials", "10", "--jobs", "1", "--out", str(tmp_path / "runs"),
    ]  # fmt: skip
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "44 of 44 runs to do" in first.stdout.replace("\n", " ")
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "0 of 44 runs to do" in again.stdout.replace("\n", " ")
    report = [sys.executable, "-m", "benchmarks.report", str(tmp_path / "runs"), "--out", str(tmp_path / "leaderboard")]
    subprocess.run(report, capture_output=True, text=True, check=True)
    text = (tmp_path / "leaderboard.md").read_text()
    assert "too few tasks: 4 tasks say little about other tasks" in text
    assert all(name in text for name in ("| random |", "| sobol |", "| random x2 |", "| default |"))
    assert (tmp_path / "leaderboard-tables.png").read_bytes().startswith(b"\x89PNG")
    wrong = subprocess.run([*command, "--suite", "nope"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("benchmarks: unknown suite 'nope'")


def test_constants_are_complete_for_the_development_tasks():
    from benchmarks.suites.base import constants

    known = constants()
    assert all(f"{task.suite}/{task.name}" in known for task in SIMULATED)
    assert all(c["best"] < c["reference"] and c["seconds"] > 0 for c in known.values())
    json.dumps(known, allow_nan=False)


def test_the_returned_config_is_the_best_contender_on_fresh_seeds_or_the_default():
    task = load_suite("recorded")[0]
    run = Run("recorded", task.name, "random", 1, 8)
    rows = pd.DataFrame(simulate(run, task, lambda n: 0.0))
    ends = rows[rows["returned"].notna()]
    assert (ends["at_epochs"] / task.max_epochs).tolist() == [4, 8]  # half of its budget is that of the others
    study = Study(task.space, task.max_epochs)
    strategy = make_strategy(
        "random", task.space, seed=strategy_seed(run.suite, run.task, run.seed), n_trials=8, max_epochs=task.max_epochs
    )
    Tuner(task, strategy, study, ReplayExecutor(task, 1, lambda n: 0.0), n_trials=8, seed=1).run()
    default = Encoding(task.space).default
    trials = sorted(study.trials.values(), key=lambda trial: trial.loss)
    best = [trial.config for trial in trials if trial.config != default][:3]
    compared = [*best, default]
    seeds = [final_seed(1, i) for i in range(N_FRESH)]
    fresh = [np.mean([task.curve(config, seed, task.max_epochs).losses[-1] for seed in seeds]) for config in compared]
    returned = compared[int(np.argmin(fresh))]
    assert ends["returned"].iloc[-1] == pytest.approx(task.retrained(returned, seeds))
    assert set(rows.loc[rows["retrained"].notna(), "trial"]) >= {0}  # the default's is known too
    assert [json.loads(text) for text in rows.loc[rows["is_returned"], "config"].unique()] == [returned]
    budget_of_many = simulate(Run("recorded", task.name, "random", 1, 60), task, lambda n: 0.0)
    assert [i for i, row in enumerate(budget_of_many, 1) if row["returned"] is not None] == [10, 20, 30, 50, 60]
