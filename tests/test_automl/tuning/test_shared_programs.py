"""A search whose trainings share programs: packs of one shape, each lane told as a trial of its own."""

import json
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import automl
from automl.space.parse import load_space
from automl.study.trial import AskEntry
from automl.task import Epoch, TrainingFailed
from automl.tasks.registry import load_task
from automl.tuning.tuner import Tuner
from strategies.base import Strategy

OPTIONS = {"strategy": "random", "n_trials": 12, "lanes": 4, "progress": False}


@dataclass(frozen=True)
class Lined:
    """Its loss is x; trainings of one width share a program, which may break, and x close to 1 fails."""

    breaks: str | None = None
    name: str = "lined"
    max_epochs: int = 3
    resumable: bool = False
    metric: str = "loss"
    maximize: bool = False

    @property
    def space(self):
        return load_space({"x": {"float": [0, 1]}, "width": {"ordinal": [1, 2, 3]}})

    def lane_key(self, config):
        return config["width"] if config["width"] < 3 else None

    def train(self, config, *, seed, epochs, checkpoint, device):
        for number in range(1, epochs + 1):
            yield Epoch(number, config["x"], {"lanes": 0.0}, 0.1)

    def train_lanes(self, lanes, *, device, is_stopped):
        assert len({lane.config["width"] for lane in lanes}) == 1
        for number in range(1, max(lane.epochs for lane in lanes) + 1):
            for lane in lanes:
                if lane.config["x"] > 0.95:
                    if number == 1:
                        yield lane.key, TrainingFailed("too large")
                elif number <= lane.epochs and not is_stopped(lane.key):
                    yield lane.key, Epoch(number, lane.config["x"], {"lanes": float(len(lanes))}, 0.1)
            if self.breaks is not None and Path(lanes[0].folder).name.startswith("0000.") and number == 2:
                if self.breaks == "raises":
                    raise RuntimeError("the program is broken")
                first_time = not Path(lanes[0].folder, "../killed").exists()
                Path(lanes[0].folder, "../killed").touch()
                if first_time:
                    os.kill(os.getpid(), signal.SIGTERM if self.breaks == "is killed" else signal.SIGSEGV)

    def test(self, checkpoint, device):
        return {"loss": 0.25}


class StopsLarge(Strategy):
    """Random proposals, stopped after two epochs where the loss is above a half."""

    def __init__(self, space, **options):
        super().__init__(space, **options)
        from strategies import make_strategy

        self.inner = make_strategy("random", space, **options)

    def ask(self):
        return self.inner.ask()

    def ask_alike(self, first, key):
        return self.inner.ask_alike(first, key)

    def tell(self, outcome):
        self.inner.tell(outcome)

    def restore(self, proposal):
        self.inner.restore(proposal)

    def should_stop(self, proposal, losses):
        return len(losses) >= 2 and losses[-1] > 0.5

    @property
    def exhausted(self):
        return False


def packs(result):
    found = {}
    for trial in result.trials:
        found.setdefault(trial.proposals[0].info.get("alike", trial.number), []).append(trial)
    return list(found.values())


@pytest.mark.parametrize("n_workers", [1, 2])
def test_trials_of_one_shape_share_programs_and_the_budget_holds(n_workers):
    result = automl.tune(Lined(), n_workers=n_workers, **OPTIONS | {"n_trials": 60})
    kinds = Counter()
    for pack in packs(result):
        assert len({trial.config["width"] for trial in pack}) == 1
        shares = pack[0].config["width"] < 3
        assert len(pack) == 1 or shares
        for trial in pack:
            failed = shares and trial.config["x"] > 0.95
            kinds[shares, failed] += 1
            assert trial.error == ("too large" if failed else None)
            if not failed:
                assert trial.losses == [trial.config["x"]] * 3
                assert trial.metrics["lanes"] == [len(pack) if shares else 0.0] * 3
    assert kinds.total() == 60
    assert kinds.keys() == {(True, False), (True, True), (False, False)}
    assert max(len(pack) for pack in packs(result)) == 4


