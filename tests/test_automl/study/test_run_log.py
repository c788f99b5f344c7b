"""The log of events in a run's folder."""

import json
import math
from datetime import datetime

import automl
from automl.study import run_log
from automl.study.run_log import RunLog

SPACE = {"x": {"float": [0, 1]}}


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_asks_starts_and_outcomes_are_logged_in_order_and_a_resumed_run_appends(tmp_path):
    def curve(config):
        yield 0.5
        if config["x"] == 0.5:
            raise ValueError("no\nluck")
        yield config["x"]

    options = {"strategy": "random", "max_epochs": 2, "study": tmp_path / "run"}
    automl.tune(curve, SPACE, n_trials=2, **options)
    automl.tune(curve, SPACE, n_trials=3, resume=True, **options)
    seen = lines(tmp_path / "run" / "run.log")
    steps = ["ask", "start", "tell"]
    assert [line["event"] for line in seen] == ["begin", *steps, *steps, "end", "begin", *steps, "end"]
    assert [line["trial"] for line in seen if "trial" in line] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    failed, told = [line for line in seen if line["event"] == "tell"][:2]
    assert (failed["state"], failed["epochs"], failed["error"]) == ("failed", 1, "ValueError: no luck")
    assert (told["state"], told["epochs"]) == ("complete", 2)
    assert 0 <= told["loss"] <= 1
    assert "error" not in told
    assert seen[8]["restored"] == 4
    times = [datetime.fromisoformat(line["time"]) for line in seen]
    assert times == sorted(times)
    assert times[0].utcoffset().total_seconds() == 0


def test_the_log_is_rotated_and_holds_only_json(tmp_path, monkeypatch):
    monkeypatch.setattr(run_log, "MAX_BYTES", 500)
    log = RunLog(tmp_path / "run.log")
    for i in range(100):
        log.write("tell", trial=i, loss=math.nan)
    log.close()
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["run.log", "run.log.1", "run.log.2"]
    assert all((tmp_path / name).stat().st_size <= 500 for name in files)
    assert lines(tmp_path / "run.log")[-1]["trial"] == 99
    assert lines(tmp_path / "run.log")[-1]["loss"] is None
