"""What commands show in the terminal."""

import io
import json
import sys

import pytest
from processes import invoke
from rich.console import Console

import automl
from automl.cli.console import literal_console
from automl.cli.several_targets import _show
from automl.cli.terminal import show_summary

NAME = "a_hyperparameter_whose_name_is_as_wide_as_the_whole_terminal_it_is_shown_in_or_wider"


def test_a_long_name_leaves_room_for_the_values():
    counts = {f"n_{state}": 0 for state in ("complete", "paused", "stopped", "failed", "too_slow")}
    best = {"trial": 3, "config": {NAME: 0.125}, "loss": 0.5, "metrics": {}, "epochs": 1, "trainings": 1}
    summary = counts | {
        "n_trials": 1, "n_unfinished": 0, "n_complete": 1, "budget_epochs": None, "epochs_trained": 1, "max_epochs": 1,
        "stop_reason": "budget spent", "time": {"total": 1.0}, "best": best, "default": None, "metric": "loss",
        "settings": {}, "final": None, "model": None,
    }  # fmt: skip
    console = Console(width=60, file=io.StringIO())
    show_summary(console, summary, {NAME: 0.75})
    shown = console.file.getvalue()
    assert "0.125" in shown
    assert "0.75" in shown


def test_a_run_without_a_result_says_so_in_plain_words(tmp_path, capsys):
    """On the console of the real command, which shows markup as it is."""
    with pytest.warns(UserWarning, match="no trial succeeded"):
        automl.tune(lambda config: 1 / 0, {"x": {"float": [0, 1]}}, strategy="random", n_trials=1, study=tmp_path / "a")
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    show_summary(literal_console(), summary, {"x": 0.5})
    assert "\nno trial has succeeded; the reasons are in trials.csv and report.html\n" in capsys.readouterr().out


def test_square_brackets_in_names_and_values_are_shown_as_they_are(tmp_path, capsys):
    """Rich would read them as markup: ``[/a]`` as the end of a style that never began, ``[gamma]`` as a style."""
    space = {"rate [/s]": {"float": [0, 1]}, "kernel[gamma]": {"choice": ["[/a]", "[b]"]}}
    automl.tune(lambda config: config["rate [/s]"], space, strategy="random", n_trials=12, study=tmp_path / "run")
    shown = invoke("explain", tmp_path / "run")
    assert "rate [/s]" in shown
    assert "kernel[gamma]" in shown
    summary = {"metric": "rmse", "validation": 1.0, "test": {"rmse": 1.0}}
    _show(literal_console(), {**summary, "targets": {"rate [/min]": summary, "price [eur]": summary}})
    shown = capsys.readouterr().out
    assert "rate [/min]" in shown
    assert "price [eur]" in shown
    some = {**summary, "test": {"rmse": 1.0, "r2": 0.5}}  # r2 is undefined where a target is constant
    _show(literal_console(), {**summary, "targets": {"a": some, "b": summary}})
    assert "r2" not in capsys.readouterr().out


@pytest.mark.parametrize("penalty", [sys.float_info.max, -sys.float_info.max, 5e-324])
def test_losses_at_the_ends_of_what_numbers_can_be_are_shown_and_reported(penalty, tmp_path):
    def loss(config):
        return penalty if config["x"] > 0.5 else config["x"] if penalty > 1 else 0.0

    result = automl.tune(loss, {"x": {"float": [0, 1]}}, strategy="random", n_trials=25, study=tmp_path / "run")
    assert len(result.trials) == 25
    invoke("report", tmp_path / "run")
    assert "x" in invoke("explain", tmp_path / "run")