def test_towards_the_end_of_the_budget_each_worker_has_trainings():
    space = {"x": {"float": [0, 0.9]}, "width": {"constant": 1}}
    result = automl.tune(Lined(), space, n_workers=2, **OPTIONS | {"n_trials": 6})
    assert [len(pack) for pack in packs(result)] == [3, 3]


def test_each_training_has_its_own_seed_and_a_lane_that_fails_fails_alone():
    result = automl.tune(Lined(), **OPTIONS | {"n_trials": 60})
    failed = [trial for trial in result.trials if trial.error is not None]
    assert [trial.error for trial in failed] == ["too large"] * len(failed)
    assert any(len(pack) > 1 and 0 < sum(t.error is not None for t in pack) < len(pack) for pack in packs(result))


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_lane_is_stopped_and_the_others_go_on(n_workers):
    result = automl.tune(Lined(), **OPTIONS | {"strategy": StopsLarge, "n_workers": n_workers, "n_trials": 24})
    for trial in result.trials:
        if trial.error is None:
            assert (trial.state, len(trial.losses)) == (("stopped", 2) if trial.config["x"] > 0.5 else ("complete", 3))
    assert {"stopped", "complete"} <= {trial.state for trial in result.trials}


def test_a_parallel_run_repeats_itself(tmp_path):
    runs = [
        automl.tune(
            Lined(), study=tmp_path / str(i), **OPTIONS | {"n_workers": 2, "reproducible": True, "strategy": "bo"}
        )
        for i in range(2)
    ]
    first, second = ([(t.config, t.losses, t.proposals) for t in run.trials] for run in runs)
    assert first == second


@pytest.mark.parametrize("breaks", ["raises", "dies"])
def test_trainings_of_a_program_that_breaks_are_trained_alone(breaks, tmp_path):
    result = automl.tune(Lined(breaks), n_workers=2, study=tmp_path / "run", **OPTIONS)
    assert [(trial.error, len(trial.losses)) for trial in result.trials] == [(None, 3)] * 12
    broken = packs(result)[0]
    events = [json.loads(line) for line in (tmp_path / "run" / "run.log").read_text().splitlines()]
    [apart] = [event for event in events if event["event"] == "apart"]
    assert set(apart["trials"]) == {trial.number for trial in broken}
    assert len(broken) > 1
    for number in apart["trials"]:
        assert result.trials[number].metrics["lanes"] == [0.0] * 3


def test_a_program_whose_process_is_killed_from_outside_is_trained_again(tmp_path):
    with pytest.warns(UserWarning, match="is trained again: "):
        result = automl.tune(Lined("is killed"), n_workers=2, study=tmp_path / "run", **OPTIONS)
    pack = packs(result)[0]
    assert all(trial.metrics["lanes"] == [len(pack)] * 3 for trial in pack)


@pytest.mark.parametrize("n_asked", [1, 2, 3, 5, 6, 9])
def test_a_run_killed_while_it_asks_for_a_pack_ends_as_the_uninterrupted_one(n_asked, tmp_path, monkeypatch):
    options = OPTIONS | {"strategy": "bo", "n_trials": 16}
    whole = automl.tune(Lined(), study=tmp_path / "whole", **options)

    class Killed(BaseException):
        pass

    def dies(self, ask, asked=Tuner._ask):
        proposal = asked(self, ask)
        if sum(isinstance(entry, AskEntry) for entry in self.study.log) == n_asked:
            raise Killed
        return proposal

    with monkeypatch.context() as patch:
        patch.setattr(Tuner, "_ask", dies)
        with pytest.raises(Killed):
            automl.tune(Lined(), study=tmp_path / "run", **options)
    resumed = automl.tune(Lined(), study=tmp_path / "run", resume=True, **options)
    assert [(t.config, t.losses, t.metrics) for t in resumed.trials] == [
        (t.config, t.losses, t.metrics) for t in whole.trials
    ]


