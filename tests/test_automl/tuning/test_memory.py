"""Several trainings on one card: how many may share it, and what becomes of one that runs out of memory.

The card is a stand-in: a file in which processes count what they have allocated.
"""

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import automl
from automl.space.parse import load_space
from automl.task import Epoch, OutOfMemory
from automl.tasks.function import as_task
from automl.tuning import process_executor
from automl.tuning.final_evaluation import train_once
from automl.tuning.jobs import Job, JobEnded, Restarted, event_from_json, event_to_json
from automl.tuning.memory import Admission, Memory
from automl.tuning.process_executor import ProcessExecutor
from strategies.random_search import RandomSearch

TOTAL = 100


@dataclass(frozen=True)
class Card:
    """Refuses an allocation that would exceed it, as a graphics card does."""

    file: Path

    def change(self, by):
        with self.file.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            state = json.loads(file.read() or '{"used": 0, "most": 0, "refused": 0}')
            fits = state["used"] + by <= TOTAL
            state["used"] += by if fits else 0
            state["refused"] += not fits
            state["most"] = max(state["most"], state["used"])
            file.truncate(0)
            file.write(json.dumps(state))
        if not fits:
            raise OutOfMemory("out of memory")

    @property
    def state(self):
        return json.loads(self.file.read_text())


@dataclass(frozen=True)
class Large:
    """A training that takes `size` in two steps, of a task on whose card others may be."""

    card: Card
    says: bool = True
    name: str = "large"
    max_epochs: int = 2
    resumable: bool = False
    metric: str = "loss"
    maximize: bool = False

    @property
    def space(self):
        return load_space({"size": {"int": [1, 150]}, "kind": {"choice": ["a", "b"]}})

    def train(self, config, *, seed, epochs, checkpoint, device):
        held = 0
        try:
            for number in range(1, epochs + 1):
                self.card.change(config["size"] / 2)
                held += config["size"] / 2
                time.sleep(0.02)
                yield Epoch(number, float(config["size"]), {}, 0.02)
        finally:
            self.card.change(-held)

    def memory(self):
        return self.peaks() if self.says else None

    def peaks(self):
        return None

    def test(self, checkpoint, device):
        return {}


class Known(Large):
    """Which knows its peak by the size that it was last given."""

    def train(self, config, **options):
        object.__setattr__(self, "last", config["size"])
        yield from super().train(config, **options)

    def peaks(self):
        return Memory(self.last, TOTAL)


@pytest.fixture
def card(tmp_path, monkeypatch):
    monkeypatch.setattr(process_executor, "cards", lambda device: (0,))
    return Card(tmp_path / "card")


def run(task, sizes, n_workers=4):
    """The end of each training, and how often one was begun again."""
    ended, restarts, waiting = {}, 0, [Job(i, {"size": size, "kind": "a"}, i, 2) for i, size in enumerate(sizes)]
    with ProcessExecutor(task, n_workers) as executor:
        while len(ended) < len(sizes):
            while waiting and executor.n_free:
                executor.submit(waiting.pop(0))
            for event in executor.wait(1.0):
                restarts += isinstance(event, Restarted)
                if isinstance(event, JobEnded):
                    ended[event.key] = event
        assert executor.n_free == n_workers
        return ended, restarts, executor.spans


def test_only_what_does_not_fit_alone_has_failed(card):
    sizes = [60, 150, 60, 30, 60, 130, 60, 60]
    ended, restarts, _ = run(Large(card, says=False), sizes)
    assert {key: event.error for key, event in ended.items()} == {
        i: "out of memory" if size > TOTAL else None for i, size in enumerate(sizes)
    }
    assert restarts > 0
    assert card.state["used"] == 0
    assert card.state["refused"] < 40  # with half as many beside each other after each


def test_trainings_that_say_what_they_take_are_admitted_while_there_is_room(card):
    ended, restarts, spans = run(Known(card), [30] * 12)
    assert [event.error for event in ended.values()] == [None] * 12
    assert (restarts, card.state["refused"]) == (0, 0)
    assert card.state["most"] == 60  # two of them: a third would take more than 85% of the card
    assert len(spans) == 12
    assert {(span.card, span.peak, span.total) for span in spans} == {(0, 30, TOTAL)}
    first, second = sorted(spans, key=lambda span: span.start)[:2]
    assert first.end <= second.start


