"""Trainings of one shape as lanes of one job."""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from automl.errors import Blocked
from automl.space.parse import load_space
from automl.study.trial import Trial
from automl.task import Epoch, TrainingFailed
from automl.tasks.function import as_task
from automl.tasks.registry import load_task
from automl.training.checkpoint import read_checkpoint
from automl.tuning.executor import SerialExecutor
from automl.tuning.final_evaluation import train_final
from automl.tuning.jobs import EpochDone, Job, JobEnded, LaneEnded, event_from_json, event_to_json
from automl.tuning.packs import packed, train_jobs
from automl.tuning.process_executor import ProcessExecutor
from benchmarks.suites.scored_task import Scored
from strategies.encoding import Encoding


@dataclass(frozen=True)
class Lined:
    """Its loss is x; trainings of one width share a program, which `breaks` or in which a large x fails."""

    breaks: str | None = None
    name: str = "lined"
    max_epochs: int = 2
    resumable: bool = False
    metric: str = "loss"
    maximize: bool = False

    @property
    def space(self):
        return load_space({"x": {"float": [0, 1]}, "width": {"ordinal": [1, 2]}})

    def lane_key(self, config):
        return config["width"] if config["x"] < 1 else None

    def train(self, config, *, seed, epochs, checkpoint, device):
        for number in range(1, epochs + 1):
            yield Epoch(number, config["x"] + seed % 7, {"alone": 1.0}, 0.5)

    def train_lanes(self, lanes, *, device, is_stopped):
        for number in range(1, max(lane.epochs for lane in lanes) + 1):
            for lane in lanes:
                if lane.config["x"] > 0.9:
                    if number == 1:
                        yield lane.key, TrainingFailed("too large")
                elif number <= lane.epochs and not is_stopped(lane.key):
                    yield lane.key, Epoch(number, lane.config["x"] + lane.seed % 7, {"alone": 0.0}, 0.5)
            if self.breaks == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.breaks == "has no space":
                raise Blocked("cannot write")
            if self.breaks == "sleeps":
                time.sleep(0.4)
            if self.breaks == "raises":
                raise RuntimeError("the program is broken")

    def test(self, checkpoint, device):
        return {"loss": 0.25}


class Alone(Lined):
    def lane_key(self, config):
        return None


def jobs(*configs):
    return [Job(key, {"x": x, "width": width}, key, 2, folder=f"{key}") for key, (x, width) in enumerate(configs)]


def keys(packs):
    return [[single.key for single in job.trainings] for job in packs]


def test_trainings_of_one_shape_share_jobs_but_leave_no_worker_without_one():
    some = jobs((0.1, 1), (0.2, 2), (0.3, 1), (1.0, 1), (0.5, 1), (0.6, 2))
    assert keys(packed(Lined(), some, 1)) == [[3], [0, 2, 4], [1, 5]]
    assert keys(packed(Lined(), some, 3)) == [[3], [0, 2], [4], [1, 5]]
    assert [single for job in packed(Lined(), some, 1) for single in job.trainings] == [
        some[i] for i in (3, 0, 2, 4, 1, 5)
    ]


def test_a_training_is_a_lane_with_or_without_neighbours():
    some = jobs((0.1, 1), (1.0, 1), (0.5, 1))
    assert [len(job.lanes) for job in packed(Lined(), some, 8)] == [0, 1, 1]
    assert packed(Lined(), some, 8)[0] == some[1]


def test_a_program_has_eight_lanes_at_most_and_a_task_that_knows_of_none_has_no_pack():
    some = jobs(*[(0.1, 1)] * 20)
    assert [len(pack) for pack in keys(packed(Lined(), some, 1))] == [8, 8, 4]
    assert packed(Scored(Lined()), some, 1) == some


def test_events_of_lanes_survive_their_way_from_the_worker():
    for event in (
        EpochDone(3, Epoch(1, 0.5, {"a": 1.0}, 0.1), 4),
        LaneEnded(3, 4, 1.5, None, {"accuracy": 0.5}),
        JobEnded(3, 1.0, "why", broken=True),
    ):
        assert event_from_json(event_to_json(event)) == event


def final(task, executor, folder, xs=(0.5, 0.7), n_seeds=3):
    contenders = [Trial(number, {"x": x, "width": 1}, state="complete", losses=[x] * 2) for number, x in enumerate(xs)]
    default = {"x": 0.2, "width": 1}
    with executor:
        return train_final(task, contenders, default, executor, folder, run_seed=0, n_seeds=n_seeds)


@pytest.mark.parametrize("executor", [SerialExecutor, lambda task: ProcessExecutor(task, 2)])
def test_a_final_in_lanes_has_the_results_of_one_without(executor, tmp_path):
    found = final(Lined(), executor(Lined()), tmp_path / "lanes")
    alone = final(Alone(), SerialExecutor(Alone()), tmp_path / "alone")
    assert [(t.role, t.trial, t.seed, t.validation, t.test, t.error) for t in found] == [
        (t.role, t.trial, t.seed, t.validation, t.test, t.error) for t in alone
    ]
    assert len(found) == 9


def test_a_lane_that_fails_has_failed_alone(tmp_path):
    found = final(Lined(), SerialExecutor(Lined()), tmp_path / "final", xs=(0.5, 0.95), n_seeds=2)
    assert [(t.trial, t.error) for t in found] == [(0, None)] * 2 + [(None, None)] * 2 + [(1, "too large")] * 2