def test_a_run_is_resumed_without_lanes(tmp_path, monkeypatch):
    def interrupts(tuner):
        tuner.interrupted = sum(len(r.losses) for r in tuner.running.values()) > 2

    with monkeypatch.context() as patch:
        patch.setattr("automl.runs.search.Tuner", lambda *a, **kw: Tuner(*a, **kw | {"watch": interrupts}))
        with pytest.warns(UserWarning, match="interrupted: the result has .* finished trial"):
            first = automl.tune(Lined(), study=tmp_path / "run", **OPTIONS)
    assert first.stop_reason == "interrupted"
    rest = automl.tune(Lined(), study=tmp_path / "run", resume=True, **OPTIONS | {"lanes": 1})
    assert [len(trial.losses) for trial in rest.trials if trial.error is None] == [3] * sum(
        trial.error is None for trial in rest.trials
    )
    assert rest.trials[-1].metrics["lanes"] == [0.0] * 3


@dataclass(frozen=True)
class Uneven(Lined):
    """The first program goes on for a while after its first lane and all other programs have ended."""

    resumable: bool = True

    def train(self, config, *, seed, epochs, checkpoint, device):
        for number in range(1 + len(list(checkpoint.iterdir())), epochs + 1):
            (checkpoint / str(number)).touch()
            yield Epoch(number, config["x"], {"lanes": 0.0}, 0.1)

    def train_lanes(self, lanes, *, device, is_stopped):
        first_ended, others_ended = (Path(lanes[0].folder).parent / name for name in ("first-ended", "others-ended"))
        if lanes[0].key != 0:
            wait_for(first_ended)
        for lane in lanes:
            if lane.key == 1:
                first_ended.touch()
                wait_for(others_ended)
                time.sleep(1)
            Path(lane.folder, "1").touch()
            yield lane.key, Epoch(1, lane.config["x"], {"lanes": float(len(lanes))}, 0.1)
        if lanes[0].key != 0:
            others_ended.touch()


def wait_for(sign):
    until = time.monotonic() + 60
    while not sign.exists() and time.monotonic() < until:
        time.sleep(0.02)


class Promotes(StopsLarge):
    """Random trials of one epoch; once three were told, the first goes on to the end."""

    def __init__(self, space, **options):
        super().__init__(space, **options)
        self.first, self.told = None, set()

    def ask(self):
        if {0, 2, 3} <= self.told:
            self.told.clear()
            return replace(self.first, epochs=self.max_epochs)
        proposal = replace(self.inner.ask(), epochs=1)
        self.first = self.first or proposal
        return proposal

    def ask_alike(self, first, key):
        proposal = self.inner.ask_alike(first, key)
        return None if proposal is None else replace(proposal, epochs=1)

    def tell(self, outcome):
        self.inner.tell(outcome)
        self.told.add(outcome.proposal.trial)

    def should_stop(self, proposal, losses):
        return False


def test_a_lane_that_is_promoted_waits_for_the_end_of_its_program():
    space = {"x": {"float": [0, 0.9]}, "width": {"constant": 1}}
    options = OPTIONS | {"strategy": Promotes, "n_trials": 4, "lanes": 2, "n_workers": 2}
    result = automl.tune(Uneven(), space, **options)
    assert [trial.error for trial in result.trials] == [None] * 10
    assert result.trials[0].metrics["lanes"] == [2.0, 0.0, 0.0]
    assert [trial.metrics["lanes"] for trial in result.trials[1:4]] == [[2.0]] * 3


def test_a_real_search_with_early_stopping_in_lanes(tmp_path):
    task = load_task("mnist1d-cnn", train_size=100)
    result = automl.tune(
        task, strategy="auto", n_trials=2, max_epochs=9, lanes=3, seed=1, progress=False, study=tmp_path / "run"
    )
    assert not [trial.error for trial in result.trials if trial.error]
    assert any(len(pack) > 1 for pack in packs(result))
    assert result.best is not None