@pytest.mark.filterwarnings("ignore:.* trainings share:UserWarning")
def test_a_search_counts_no_epoch_twice_where_a_trial_begins_again(card):
    with pytest.warns(UserWarning, match="out of memory, beside others on its card"):
        result = automl.tune(
            Large(card, says=False),
            {"size": {"int": [55, 70]}},
            strategy="random",
            n_trials=8,
            n_workers=4,
            progress=False,
        )
    assert [trial.losses for trial in result.trials] == [[trial.config["size"]] * 2 for trial in result.trials]


class StoppedAfterOne(RandomSearch):
    def should_stop(self, proposal, losses):
        return True


@pytest.mark.filterwarnings("ignore:.* trainings share:UserWarning", "ignore:.*out of memory, beside others")
def test_a_stopped_trial_whose_next_epoch_runs_out_of_memory_keeps_its_losses(card):
    result = automl.tune(
        Large(card, says=False), {"size": {"int": [55, 70]}}, strategy=StoppedAfterOne, n_trials=12, n_workers=4,
        progress=False,
    )  # fmt: skip
    assert [(trial.error, trial.losses) for trial in result.trials] == [
        (None, [trial.config["size"]]) for trial in result.trials
    ]


@dataclass(frozen=True)
class InPrograms(Large):
    """Trainings of which programs have several."""

    says: bool = False

    def lane_key(self, config):
        return 1

    def train_lanes(self, lanes, *, device, is_stopped):
        trainings = [self.train(lane.config, seed=0, epochs=lane.epochs, checkpoint=None, device="") for lane in lanes]
        try:
            for epochs in zip(*trainings, strict=True):
                yield from zip([lane.key for lane in lanes], epochs, strict=True)
        finally:
            for training in trainings:
                training.close()


@pytest.mark.filterwarnings("ignore:trial .* continues after epoch .*beside others")
def test_trainings_of_a_program_that_does_not_fit_are_trained_alone(card):
    result = automl.tune(
        InPrograms(card), {"size": {"int": [40, 60]}}, strategy="random", n_trials=8, n_workers=2, lanes=3,
        progress=False,
    )  # fmt: skip
    assert [(trial.error, trial.losses) for trial in result.trials] == [
        (None, [trial.config["size"]] * 2) for trial in result.trials
    ]
    assert card.state["refused"] > 0
    assert card.state["used"] == 0


def test_one_worker_on_a_card_is_a_process_that_can_be_replaced(card, monkeypatch):
    for found in ((0,), ()):
        monkeypatch.setattr("automl.api.cards", lambda device, found=found: found)
        result = automl.tune(lambda config: os.getpid(), {"x": {"float": [0, 1]}}, n_trials=1, progress=False)
        assert (result.trials[0].losses == [os.getpid()]) == (found == ())


def test_a_single_training_is_deterministic_on_a_card_where_that_is_asked(card, monkeypatch, tmp_path):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    task = as_task(lambda config: float("CUBLAS_WORKSPACE_CONFIG" in os.environ), {"x": {"float": [0, 1]}})
    found = [
        train_once(task, {"x": 0.5}, tmp_path / f"{reproducible}", seed=0, reproducible=reproducible).validation
        for reproducible in (False, True)
    ]
    assert found == [0.0, 1.0]


def test_without_a_card_nothing_is_held_back(tmp_path, monkeypatch):
    monkeypatch.setattr(process_executor, "cards", lambda device: ())
    ended, _, spans = run(Known(Card(tmp_path / "card")), [20] * 4)
    assert [event.error for event in ended.values()] == [None] * 4
    assert list(spans) == []


# --- admission --------------------------------------------------------------------------------------------------------


