"""The command line: one file per command, imported when the command is called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module

from automl.cli import exit_codes
from automl.errors import UserError
from strategies.errors import did_you_mean

COMMANDS = {
    "run": "Tune a model, and train the best configuration.",
    "predict": "Predict for new data with the model of a run.",
    "update": "Keep the model of a run current as new data arrive.",
    "export": "Export the model of a run to ONNX.",
    "serve": "Serve the model of a run over HTTP.",
    "explain": "Show which columns and hyperparameters mattered in a run.",
    "report": "Write the report of a run again.",
    "watch": "Follow a run in the terminal.",
    "dashboard": "Open a run in optuna-dashboard.",
    "worker": "Train for a run on another machine.",
    "select": "Recommend a strategy for a task.",
    "baseline": "Score the baseline of a built-in data set.",
    "doctor": "Show what trainings run on: torch, the driver, GPUs, and their speed.",
    "data": "List, fetch and export the built-in data sets.",
}
"""Name -> one-line summary; each command is the typer app of the module of that name."""
WORK = ("run", "predict", "update", "export", "serve", "dashboard")  # those that do more than print


def run_command(name: str, arguments: Sequence[str] | None = None) -> None:
    """Run a command with ``arguments``, by default those of the process. Exits with code 2 on a UserError."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported: small matrices are fastest on one thread
    app = import_module(f"automl.cli.{name}").app
    exit_codes.run_command(lambda: exit_codes.call(app, arguments, f"automl {name}"), works=name in WORK)


def main(arguments: Sequence[str]) -> None:
    """``automl COMMAND ...``."""
    name, *rest = arguments or ["--help"]
    if name == "help" and rest:
        name, *rest = [*rest, "--help"]
    if name in ("--help", "-h", "help"):
        exit_codes.run_command(_show_commands)
    elif name in ("--version", "-V"):
        exit_codes.run_command(_show_version)
    elif name in COMMANDS:
        run_command(name, rest)
    else:
        exit_codes.run_command(lambda: _unknown(name))


def _show_commands() -> None:
    width = max(map(len, COMMANDS))
    print("Usage: automl COMMAND [OPTIONS]\n")
    for name, line in COMMANDS.items():
        print(f"  {name:{width}}  {line}")
    print("\nautoml COMMAND --help lists the options of a command, automl --version shows the version.")


def _show_version() -> None:
    from automl.provenance import versions

    print("automl", versions().get("automl", "(of a checkout that is not installed)"))


def _unknown(name: str) -> None:
    hint = f"the command comes first: automl run {name}; " if name.startswith("-") else did_you_mean(name, COMMANDS)
    raise UserError(f"unknown command {name!r}; {hint}choose one of: {', '.join(COMMANDS)}")