def test_a_final_without_space_for_its_files_drops_no_contender_but_ends(tmp_path):
    task = Lined("has no space")
    with pytest.raises(Blocked, match="cannot write"):
        final(task, ProcessExecutor(task, 1), tmp_path / "final")
    assert not list((tmp_path / "final").iterdir())


@pytest.mark.parametrize("breaks", ["dies", "raises"])
def test_the_trainings_of_a_program_that_breaks_are_trained_alone(breaks, tmp_path):
    task = Lined(breaks)
    found = final(task, ProcessExecutor(task, 1), tmp_path / "final", n_seeds=2)
    assert [training.error for training in found] == [None] * 6
    assert len({training.validation for training in found}) > 1


def test_the_limit_of_a_trial_is_that_of_each_lane(tmp_path):
    task = Lined("sleeps")  # for 0.8 s, of the eight times 0.6 s that it has
    with ProcessExecutor(task, 1, trial_seconds=0.6) as executor:
        executor.submit(packed(task, jobs(*[(0.1, 1)] * 8), 1)[0])
        while not (ended := [event for event in executor.wait(0.5) if isinstance(event, JobEnded)]):
            pass
    assert ended[0].error is None


def test_repeats_of_a_real_task_share_a_program_and_leave_checkpoints(tmp_path):
    task = replace(load_task("mnist1d-cnn", train_size=100), max_epochs=2)
    config = Encoding(task.space).default
    best = Trial(0, config | {"width": 8}, state="complete", losses=[0.5] * 2)
    with SerialExecutor(task) as executor:
        found = train_final(task, [best], config, executor, tmp_path / "final", run_seed=1, n_seeds=2, device="cpu")
    assert [training.role for training in found] == ["chosen"] * 2 + ["default"] * 2
    for training in found:
        record = read_checkpoint(Path(training.folder))[1]
        assert (record["seed"], record["epoch"]) == (training.seed, 2)
        assert record["metrics"]["accuracy"][-1] == training.validation
        assert training.test == task.test(training.folder, "cpu")["accuracy"]


@pytest.mark.parametrize(
    ("name", "shares"), [("mnist1d-cnn", True), ("digits-cnn", False), ("mnist1d-rnn", True), ("reuters52-cnn", False)]
)
def test_the_task_says_which_trainings_share_a_program(name, shares):
    task = load_task(name, train_size=100)
    config = Encoding(task.space).default
    assert (task.lane_key(config) is not None) == shares
    assert task.lane_key(config) == task.lane_key(config | {"lr": 0.01, "dropout": 0.5})


def test_a_training_that_is_lost_is_tried_again_in_a_folder_of_its_own(tmp_path):
    def killed_once(config, folder):
        if not (folder.parent / "lost").exists():
            (folder.parent / "lost").write_text(str(folder))
            (folder / "half").touch()
            os.kill(os.getpid(), signal.SIGTERM)
        (folder / "whole").touch()
        return 0.5

    one, events = Job(0, {"x": 0.5}, 1, 1, folder=str(tmp_path / "one")), []
    with ProcessExecutor(as_task(killed_once, {"x": {"float": [0, 1]}}), 1) as executor:
        done = train_jobs([one], executor, log=lambda event, **facts: events.append((event, facts)))
    assert done[0].ended.error is None
    assert [event for event, _ in events] == ["start", "retry", "start", "tell"]
    assert {facts["training"] for _, facts in events} == {"one"}
    assert "signal SIGTERM" in events[1][1]["reason"]
    assert (events[-1][1]["state"], events[-1][1]["epochs"], events[-1][1]["loss"]) == ("complete", 1, 0.5)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["whole"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lost", "one"]
    assert (tmp_path / "lost").read_text() != str(tmp_path / "one")


class Endless(Alone):
    def train(self, config, *, seed, epochs, checkpoint, device):
        yield Epoch(1, config["x"], {}, 0.0)
        if config["x"] > 0.5:
            time.sleep(600)


def test_trainings_that_do_not_end_in_time_are_dropped_and_the_others_stay(tmp_path):
    jobs = [Job(key, {"x": x, "width": 1}, 0, 1, folder=str(tmp_path / str(key))) for key, x in enumerate((0.1, 0.9))]
    with ProcessExecutor(Endless(), 1) as executor:
        train_jobs(jobs[:1], executor)  # its process has started by then
        done = train_jobs(jobs, executor, max_seconds=5.0)
    assert done[0].ended.error is None
    assert done[1].ended.error == "too slow: it was not done within the 5 s that were left"
    assert [place.name for place in tmp_path.iterdir()] == ["0"], "nothing half done is left"


def test_what_follows_a_pack_finds_its_worker_free(tmp_path):
    """The job of the pack ends after the last of its lanes."""
    executor = SerialExecutor(Lined())
    jobs = [Job(key, {"x": key / 10, "width": 1}, 0, 2, folder=str(tmp_path / f"{key}")) for key in (2, 3)]
    assert sorted(train_jobs(packed(Lined(), jobs, 1), executor)) == [2, 3]
    assert executor.n_free == 1
    [alone] = train_jobs([Job(0, {"x": 1.0, "width": 1}, 0, 2, folder=str(tmp_path / "0"))], executor).values()
    assert alone.ended.error is None
