"""Tune a model: ``automl run --strategy bo``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from automl.errors import UserError

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def tune(
    strategy: Annotated[str | None, typer.Option(help="Search strategy (see --list). [default: auto]")] = None,
    task: Annotated[
        str | None, typer.Option(help="Built-in task, or your own as file.py:name. [default: mnist1d-cnn]")
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="Shell command to tune, with placeholders such as {lr}; prints its losses.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Your own data, a file or folder; what it is and what is odd about it is said.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Column of --data to predict; without data, a value of the metric that ends the search."),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column of --data with texts to learn from.")] = None,
    smiles: Annotated[str | None, typer.Option(help="Column of --data with molecules as SMILES.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of --data by which it is split, old to new.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Predict the target so many rows of --time ahead.")] = None,
    group: Annotated[str | None, typer.Option(help="Column of --data whose rows must not be torn apart.")] = None,
    source: Annotated[str | None, typer.Option(help="Column of --data with sentences to translate.")] = None,
    into: Annotated[str | None, typer.Option(help="Column of --data with their translations.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Overrule what --data is taken for: table, text, classification, ..."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Families for --data, such as mlp,random_forest. [default: auto]")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What is searched by, such as auc or mae. [default: the task's]")
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(help="YAML file with the search space; with a built-in task, what differs from its own."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Fix a hyperparameter to a value; repeatable."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Budget, in full trainings. [default: 25; no limit with --time-limit]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a full training. [default: the task's]")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds after which the search ends.")] = None,
    patience: Annotated[int | None, typer.Option(help="End it after so many trials' worth without a new best.")] = None,
    sure_within: Annotated[
        str | None, typer.Option(metavar="LOSS", help="End it when bo is sure that no more can be gained; or: noise.")
    ] = None,
    trial_seconds: Annotated[float | None, typer.Option(help="Seconds after which a single trial has failed.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the whole run. [default: 0]")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Trainings at a time. [default: one a core, or 1 on a GPU]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. [default: auto]")] = None,
    train_size: Annotated[int | None, typer.Option(help="Train on a stratified part of this many examples.")] = None,
    maximize: Annotated[
        bool, typer.Option("--maximize", help="What your function or command gives is a score.")
    ] = False,
    final_seeds: Annotated[
        int | None, typer.Option(help="Trainings of each contender and of the default at the end. [default: 3]")
    ] = None,
    refit: Annotated[
        bool | None,
        typer.Option("--refit/--no-refit", help="Train the model on the validation set too. [default: with --data]"),
    ] = None,
    ensemble: Annotated[
        int | None, typer.Option(metavar="K", help="Up to K trials become the model together, where that is better.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="YAML file with configs to try first, such as the best.yaml of a run.")
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="none|shipped|all",
            help="Start with configurations recommended by past studies: those shipped with the package, or your own "
            "as well. [default: all for auto, none for any other strategy]",
        ),
    ] = None,
    learn: Annotated[
        bool | None, typer.Option("--learn/--no-learn", help="Keep what is found for later searches. [default: learn]")
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Write the trials to mlflow, tensorboard or wandb as well; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. [default: runs/<task>-<strategy>-<seed>-<time>]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out; more --trials extend it.")
    ] = False,
    reproducible: Annotated[
        bool, typer.Option("--reproducible", help="Make a parallel run repeat itself exactly, at some waiting.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print summary.json at the end, and nothing else.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List strategies and tasks.")] = False,
) -> None:
    """Tune the hyperparameters of a model, and train the best ones for you."""
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
    from automl.data.ingest.request import Request
    from automl.integrations.tracking import tracker_names
    from automl.runs.settings import Settings, as_number
    from automl.tuning.stopping import as_within

    request = None
    if data is not None:
        request = Request(str(data), target, text, smiles, time, horizon, group, source, into, kind).checked()
    asked = Settings(
        task=task,
        command=command,
        data=None if request is None else asdict(request),
        model=model,
        metric=metric,
        strategy=strategy,
        n_trials=trials,
        max_epochs=epochs,
        seed=seed,
        train_size=train_size,
        time_limit=time_limit,
        target=None if request is not None or target is None else as_number(target),
        patience=patience,
        sure_within=as_within(sure_within),
        trial_seconds=trial_seconds,
        n_workers=workers,
        device=device,
        reproducible=reproducible or None,
        maximize=maximize or None,
        n_final=final_seeds,
        learn=learn,
        refit=refit,
        ensemble=ensemble,
        track=tracker_names(track) if track else None,
    )
    from automl.cli.pipeline import run_session
    from automl.cli.prepared_data import prepared_for
    from automl.cli.time_plan import Clock
    from automl.runs.configure import new_settings, stored_settings
    from automl.runs.past_studies import past_studies, which_prior

    clock = Clock(begin)
    if resume:
        if out is None or space is not None or set_ or start is not None or prior is not None:
            raise UserError("--resume continues the run in the folder given by --out, with the space and prior it has")
        settings = stored_settings(out).resumed_with(asked)
        folder, exit_code = run_session(settings, out, resume=True, console=console, clock=clock)
    else:
        studies = past_studies(which_prior(prior, strategy), lambda line: show_line(console, line))
        with prepared_for(request, out, console) as prepared:
            settings = new_settings(asked, space, set_ or [], start, studies, prepared)
            folder, exit_code = run_session(
                settings, out, resume=False, console=console, prepared=prepared, clock=clock
            )
    if json:
        print(folder.summary.read_text(encoding="utf-8"), end="")
    raise typer.Exit(exit_code)
