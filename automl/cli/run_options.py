"""The options of ``automl run``: their types, help texts and help panels."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

_task = partial(typer.Option, rich_help_panel="What to tune")
_data = partial(typer.Option, rich_help_panel="Your data")
_budget = partial(typer.Option, rich_help_panel="Budget")
_strategy = partial(typer.Option, rich_help_panel="Strategy")
_output = partial(typer.Option, rich_help_panel="Output")
_machines = partial(typer.Option, rich_help_panel="Other machines")
_more = partial(typer.Option, rich_help_panel="More")

Task = Annotated[str | None, _task(help="Built-in task, or your own as file.py:name. [default: mnist1d-cnn]")]
Command = Annotated[str | None, _task(help="Shell command that prints its losses, with placeholders such as {lr}.")]
Space = Annotated[
    Path | None,
    _task(metavar="FILE", help="Search space (YAML); for a task that already has one, only the changes."),
]
Set = Annotated[list[str] | None, _task("--set", metavar="KEY=VALUE", help="Fix a hyperparameter; repeatable.")]
Maximize = Annotated[
    bool, _task("--maximize", help="Your function or command returns a score to maximize.", metavar="")
]
Metric = Annotated[str | None, _task(help="Metric to optimize, such as auc or mae. [default: the task's]")]
TrainSize = Annotated[int | None, _task(metavar="N", help="Train on a stratified subset of N examples.")]

Data = Annotated[
    Path | None,
    _data(metavar="PATH", help="File or folder with your data; the type is inferred and problems are reported."),
]
Target = Annotated[
    str | None,
    _data(
        metavar="COLUMN",
        help="Column to predict; several numeric ones as a,b. Without --data: stop once the metric reaches this value.",
    ),
]
Text = Annotated[str | None, _data(metavar="COLUMN", help="Column with texts to learn from.")]
Smiles = Annotated[str | None, _data(metavar="COLUMN", help="Column with molecules as SMILES.")]
Time = Annotated[str | None, _data(metavar="COLUMN", help="Column with times; data are split chronologically.")]
Horizon = Annotated[int | None, _data(metavar="STEPS", help="Predict the target this many steps ahead (with --time).")]
Group = Annotated[str | None, _data(metavar="COLUMN", help="Rows of a group stay in one split.")]
Weight = Annotated[str | None, _data(metavar="COLUMN", help="Column with row weights (tables only).")]
Quantiles = Annotated[str | None, _data(metavar="LEVELS", help="Quantiles to predict, such as 0.1,0.5,0.9.")]
Source = Annotated[str | None, _data(metavar="COLUMN", help="Column with sentences to translate.")]
Into = Annotated[str | None, _data(metavar="COLUMN", help="Column with the translations.")]
Kind = Annotated[str | None, _data(help="Override the inferred type: table, text, classification, ...")]
NoTest = Annotated[
    bool, _data("--no-test", help="Keep no test set: train on all rows, and score by cross-validation.", metavar="")
]
Model = Annotated[
    str | None,
    _data(
        metavar="NAMES",
        help="Model families, such as lightgbm,random_forest; with --task, any that suit its data. [default: auto]",
    ),
]

Trials = Annotated[
    int | None, _budget(metavar="N", help="Budget in full trainings. [default: 25; none with a time limit]")
]
Epochs = Annotated[int | None, _budget(metavar="N", help="Epochs of a full training. [default: the task's]")]
TimeLimit = Annotated[
    str | None,
    _budget(
        metavar="SECONDS",
        help="Time limit for the whole command, including the final trainings; also as 90s, 5m or 1h. [default: no "
        "limit; 300 with --data, unless --strategy, --trials, --epochs, --train-size, --refit or --no-refit is given]",
    ),
]
TrialSeconds = Annotated[
    str | None,
    _budget(metavar="SECONDS", help="Time limit per trial; slower ones fail. --resume with more seconds retries them."),
]
Patience = Annotated[
    int | None, _budget(metavar="N", help="Stop after N full trainings' worth of epochs without improvement.")
]
SureWithin = Annotated[
    str | None,
    _budget(
        metavar="LOSS",
        help="Stop once bo can rule out improvements above LOSS, or above the noise between trainings (noise).",
    ),
]
Workers = Annotated[
    int | None,
    _budget(
        metavar="N",
        help="Trainings to run in parallel. [default: one per core, or per GPU; on other machines, all there are]",
    ),
]
Lanes = Annotated[
    int | None,
    _budget(
        metavar="N",
        help="Train up to N configurations of one shape in one program; faster for small networks. [default: 1]",
    ),
]

Strategy = Annotated[str | None, _strategy(help="Search strategy (see --list). [default: auto]")]
Start = Annotated[
    Path | None,
    _strategy(metavar="FILE", help="Configurations to try right after the default (YAML), such as a best.yaml."),
]
Prior = Annotated[
    str | None,
    _strategy(
        metavar="WHICH",
        help="Start with configurations recommended by past studies: none, shipped (with the package), or all "
        "(yours too). [default: all for auto, none otherwise]",
    ),
]
Learn = Annotated[
    bool | None,
    _strategy("--learn/--no-learn", help="Save the results for future searches. [default: learn]", metavar=""),
]
Seed = Annotated[int | None, _strategy(metavar="N", help="Random seed of the run. [default: 0]")]
Reproducible = Annotated[
    bool,
    _strategy(
        "--reproducible", help="Make a parallel run exactly repeatable; workers wait for each other.", metavar=""
    ),
]

Out = Annotated[
    Path | None, _output(metavar="FOLDER", help="Folder of the run. [default: runs/TASK-STRATEGY-SEED-TIME]")
]
Storage = Annotated[
    str | None,
    _output(
        metavar="URL",
        help="PostgreSQL database for the study; processes with the same --storage and --out share the run. "
        "[default: SQLite in the run folder]",
    ),
]
Resume = Annotated[
    bool,
    _output(
        "--resume",
        help="Continue the run in --out; a larger --trials, or --time-limit in the default plan, extends it.",
        metavar="",
    ),
]
ResumeIfExists = Annotated[
    bool,
    _output(
        "--resume-if-exists",
        help="Continue the run in --out if there is one, else start it: for a command that is repeated.",
        metavar="",
    ),
]
FinalSeeds = Annotated[
    int | None,
    _output(
        metavar="N",
        help="Number of fresh seeds to retrain the best configurations and the default with; 0 for none. [default: 3]",
    ),
]
Refit = Annotated[
    bool | None,
    _output(
        "--refit/--no-refit",
        help="Also train the final model on the validation set; with --data, this replaces the default plan. "
        "[default: refit with --data and --strategy or --trials]",
        metavar="",
    ),
]
Ensemble = Annotated[int | None, _output(metavar="K", help="Combine up to K trials in an ensemble if it is better.")]
MaxLatency = Annotated[
    float | None,
    _output(
        metavar="MILLISECONDS",
        help="Maximum prediction time per row of a default-plan model; slow members are dropped.",
    ),
]
Track = Annotated[
    list[str] | None, _output(metavar="NAMES", help="Also log the trials to mlflow, tensorboard or wandb; repeatable.")
]
Json = Annotated[bool, _output("--json", help="Print summary.json and nothing else.", metavar="")]

Executor = Annotated[
    str | None,
    _machines(
        help="Where trainings run: local, ray (on a Ray cluster) or tcp (on machines that run automl worker). "
        "[default: local]"
    ),
]
Address = Annotated[str | None, _machines(metavar="HOST:PORT", help="Ray cluster address. [default: this machine's]")]
Cores = Annotated[float | None, _machines(metavar="N", help="Cores per Ray worker. [default: 1]")]
Gpus = Annotated[
    float | None,
    _machines(metavar="N", help="GPUs per Ray worker; may be a fraction. [default: 1 if the cluster has any]"),
]
Listen = Annotated[str | None, _machines(metavar="HOST:PORT", help="Address to listen on for automl worker (tcp).")]
TokenFile = Annotated[
    Path | None, _machines(metavar="FILE", help="File with the token shared by run and workers (tcp).")
]
Certificate = Annotated[
    Path | None, _machines(metavar="FILE", help="PEM file with certificate and key (tcp); needed for other machines.")
]

Device = Annotated[
    str | None, _more(help="auto (all GPUs, else the CPU), cpu, cuda, cuda:N or cuda:0,cuda:1. [default: auto]")
]
Verbose = Annotated[bool, _more("--verbose", help="Print every event of run.log.", metavar="")]
MetricsPort = Annotated[
    int | None,
    _more(
        min=0,
        max=65535,
        metavar="PORT",
        help="Serve Prometheus metrics on this machine until the run ends; 0 picks a free port.",
    ),
]
List = Annotated[bool, _more("--list", help="List strategies and tasks, and exit.", metavar="")]
