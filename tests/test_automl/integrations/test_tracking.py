"""Trials logged to the trackers by the real command, and read back with the trackers' own readers."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest
from processes import command

import automl
import automl.integrations.tracking
from automl.errors import UserError
from automl.integrations.tracker import Snapshot, TrackedRun, Tracker
from automl.integrations.tracking import tracker_names
from automl.study.run_folder import RunFolder
from automl.study.snapshot import look
from automl.tuning.trainings import training_seed
from benchmarks.opponents.auto_variants import Repeats

TASK = """
import time
from automl import Epoch
from automl.space.parse import load_space

class Mine:
    name, max_epochs, resumable, metric, maximize = "mine", 9, True, "loss", False
    space = load_space({"x": {"float": [-5, 5]}, "n": {"int": [1, 9]}, "kind": {"choice": ["a", "b"]}})
    def train(self, config, *, seed, epochs, checkpoint, device):
        file = checkpoint / "epochs"
        first = int(file.read_text()) if file.exists() else 0
        for epoch in range(first + 1, epochs + 1):
            time.sleep(0.05)
            if config["x"] > 3 and epoch == 2:
                raise ValueError("too large")
            yield Epoch(epoch, config["x"] ** 2 + config["n"] + seed % 100 / epoch, {"half": epoch / 2}, 0.01)
        file.write_text(str(epochs))
    def test(self, checkpoint, device):
        return {}

task = Mine()
"""
TRACKERS = ["mlflow", "tensorboard", "wandb"]
STATUS = {"complete": "FINISHED", "failed": "FAILED", "paused": "KILLED"}
# What the trackers' own readers warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def environment():
    """Without what a user's own shell may say of trackers."""
    names = [name for name in os.environ if name.startswith(("MLFLOW_", "WANDB_"))]
    return {name: value for name, value in os.environ.items() if name not in names} | {"WANDB_MODE": "offline"}


def start(*arguments, env) -> subprocess.Popen:
    command = [sys.executable, "-m", "automl.run", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def run(*arguments, env, code=0) -> tuple[str, str]:
    return command("run", *arguments, code=code, env=env)


def arguments_for(folder: Path, n_trials: int, track: str) -> list:
    (folder / "mine.py").write_text(TASK)
    common = ["--no-learn", "--final-seeds", 2, "--workers", 2, "--strategy", "random+asha"]
    return ["--task", f"{folder}/mine.py:task", *common, "--trials", n_trials, "--track", track]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, environment) -> Path:
    """Of a run with all trackers that was killed with trainings in flight, then brought to its end and extended."""
    folder = tmp_path_factory.mktemp("resumed")
    tracked = ["--track", "wandb", "--out", folder / "run"]
    process = start(*arguments_for(folder, 5, "mlflow,tensorboard"), *tracked, env=environment)
    until = time.monotonic() + 240
    while len(list((folder / "run" / "tensorboard").glob("*"))) < 4 and time.monotonic() < until:
        time.sleep(0.02)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, err = run("--out", folder / "run", "--resume", "--trials", 7, env=environment)
    assert err == ""
    return folder / "run"


@pytest.mark.slow
def test_the_run_has_trials_that_ended_in_every_way(folder):
    trials = look(RunFolder(folder)).study.trials.values()
    assert {trial.state for trial in trials} == {"complete", "paused", "failed"}
    assert any(len(trial.proposals) > 1 for trial in trials)


def final_mean(folder: Path, who: str) -> float:
    return float(np.mean(json.loads((folder / "summary.json").read_text())["final"][who]))


def kept(folder: Path) -> str:
    return json.loads((folder / "summary.json").read_text())["final"]["kept"]


@pytest.mark.slow
def test_mlflow_has_a_run_for_the_study_and_in_it_one_for_each_trial(folder):
    check_mlflow(f"sqlite:///{folder}/mlflow.db", folder)