def measured(n=40, seed=0):
    """Of networks, whose weights grow with the square of their width."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        config = {"width": int(2 ** rng.uniform(4, 9)), "batch": int(rng.choice([32, 64])), "lr": float(rng.random())}
        config["norm"] = str(rng.choice(["batch", "none"]))
        peak = 1e3 * config["width"] ** 2 * config["batch"] ** 0.5 * (1.5 if config["norm"] == "batch" else 1.0)
        found.append((config, int(peak * np.exp(rng.normal(0, 0.05)))))
    return found


def admission(known, slots=4, total=10**12):
    found = Admission({0: slots})
    for key, (config, peak) in enumerate(known):
        found.began(0, key, config)
        found.ended(0, key, Memory(peak, total))
    return found


def test_peaks_are_predicted_from_the_configurations():
    known = measured()
    found, errors = admission(known), []
    for config, peak in measured(seed=1):
        errors.append(np.log(found.expected_peak(config) / peak))
    assert np.mean(np.array(errors) > -0.1) > 0.9  # rarely below
    assert np.median(errors) < 0.4  # by a third at most above
    assert found.expected_peak(known[0][0]) == known[0][1]


def test_the_first_are_alone_and_later_ones_share_85_percent():
    found = Admission({0: 3})
    assert found.has_room(0, {"size": 1})
    found.began(0, 0, {"size": 1})
    assert not found.has_room(0, {"size": 1})
    found.ended(0, 0, Memory(40, 100))
    found.began(0, 1, {"size": 2})
    assert not found.has_room(0, {"size": 1})
    found.ended(0, 1, Memory(46, 100))
    found.began(0, 2, {"size": 1})
    assert found.has_room(0, {"size": 1})
    assert not found.has_room(0, {"size": 2})


def test_what_runs_out_beside_others_halves_their_number():
    found = Admission({0: 8, 1: 8})
    found.began(0, 0, {})
    found.ended(0, 0, None)  # it says nothing: no other limit
    for key in range(1, 7):
        assert found.has_room(0, {})
        found.began(0, key, {})
    assert found.ran_out(0, 1)
    assert not found.has_room(0, {})
    for key in range(2, 5):
        found.left(0, key)
    assert found.has_room(0, {})
    found.left(0, 5)
    assert found.ran_out(0, 6)  # alone by now, but it was not
    found.began(0, 6, {})
    assert not found.ran_out(0, 6)
    assert found.has_room(1, {})


def test_memory_survives_its_way_from_the_worker():
    event = JobEnded(3, 1.0, out_of_memory=True, memory=Memory(3, 5))
    assert event_from_json(event_to_json(event)) == event


@pytest.mark.gpu
def test_a_training_on_a_gpu_says_what_it_took(tmp_path):
    from automl.tasks.registry import load_task
    from automl.tuning.executor import SerialExecutor
    from strategies.encoding import Encoding

    task = load_task("mnist1d-cnn", train_size=100)
    with SerialExecutor(task) as executor:
        executor.submit(Job(0, Encoding(task.space).default, 0, 1, folder=str(tmp_path), device="cuda"))
        while not (ended := [event for event in executor.wait() if isinstance(event, JobEnded)]):
            pass
    assert ended[0].error is None
    assert 0 < ended[0].memory.peak < ended[0].memory.total


@dataclass(frozen=True)
class OnTheCard(Large):
    """A training that takes ``size`` percent of a real card for a second."""

    card: None = None

    def train(self, config, *, seed, epochs, checkpoint, device):
        import torch

        total = torch.cuda.mem_get_info()[1]
        for number in range(1, epochs + 1):
            held = torch.empty(config["size"] * total // 100, dtype=torch.uint8, device=device)
            time.sleep(0.5)
            yield Epoch(number, float(config["size"]), {}, 0.5)
            del held

    def peaks(self):
        from automl.devices import peak_memory

        return Memory(*peak_memory())


@pytest.mark.gpu
@pytest.mark.parametrize("says", [True, False])
def test_several_processes_share_a_real_card(says):
    ended, restarts, spans = run(OnTheCard(says=says), [30] * 7 + [120])
    assert {key: event.error is not None for key, event in ended.items()} == {key: key == 7 for key in range(8)}
    assert "out of memory" in ended[7].error
    if not says:
        assert restarts > 0  # four at a time take more than there is
        return
    assert len(spans) == 7
    beside = [sum(other.start <= span.start < other.end for other in spans) for span in spans]
    assert max(beside) == 2  # a third would take more than 85%
    assert all(0.3 * span.total < span.peak < 0.5 * span.total for span in spans)
