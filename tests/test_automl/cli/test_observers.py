"""A run that is followed by its events and by its metrics."""

import re
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest
from processes import listens_on_loopback_alone
from prometheus_client.parser import text_string_to_metric_families

from automl.cli.observers import in_words
from automl.errors import UserError
from automl.integrations.run_metrics import RunMetrics
from automl.space.parse import load_space
from automl.study.run_log import RunLog
from automl.study.study import Study
from automl.task import TrainingFailed
from automl.tasks.function import as_task
from automl.tuning.executor import SerialExecutor
from automl.tuning.tuner import Tuner
from strategies import make_strategy

SPACE = {"x": {"float": [0, 1]}}


def read(address):
    with urllib.request.urlopen(address, timeout=60) as answer:
        text = answer.read().decode()
    return {s.name + str(s.labels): s.value for family in text_string_to_metric_families(text) for s in family.samples}


def test_the_metrics_are_those_of_the_search():
    def curve(config):
        yield 2.0
        if config["x"] == 0.5:  # the default
            raise TrainingFailed("no luck")
        assert read(address)["automl_running_trials{}"] == 1
        yield 1.0

    task, metrics = as_task(curve, SPACE, max_epochs=2), RunMetrics()
    tuner = Tuner(
        task, make_strategy("random", load_space(SPACE), seed=0, n_trials=3, max_epochs=2),
        Study(task.space, task.max_epochs), SerialExecutor(task), n_trials=3, seed=0, log=RunLog(None, [metrics]),
    )  # fmt: skip
    before = set(threading.enumerate())
    with metrics.served(0) as address:
        assert listens_on_loopback_alone(int(re.search(r":(\d+)/metrics$", address)[1]))
        assert str(read(address)["automl_best_loss{}"]) == "nan"
        tuner.run()
        found = read(address)
        with (
            pytest.raises(UserError, match=r"cannot listen on port \d+ .* or --metrics-port 0"),
            metrics.served(int(address.split(":")[2].partition("/")[0])),
        ):
            pass
    assert found["automl_trials_total{'state': 'failed'}"] == 1
    assert found["automl_trials_total{'state': 'complete'}"] == 2
    assert found["automl_epochs_total{}"] == 5
    assert (found["automl_best_loss{}"], found["automl_running_trials{}"], found["automl_workers{}"]) == (1, 0, 1)
    assert found["automl_ask_seconds_count{}"] == found["automl_training_seconds_count{}"] == 3
    assert found["process_resident_memory_bytes{}"] > 1e6
    assert before.issuperset(threading.enumerate())  # those of the server have ended


def test_steps_and_setbacks_are_counted():
    metrics = RunMetrics()
    events = [
        ("begin", {"n_workers": 0}),  # of other machines, before the first has joined
        ("workers", {"n": 1}),
        ("workers", {"n": 3}),
        ("start", {"trial": 3, "after": 0, "epochs": 2}),
        ("restart", {"trial": 3, "after": 0, "reason": "damaged"}),
        ("retry", {"trial": 3, "attempt": 2}),
        ("start", {"trial": 3, "after": 0, "epochs": 2}),
        ("tell", {"trial": 3, "state": "paused", "epochs": 2, "training_seconds": 1.0}),
        ("start", {"trial": 3, "after": 2, "epochs": 9}),
        ("tell", {"trial": 3, "state": "complete", "epochs": 9, "training_seconds": 1.0, "best": 0.5}),
        ("end", {"reason": "budget spent"}),
        ("start", {"stage": "final", "training": "trial-3-0", "seed": 5, "epochs": 9}),
        ("retry", {"stage": "final", "training": "trial-3-0", "attempt": 2}),
        ("start", {"stage": "final", "training": "trial-3-0", "seed": 5, "epochs": 9}),
        ("tell", {"stage": "final", "training": "trial-3-0", "state": "complete", "epochs": 9}),
    ]
    for event, facts in events:
        metrics(event, facts)
    with metrics.served(0) as address:
        found = read(address)
    assert found["automl_workers{}"] == 3
    assert found["automl_epochs_total{}"] == 9
    assert (found["automl_restarts_total{}"], found["automl_retries_total{}"]) == (1, 2)
    assert found["automl_trainings_after_search_total{'stage': 'final', 'state': 'complete'}"] == 1
    assert found["automl_trials_total{'state': 'complete'}"] == 1
    assert found["automl_running_trials{}"] == 0


def test_an_event_is_a_line():
    line = in_words("tell", {"trial": 3, "state": "failed", "error": "ValueError: no luck"})
    assert re.fullmatch(r"\d\d:\d\d:\d\d tell    trial=3 state=failed error=ValueError: no luck", line)


def test_a_run_says_where_its_metrics_are_and_prints_its_events(tmp_path):
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    command = [
        sys.executable, "-m", "automl", "run", "--command", "sleep 1; echo {x}", "--space", "space.yaml", "--strategy",
        "random", "--trials", "500", "--workers", "1", "--no-learn", "--verbose", "--metrics-port", "0", "--out", "run",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stdout.readline, "")
            address = next(line for line in lines if line.startswith("metrics for Prometheus: ")).split()[-1]
            begin = next(line for line in lines if "begin" in line)
            assert re.match(r"\d\d:\d\d:\d\d begin   strategy=random seed=0 n_workers=1", begin)
            assert "ask     trial=0 epochs=1" in next(lines)
            assert "start   trial=0 after=0" in next(lines)
            assert listens_on_loopback_alone(int(re.search(r":(\d+)/", address)[1]))
            assert read(address)["automl_running_trials{}"] == 1
            process.send_signal(signal.SIGINT)
            assert "end     reason=interrupted" in process.stdout.read()
            assert process.stderr.read() == ""
            assert process.wait(60) == 130
        finally:
            process.kill()
