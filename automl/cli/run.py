"""Tune a model: ``automl run --strategy bo``."""

from __future__ import annotations

from dataclasses import asdict, replace
from time import monotonic
from typing import Any

import typer

from automl.cli import run_options as options
from automl.errors import UserError

FOR_DATA = (  # parameters that apply only to the user's own data
    "text", "smiles", "time", "horizon", "group", "weight", "quantiles", "source", "into", "kind", "no_test",
)  # fmt: skip
app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.command()
def tune(
    context: typer.Context,
    task: options.Task = None,
    command: options.Command = None,
    space: options.Space = None,
    set_: options.Set = None,
    maximize: options.Maximize = False,
    metric: options.Metric = None,
    train_size: options.TrainSize = None,
    data: options.Data = None,
    target: options.Target = None,
    text: options.Text = None,
    smiles: options.Smiles = None,
    time: options.Time = None,
    horizon: options.Horizon = None,
    group: options.Group = None,
    weight: options.Weight = None,
    quantiles: options.Quantiles = None,
    source: options.Source = None,
    into: options.Into = None,
    kind: options.Kind = None,
    no_test: options.NoTest = False,
    model: options.Model = None,
    trials: options.Trials = None,
    epochs: options.Epochs = None,
    time_limit: options.TimeLimit = None,
    trial_seconds: options.TrialSeconds = None,
    patience: options.Patience = None,
    sure_within: options.SureWithin = None,
    workers: options.Workers = None,
    lanes: options.Lanes = None,
    strategy: options.Strategy = None,
    start: options.Start = None,
    prior: options.Prior = None,
    learn: options.Learn = None,
    seed: options.Seed = None,
    reproducible: options.Reproducible = False,
    out: options.Out = None,
    storage: options.Storage = None,
    resume: options.Resume = False,
    resume_if_exists: options.ResumeIfExists = False,
    final_seeds: options.FinalSeeds = None,
    refit: options.Refit = None,
    ensemble: options.Ensemble = None,
    max_latency: options.MaxLatency = None,
    track: options.Track = None,
    json: options.Json = False,
    executor: options.Executor = None,
    address: options.Address = None,
    cores: options.Cores = None,
    gpus: options.Gpus = None,
    listen: options.Listen = None,
    token_file: options.TokenFile = None,
    certificate: options.Certificate = None,
    device: options.Device = None,
    verbose: options.Verbose = False,
    metrics_port: options.MetricsPort = None,
    list_: options.List = False,
) -> None:
    """Tune the hyperparameters of a model, and train it with the best ones."""
    from automl.cli.console import literal_console

    begin = monotonic()
    console = literal_console(stderr=json)
    if list_:
        from automl.cli.terminal import show_names

        return show_names()
    from automl.data.ingest.request import Request, as_quantiles
    from automl.integrations.tracking import tracker_names
    from automl.runs.machines import machines_of
    from automl.runs.settings import Settings, as_number, as_seconds, check_names
    from automl.tuning.stopping import as_within

    request: Request | None = None
    stored: dict[str, Any] | None = None
    for name in FOR_DATA if data is None else ():
        if context.params[name]:
            raise UserError(f"--{name.replace('_', '-')} is for your own data, given by --data FILE")
    built_in = task if data is None and model is not None and task is not None and ".py:" not in task else None
    if out is not None and not resume:
        from automl.study.run_folder import RunFolder

        resume = resume_if_exists and RunFolder(out).can_continue
        if not resume and storage is None:  # before anything is read
            RunFolder(out).check_is_free()
    if data is not None:
        request = Request(
            str(data),
            target=target,
            text=text,
            smiles=smiles,
            time=time,
            horizon=horizon,
            group=group,
            source=source,
            into=into,
            kind=kind,
            no_test=no_test,
            weight=weight,
            quantiles=as_quantiles(quantiles),
        ).checked()
        stored = asdict(request)
    elif built_in is not None:
        task, stored = None, {"data": built_in}
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
        time_limit=as_seconds(time_limit, "--time-limit"),
        target=None if data is not None or target is None else as_number(target),
        patience=patience,
        sure_within=as_within(sure_within),
        trial_seconds=as_seconds(trial_seconds, "--trial-seconds"),
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
    check_names(asked)
    if not console.is_terminal:  # before imports and reads that take seconds
        what = f"starting {command or task or built_in or 'the default task'}"
        what = f"continuing the run in {out}" if resume and out else f"reading {data}" if data is not None else what
        console.print(what, markup=False, soft_wrap=True)
    if built_in is not None:
        from automl.tasks.as_own_data import as_own_data

        request, fitting = context.with_resource(as_own_data(built_in, metric))
        asked = replace(asked, metric=fitting, data=asdict(request) | {"data": built_in})
    from automl.cli.dispatch import NewRun, dispatch
    from automl.cli.observers import observers
    from automl.runs.time_plan import Clock

    folder, exit_code = dispatch(
        asked,
        request,
        NewRun(space, set_ or [], start, prior),
        out=out,
        storage=storage,
        resume=resume,
        is_repeated=resume_if_exists,
        console=console,
        clock=Clock(begin),
        listeners=context.with_resource(observers(console, verbose=verbose, metrics_port=metrics_port)),
    )
    if json and folder.summary.exists():
        print(folder.summary.read_text(encoding="utf-8"), end="")
    raise typer.Exit(exit_code)
