"""Each example with the command in its docstring and a small budget."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from automl.study.run_folder import RunFolder
from automl.study.snapshot import look

ROOT = Path(__file__).parents[2]
EPOCHS = 9  # with rungs at 1 and 3
FRAMEWORKS = ("keras_model.py", "lightning_module.py", "jax_loop.py")
CURVES = {  # example -> a loss below which its model has learnt something
    "xgboost_model.py": 0.3,
    "shell_script.sh": 0.3,
    "keras_model.py": 1.0,
    "lightning_module.py": 1.0,
    "jax_loop.py": 1.0,
}


def run(example: str, folder: Path, *options: object) -> tuple[dict, str]:
    """Run the command in the example with further options; returns the summary and the output."""
    [line] = re.findall(r"^(?:# )?python (-m automl\.run .*)$", (ROOT / "examples" / example).read_text(), re.MULTILINE)
    given = [*shlex.split(line), "--prior", "none", "--no-learn", "--workers", 1, "--out", folder, *options]
    done = subprocess.run(
        [sys.executable, *map(str, given)],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "summary.json").read_text()), done.stdout + done.stderr


def test_all_examples_are_tested():
    names = {path.name for path in (ROOT / "examples").iterdir() if path.suffix in (".py", ".sh")}
    assert names == {*CURVES, "sklearn_estimator.py"}


def test_the_scikit_learn_estimator(tmp_path):
    summary, _ = run("sklearn_estimator.py", tmp_path / "run", "--trials", 5, "--final-seeds", 1)
    assert summary["n_trials"] == 5
    assert summary["n_failed"] == 0
    assert 50 < summary["best"]["loss"] < 65
    assert len(summary["final"]["chosen"]) == 1


@pytest.mark.parametrize(
    "example", [pytest.param(name, marks=pytest.mark.frameworks if name in FRAMEWORKS else ()) for name in CURVES]
)
def test_an_example_with_curves_learns_and_is_stopped_early(example, tmp_path):
    before = set(ROOT.iterdir())
    folder = tmp_path / "run"
    summary, output = run(example, folder, "--epochs", EPOCHS, "--trials", 4, "--final-seeds", 0)
    assert summary["n_failed"] == 0, output
    assert summary["best"]["loss"] < CURVES[example]
    trials = look(RunFolder(folder)).study.trials
    assert {trial.state for trial in trials.values()} == {"complete", "stopped"}
    for trial in trials.values():
        assert len(trial.losses) in ([EPOCHS] if trial.state == "complete" else [1, 3])
        assert len(trial.metrics["accuracy"]) == len(trial.losses)
    longer = [trial.losses for trial in trials.values() if len(trial.losses) > 1]
    assert longer
    assert all(len(set(losses)) > 1 for losses in longer)
    [best] = [trial for trial in trials.values() if trial.number == summary["best"]["trial"]]
    assert best.losses[-1] < best.losses[0]
    logs = "".join(path.read_text() for path in (folder / "logs").iterdir())
    assert "Traceback" not in output + logs
    made_by_others = {ROOT / ".pytest_cache", ROOT / "runs"}  # by tests that run beside this one
    assert set(ROOT.iterdir()) - before <= made_by_others, "a folder of a framework's"
