"""Tune a model: ``automl run --strategy bo``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.errors import UserError

if TYPE_CHECKING:
    from automl.runs.shared import SharedRun
    from automl.study.run_folder import RunFolder

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)

TASK, DATA, BUDGET = "What to tune", "Your data", "Budget"
STRATEGY, OUTPUT, MACHINES, MORE = "Strategy", "Output", "Other machines", "More"


@app.command()
def tune(
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Option(help="Built-in task, or your own as file.py:name. [default: mnist1d-cnn]", rich_help_panel=TASK),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            help="Shell command that prints its losses, with placeholders such as {lr}.", rich_help_panel=TASK
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Search space (YAML); for a task with a space of its own, only what differs.",
            rich_help_panel=TASK,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Fix a hyperparameter; repeatable.", rich_help_panel=TASK),
    ] = None,
    maximize: Annotated[
        bool,
        typer.Option(
            "--maximize", help="Your function or command returns a score to maximize.", metavar="", rich_help_panel=TASK
        ),
    ] = False,
    metric: Annotated[
        str | None,
        typer.Option(help="Metric to optimize, such as auc or mae. [default: the task's]", rich_help_panel=TASK),
    ] = None,
    train_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Train on a stratified subset of N examples.", rich_help_panel=TASK),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="File or folder with your data; the type is inferred and problems are reported.",
            rich_help_panel=DATA,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column to predict. Without --data: stop once the metric reaches this value.",
            rich_help_panel=DATA,
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with texts to learn from.", rich_help_panel=DATA)
    ] = None,
    smiles: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with molecules as SMILES.", rich_help_panel=DATA)
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column with times; data are split from old to new.", rich_help_panel=DATA),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            metavar="ROWS", help="Predict the target this many rows ahead (with --time).", rich_help_panel=DATA
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Rows of a group stay in one split.", rich_help_panel=DATA),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="How much each row of a table counts.", rich_help_panel=DATA),
    ] = None,
    quantiles: Annotated[
        str | None,
        typer.Option(metavar="LEVELS", help="Quantiles of the target to predict: 0.1,0.5,0.9.", rich_help_panel=DATA),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with sentences to translate.", rich_help_panel=DATA)
    ] = None,
    into: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column with their translations.", rich_help_panel=DATA)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Override the inferred type: table, text, classification, ...", rich_help_panel=DATA),
    ] = None,
    no_test: Annotated[
        bool,
        typer.Option(
            "--no-test",
            help="Train the model on all rows; its score is that of cross-validation.",
            metavar="",
            rich_help_panel=DATA,
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Model families, such as mlp,random_forest; with --task, any of those for its data. [default: auto]",
            rich_help_panel=DATA,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Budget in full trainings. [default: 25; no limit with --time-limit]",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Epochs of a full training. [default: the task's]", rich_help_panel=BUDGET),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Time for the whole command; the search leaves enough for the final trainings.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    trial_seconds: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="A trial that takes longer fails; --resume with more seconds tries it again.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(metavar="N", help="Stop after N trials without improvement.", rich_help_panel=BUDGET),
    ] = None,
    sure_within: Annotated[
        str | None,
        typer.Option(
            metavar="LOSS",
            help="Stop once bo is sure that no configuration is better by more than LOSS, or than the noise of a "
            "training (noise).",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Trainings to run in parallel. [default: one per core, or per GPU; on other machines, all there are]",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    lanes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Train up to N configurations of one shape in one program: small networks are faster so. [default: 1]",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Search strategy (see --list). [default: auto]", rich_help_panel=STRATEGY)
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Configurations to try first (YAML), such as the best.yaml of a run.",
            rich_help_panel=STRATEGY,
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH",
            help="Start with configurations recommended by past studies: none, shipped (with the package), or all "
            "(yours too). [default: all for auto, none otherwise]",
            rich_help_panel=STRATEGY,
        ),
    ] = None,
    learn: Annotated[
        bool | None,
        typer.Option(
            "--learn/--no-learn",
            help="Save the results for future searches. [default: learn]",
            metavar="",
            rich_help_panel=STRATEGY,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Random seed of the run. [default: 0]", rich_help_panel=STRATEGY),
    ] = None,
    reproducible: Annotated[
        bool,
        typer.Option(
            "--reproducible",
            help="Make a parallel run exactly repeatable; workers wait for each other.",
            metavar="",
            rich_help_panel=STRATEGY,
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the run. [default: runs/TASK-STRATEGY-SEED-TIME]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="PostgreSQL database for the study; other processes with the same --storage and --out lend their "
            "workers. [default: SQLite in the run folder]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue the run in --out; a larger --trials extends it.",
            metavar="",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    final_seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Final trainings of each of the best configurations and of the default; 0 for none. [default: 3]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    refit: Annotated[
        bool | None,
        typer.Option(
            "--refit/--no-refit",
            help="Train the final model on the validation set too. [default: refit with --data]",
            metavar="",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    ensemble: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="Combine up to K trials into the model if that is better.", rich_help_panel=OUTPUT
        ),
    ] = None,
    max_latency: Annotated[
        float | None,
        typer.Option(
            metavar="MILLISECONDS",
            help="Time that the ensemble of a table may take for a row; slow members are left out.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Also log the trials to mlflow, tensorboard or wandb; repeatable.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print summary.json and nothing else.", metavar="", rich_help_panel=OUTPUT)
    ] = False,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Where trainings run: local, ray (on a Ray cluster) or tcp (on machines that run automl worker). "
            "[default: local]",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Ray cluster. [default: that of this machine]", rich_help_panel=MACHINES
        ),
    ] = None,
    cores: Annotated[
        float | None,
        typer.Option(metavar="N", help="Cores of a worker on Ray. [default: 1]", rich_help_panel=MACHINES),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="GPUs of a worker on Ray; may be a fraction. [default: 1 if the cluster has any]",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where automl worker connects to (tcp).", rich_help_panel=MACHINES),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File with the token that run and workers share (tcp).", rich_help_panel=MACHINES
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="PEM file with certificate and key (tcp), needed beyond this machine.",
            rich_help_panel=MACHINES,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="auto (all GPUs, else the CPU), cpu, cuda, cuda:N or cuda:0,cuda:1. [default: auto]",
            rich_help_panel=MORE,
        ),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Print every event of run.log.", metavar="", rich_help_panel=MORE),
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve metrics for Prometheus on this machine while the search runs; 0 picks a free port.",
            rich_help_panel=MORE,
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List strategies and tasks, and exit.", metavar="", rich_help_panel=MORE)
    ] = False,
) -> None:
    """Tune the hyperparameters of a model, and train it with the best ones."""
    from rich.console import Console

    begin = monotonic()
    console = Console(stderr=json, highlight=False)
    if not list_ and not console.is_terminal:  # at once: what follows takes seconds to import
        what = f"starting {command or task or 'the default task'}"
        what = f"reading {data}" if data is not None else f"continuing the run in {out}" if resume else what
        console.print(what, markup=False, soft_wrap=True)
    from automl.cli.terminal import show_line, show_names

    if list_:
        return show_names()
    from automl.data.ingest.request import Request, as_quantiles
    from automl.integrations.tracking import tracker_names
    from automl.runs.machines import machines_of
    from automl.runs.settings import Settings, as_number
    from automl.tuning.stopping import as_within

    request: Request | None = None
    stored: dict[str, Any] | None = None
    if data is None and task is not None and model is not None and ".py:" not in task:
        from automl.tasks.as_own_data import as_own_data

        request, own_metric = context.with_resource(as_own_data(task))
        metric, stored = metric or own_metric, asdict(request) | {"data": task}
        task = None
    elif data is not None:
        request = Request(
            str(data),
            target,
            text,
            smiles,
            time,
            horizon,
            group,
            source,
            into,
            kind,
            no_test,
            weight=weight,
            quantiles=as_quantiles(quantiles),
        ).checked()
        stored = asdict(request)
    asked = Settings(
        task=task,
        command=command,
        data=stored,
        model=model,
        metric=metric,
        strategy=strategy,
        n_trials=trials,
        max_epochs=epochs,
        seed=seed,
        train_size=train_size,
        time_limit=time_limit,
        target=None if data is not None or target is None else as_number(target),
        patience=patience,
        sure_within=as_within(sure_within),
        trial_seconds=trial_seconds,
        n_workers=workers,
        lanes=lanes,
        device=device,
        reproducible=reproducible or None,
        maximize=maximize or None,
        n_final=final_seeds,
        learn=learn,
        refit=refit,
        ensemble=ensemble,
        max_latency=max_latency,
        track=tracker_names(track) if track else None,
        machines=machines_of(
            executor,
            address=address,
            cores=cores,
            gpus=gpus,
            listen=listen,
            token_file=None if token_file is None else str(token_file),
            certificate=None if certificate is None else str(certificate),
        ),
    )
    from automl.cli.observers import observers
    from automl.cli.pipeline import run_session
    from automl.cli.prepared_data import prepared_for
    from automl.cli.several_targets import names_of, run_each
    from automl.cli.shared_session import share, shared_location
    from automl.runs.configure import new_settings, planned, resumed, stored_settings
    from automl.runs.past_studies import past_studies, which_prior
    from automl.runs.time_plan import Clock

    clock = Clock(begin)
    listeners = context.with_resource(observers(console, verbose=verbose, metrics_port=metrics_port))
    if resume and (out is None or space is not None or set_ or start is not None or prior is not None):
        raise UserError("--resume continues the run in the folder given by --out, with the space and prior it has")

    def run_once(
        request: Request | None, asked: Settings, out: Path | None, clock: Clock, shared: SharedRun | None = None
    ) -> tuple[RunFolder, int]:
        studies = past_studies(which_prior(prior, strategy), lambda line: show_line(console, line))
        with prepared_for(request, out, console) as prepared:
            wanted = asked if prepared is None else planned(asked, prepared)
            settings = new_settings(wanted, space, set_ or [], start, studies, prepared)
            return run_session(
                settings, out, resume=False, console=console, prepared=prepared, clock=clock, listeners=listeners,
                shared=shared,
            )  # fmt: skip

    def begin_run(shared: SharedRun | None = None) -> tuple[RunFolder, int]:
        return run_once(request, asked, out, clock, shared)

    location, targets = shared_location(storage, out, resume=resume), names_of(request)
    if targets:
        assert request is not None
        if location is not None or resume:
            raise UserError(f"--target {target} excludes --storage and --resume: a run has one target")

        def run_target(request: Request, asked: Settings, out: Path) -> tuple[RunFolder, int]:
            return run_once(request, asked, out, Clock())

        folder, exit_code = run_each(targets, request, asked, out, run_target, console, begin)
    elif location is not None:
        folder, exit_code = share(location, asked, begin_run, resume=resume, console=console, clock=clock)
    elif resume:
        assert out is not None
        settings = resumed(stored_settings(out), asked)
        folder, exit_code = run_session(settings, out, resume=True, console=console, clock=clock, listeners=listeners)
    else:
        folder, exit_code = begin_run()
    if json:
        print(folder.summary.read_text(encoding="utf-8"), end="")
    raise typer.Exit(exit_code)