def check_mlflow(uri: str, folder: Path) -> None:
    """That it has all trials of a run, nothing twice, and nothing else."""
    from mlflow.tracking import MlflowClient

    study = look(RunFolder(folder)).study
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("mine")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [(run.info.run_name, run.info.status) for run in parents] == [("run", "FINISHED")]
    assert parents[0].data.params == {"task": "mine", "strategy": "random+asha", "seed": "0"}
    assert parents[0].data.tags["best.trial"] == str(study.best.number)
    assert json.loads(parents[0].data.tags["best.config"]) == study.best.config
    assert parents[0].data.metrics["best_loss"] == study.best.mean()
    assert parents[0].data.tags["final.trial"] == str(study.best.number)
    assert parents[0].data.tags["final.kept"] == kept(folder)
    for who in ("chosen", "default"):
        assert parents[0].data.metrics[f"{who}_validation_loss"] == pytest.approx(final_mean(folder, who))
    children = {int(run.data.tags["automl.trial"]): run for run in runs if run not in parents}
    assert len(children) == len(runs) - 1
    assert children.keys() == study.trials.keys()
    for number, trial in study.trials.items():
        child = children[number]
        assert child.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert child.data.params == {name: str(value) for name, value in trial.config.items()}
        assert child.data.tags["state"] == trial.state
        assert child.data.tags["seed"] == str(training_seed(0, number))
        assert child.data.tags.get("error") == trial.error
        assert child.info.status == STATUS[trial.state]
        for name, values in {"loss": trial.losses, **trial.metrics}.items():
            history = client.get_metric_history(child.info.run_id, name)
            assert [(metric.step, metric.value) for metric in history] == list(enumerate(values, 1))


class Server:
    """A real one, on a free port of loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        folder.mkdir()

    def __enter__(self) -> "Server":
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        places = ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "artifacts"]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *options, *places],
                cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + 240
        while not self.is_up:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


@pytest.mark.frameworks
def test_an_mlflow_server_that_goes_away_ends_no_search_and_gets_what_is_missing_with_the_next(tmp_path, environment):
    from mlflow.tracking import MlflowClient

    server, folder = Server(tmp_path / "server"), tmp_path / "run"
    environment = environment | {"MLFLOW_TRACKING_URI": server.uri}
    with server:
        process = start(*arguments_for(tmp_path, 20, "mlflow"), "--out", folder, env=environment)
        client, n_runs = MlflowClient(server.uri), 0
        while n_runs < 4 and process.poll() is None:
            experiment = client.get_experiment_by_name("mine")
            n_runs = 0 if experiment is None else len(client.search_runs([experiment.experiment_id]))
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert out.count("mlflow cannot be written") == 1
    assert err == ""
    with server:
        out, _ = run("--out", folder, "--resume", env=environment)
        assert "cannot be written" not in out
        check_mlflow(server.uri, folder)


def hparams_rows(folder: Path) -> dict:
    """What the HParams tab shows: trial -> hyperparameters, last metrics, status."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams.api_pb2 import ColParams, ListSessionGroupsRequest, Status
    from tensorboard.plugins.hparams.backend_context import Context
    from tensorboard.plugins.hparams.list_session_groups import Handler

    runs = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    context, request = Context(TBContext(data_provider=MultiplexerDataProvider(runs, str(folder)))), RequestContext()
    found = context.hparams_metadata(request, "")
    metrics = context.experiment_from_metadata(request, "", True, found, None).metric_infos
    asked = ListSessionGroupsRequest(
        slice_size=1000,
        allowed_statuses=Status.values(),
        include_metrics=True,
        col_params=[ColParams(metric=metric.name) for metric in metrics],
    )
    return {
        int(group.name): (
            {name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()},
            {metric.name.tag: metric.value for metric in group.metric_values},
            Status.Name(group.sessions[0].status).removeprefix("STATUS_"),
        )
        for group in Handler(request, context, "", asked).run().session_groups
    }


