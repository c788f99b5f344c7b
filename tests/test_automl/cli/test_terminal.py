"""What commands show in the terminal."""

import io

from rich.console import Console

from automl.cli.terminal import show_summary

NAME = "a_hyperparameter_whose_name_is_as_wide_as_the_whole_terminal_it_is_shown_in_or_wider"


def test_a_long_name_leaves_room_for_the_values():
    counts = {f"n_{state}": 0 for state in ("complete", "paused", "stopped", "failed", "too_slow")}
    best = {"trial": 3, "config": {NAME: 0.125}, "loss": 0.5, "metrics": {}, "epochs": 1, "trainings": 1}
    summary = counts | {
        "n_trials": 1, "n_complete": 1, "budget_epochs": None, "epochs_trained": 1, "max_epochs": 1,
        "stop_reason": "budget spent", "time": {"total": 1.0}, "best": best, "default": None, "metric": "loss",
        "settings": {}, "final": None, "model": None,
    }  # fmt: skip
    console = Console(width=60, file=io.StringIO())
    show_summary(console, summary, {NAME: 0.75})
    shown = console.file.getvalue()
    assert "0.125" in shown
    assert "0.75" in shown