@pytest.mark.slow
def test_tensorboard_has_a_folder_a_trial_with_curves_and_hparams(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    study = look(RunFolder(folder)).study
    rows = hparams_rows(folder / "tensorboard")
    names = {path.name for path in (folder / "tensorboard").iterdir()}
    assert names == {f"{number:04d}" for number in study.trials} | {"final-chosen", "final-default"}
    assert rows.keys() == study.trials.keys()
    for who in ("chosen", "default"):
        events = EventAccumulator(str(folder / "tensorboard" / f"final-{who}")).Reload()
        assert [event.value for event in events.Scalars("validation_loss")] == [pytest.approx(final_mean(folder, who))]
    for number, trial in study.trials.items():
        events = EventAccumulator(str(folder / "tensorboard" / f"{number:04d}")).Reload()
        for name, values in {"loss": trial.losses, **trial.metrics}.items():
            shown = [(event.step, event.value) for event in events.Scalars(name)]
            assert shown == [(epoch, pytest.approx(value)) for epoch, value in enumerate(values, 1)]
        said = events.Tensors("state/text_summary")[-1].tensor_proto.string_val[0].decode()
        assert said == (trial.state if trial.error is None else f"{trial.state}: {trial.error}")
        hparams, metrics, status = rows[number]
        assert hparams == trial.config
        assert metrics == {"loss": pytest.approx(trial.losses[-1]), "half": trial.metrics["half"][-1]}
        assert status == {"complete": "SUCCESS", "failed": "FAILURE", "paused": "UNKNOWN"}[trial.state]


def wandb_records(file: Path) -> list:
    """The records of an offline run: a log in blocks of 32 KiB, as LevelDB writes it, after seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, parts, records = file.read_bytes(), 7, b"", []
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:  # no room for a header: zeros up to the next block
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(Record.FromString(parts))
            parts = b""
    return records


def wandb_summary(records: list) -> dict:
    summary = {}
    for record in records:
        if record.HasField("summary"):
            summary |= {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.summary.update}
    return summary


@pytest.mark.slow
def test_wandb_has_a_run_a_trial_in_one_group_and_one_for_the_final(folder):
    study = look(RunFolder(folder)).study
    run_id = json.loads((folder / "tracking.json").read_text())["id"]
    found = {path.parent.name.rsplit("-", 1)[1]: path for path in folder.glob("wandb/offline-run-*/*.wandb")}
    assert len(list((folder / "wandb").glob("offline-run-*"))) == len(found)
    records = wandb_records(found.pop("final"))
    [config] = [record.run.config.update for record in records if record.HasField("run")][:1]
    told = {item.key: json.loads(item.value_json) for item in config}
    assert (told["trial"], told["kept"]) == (study.best.number, kept(folder))
    final = wandb_summary(records)
    for who in ("chosen", "default"):
        assert final[f"{who}_validation_loss"] == pytest.approx(final_mean(folder, who))
    files = {int(number): path for number, path in found.items()}
    assert files.keys() == study.trials.keys()
    for number, trial in study.trials.items():
        records = wandb_records(files[number])
        runs = [record.run for record in records if record.HasField("run")]
        assert {(run.project, run.run_group, run.display_name, run.run_id) for run in runs} == {
            ("mine", "run", f"trial {number}", f"{run_id}-{number}")
        }
        config = {item.key: json.loads(item.value_json) for item in runs[0].config.update if item.key != "_wandb"}
        assert config == trial.config
        history = [
            {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            for record in records
            if record.HasField("history")
        ]
        assert [(row["_step"], row["loss"], row["half"]) for row in history] == [
            (epoch, loss, epoch / 2) for epoch, loss in enumerate(trial.losses, 1)
        ]
        summary = wandb_summary(records)
        assert summary["state"] == trial.state
        assert summary.get("error") == trial.error
        [end] = [record.exit.exit_code for record in records if record.HasField("exit")]
        assert end == (trial.state == "failed")
        if trial.state != "paused":
            assert trial.state in runs[-1].tags


def test_tune_writes_to_trackers_too(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    space = {"x": {"float": [0, 1]}}
    for n_trials in (2, 4):
        automl.tune(
            lambda config: config["x"], space, strategy="random", n_trials=n_trials, study=tmp_path / "run",
            track="tensorboard", resume=n_trials == 4,
        )  # fmt: skip
        folders = sorted((tmp_path / "run" / "tensorboard").iterdir())
        assert len(folders) == n_trials
        assert len(EventAccumulator(str(folders[-1])).Reload().Scalars("loss")) == 1
    with pytest.raises(UserError, match="track needs a folder in which the run is kept"):
        automl.tune(lambda config: config["x"], space, track=["tensorboard"])


@pytest.mark.slow
def test_mlflow_gets_many_hyperparameters_and_names_that_it_refuses(tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    space = {"lr (base)": {"float": [0, 1]}, **{f"x{i}": {"float": [0, 1]} for i in range(100)}}
    automl.tune(
        lambda config: {"loss": config["lr (base)"], "recall@10": 0.5}, space,
        strategy="random", n_trials=1, study=tmp_path / "run", track="mlflow",
    )  # fmt: skip
    client = MlflowClient(f"sqlite:///{tmp_path}/run/mlflow.db")
    [experiment] = [each for each in client.search_experiments() if each.name != "Default"]
    trials = [each for each in client.search_runs([experiment.experiment_id]) if "loss" in each.data.metrics]
    assert [each.data.metrics["recall_10"] for each in trials] == [0.5]
    assert all({"lr _base_", "x99"} <= each.data.params.keys() for each in trials)


@pytest.mark.parametrize(
    ("arguments", "variables", "line"),
    [
        (["--track", "mlfow"], {}, "unknown tracker 'mlfow'; did you mean 'mlflow'?"),
        (["--track", "tensorboard,x"], {}, "unknown tracker 'x'; choose one of: mlflow, tensorboard, wandb"),
        (
            ["--track", "mlflow"],
            {"MLFLOW_TRACKING_URI": "http://me:s3cret@127.0.0.1:9"},
            "no MLflow server responds at",
        ),
        (
            ["--track", "mlflow"],
            {"MLFLOW_TRACKING_URI": "postgresql+psycopg://me:s3cret@127.0.0.1:9/x"},
            '127.0.0.1", port 9 failed: Connection refused',
        ),
        (["--track", "wandb"], {"WANDB_MODE": "online", "HOME": "/nowhere"}, "not logged in to W&B; log in with"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(arguments, variables, line, tmp_path, environment):
    _, err = run(*arguments, "--out", tmp_path / "run", env=environment | variables, code=2)
    assert line in err
    assert err.count("\n") == 1
    assert "s3cret" not in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_extra_is_one_line_that_names_it(name, tmp_path, environment):
    code = f"import sys; sys.modules[{name!r}] = None; from automl.cli import run_command; run_command('run')"
    command = [sys.executable, "-c", code, "--prior", "none", "--track", name, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert f"tracking with {name} needs a package that is missing" in done.stderr
    assert f"install it with: pip install '{name}>=" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_names_of_trackers_are_repeated_or_separated_by_commas():
    assert tracker_names(["wandb, mlflow", "tensorboard", "mlflow"]) == ("wandb", "mlflow", "tensorboard")


class Flaky(Tracker):
    """Cannot be written at first, as a server that is away for a while."""

    name = "flaky"

    def __init__(self, n_failures: int) -> None:
        self.n_failures = n_failures
        self.written: list[Snapshot] = []
        self.bests: list[tuple[int, float]] = []
        self.finals: list[tuple] = []
        self.is_closed = self.interrupted = False

    def open(self, run: TrackedRun) -> None:
        self._fail()

    def write(self, trial: Snapshot) -> None:
        self._fail()
        self.written.append(trial)

    def write_best(self, best: Snapshot, loss: float, n_trials: int) -> None:
        self.bests.append((best.number, loss))

    def write_final(self, chosen: int, means, kept) -> None:
        self._fail()
        self.finals.append((chosen, means, kept))

    def close(self, *, interrupted: bool) -> None:
        self.is_closed, self.interrupted = True, interrupted

    def _fail(self) -> None:
        if self.n_failures:
            self.n_failures -= 1
            raise ConnectionError("http://me:s3cret@server/api of me@home\nis away")


@pytest.mark.parametrize(("n_failures", "is_complete"), [(0, True), (2, True), (9999, False)])
def test_a_tracker_that_cannot_be_written_ends_no_search_and_is_written_when_it_can_be(
    n_failures, is_complete, tmp_path, monkeypatch
):
    monkeypatch.setattr(automl.integrations.tracking, "RETRY_SECONDS", 0.01)
    tracker = Flaky(n_failures)
    monkeypatch.setattr("automl.runs.search.make_trackers", lambda names: [tracker])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = automl.tune(
            lambda config: time.sleep(0.02) or config["x"], {"x": {"float": [0, 1]}}, strategy="random", n_trials=9,
            study=tmp_path / "run", track="mlflow",
        )  # fmt: skip
    assert len(result.trials) == 9
    lines = [str(warning.message).partition(";")[0] for warning in told if warning.category is UserWarning]
    assert lines == ["cannot write to flaky (http://server/api of me@home)"] * bool(n_failures)
    assert tracker.is_closed == is_complete
    last = {trial.number: trial for trial in tracker.written}
    if is_complete:
        assert {n: (t.state, t.losses, t.config) for n, t in last.items()} == {
            t.number: ("complete", tuple(t.losses), t.config) for t in result.trials
        }
        assert tracker.bests[-1] == (result.best.number, result.best_loss)
    else:
        assert last == {}


def test_the_best_counts_by_the_mean_of_its_trainings_everywhere(tmp_path, monkeypatch):
    def noisy(config, seed):
        return (config["x"] - 0.3) ** 2 + 0.05 * np.random.default_rng(seed).normal()

    tracker = Flaky(0)
    monkeypatch.setattr("automl.runs.search.make_trackers", lambda names: [tracker])
    result = automl.tune(
        noisy, {"x": {"float": [0, 1]}}, strategy=Repeats, n_trials=50, study=tmp_path / "run", track="mlflow"
    )
    losses = [trial.loss for trial in result.trials if trial.config == result.best_config]
    assert len(losses) > 1
    assert result.best_loss == pytest.approx(np.mean(losses))
    assert result.best_loss != result.best.loss
    assert tracker.bests[-1] == (result.best.number, result.best_loss)


def test_a_final_that_cannot_be_written_is_written_later(tmp_path, monkeypatch):
    monkeypatch.setattr(automl.integrations.tracking, "RETRY_SECONDS", 0.01)
    study = automl.tune(lambda config: config["x"], {"x": {"float": [0, 1]}}, strategy="random", n_trials=3).study
    tracker = Flaky(0)
    told = automl.integrations.tracking.Tracking(
        [tracker], TrackedRun("id", "run", tmp_path, "f", "random", 0), study, lambda line: None
    )

    def wait_for(written):
        until = time.monotonic() + 60
        while not written and time.monotonic() < until:
            time.sleep(0.01)

    wait_for(tracker.bests)
    tracker.n_failures = 1
    told.final({"chosen": {"validation_loss": 0.5}}, "chosen", 1)
    wait_for(tracker.finals)
    told.close()
    assert tracker.finals == [(1, {"chosen": {"validation_loss": 0.5}}, "chosen")]
    assert tracker.n_failures == 0
    assert tracker.is_closed


def test_an_interrupted_search_marks_what_was_in_training(tmp_path, monkeypatch):
    def train(config):
        yield config["x"]
        if config["x"] != 0.5:  # the default
            raise KeyboardInterrupt

    tracker = Flaky(0)
    monkeypatch.setattr("automl.runs.search.make_trackers", lambda names: [tracker])
    result = automl.tune(
        train, {"x": {"float": [0, 1]}}, strategy="random", n_trials=9, study=tmp_path / "run", track="mlflow"
    )
    assert result.stop_reason == "interrupted"
    assert tracker.interrupted
    assert {trial.number: trial.state for trial in tracker.written} == {0: "complete", 1: "interrupted"}
