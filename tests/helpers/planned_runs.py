"""Runs by the default plan, in this process, with a few trials."""

from dataclasses import asdict, replace

from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.runs.configure import new_settings
from automl.runs.ensemble import build
from automl.runs.likely_members import LikelyMembers
from automl.runs.search import open_search, strategy_of
from automl.runs.settings import Settings, build_task
from automl.runs.time_plan import Clock, TimePlan
from automl.study.run_folder import RunFolder
from automl.tuning.executor import SerialExecutor


def planned_run(request, place, *, folds, n_trials, model=None, metric=None, watch=lambda folder: None, say=print):
    """Prepare the data, try presets, and write the model; returns the run's folder and the model's card.

    ``watch``: called with the folder of the run after the search, and while and after members are fitted to all rows.
    """
    request = request.checked()
    place.mkdir(parents=True, exist_ok=True)
    prepare(request, place / "data")
    asked = Settings(
        data=asdict(request), model=model, time_limit=300.0, n_trials=n_trials, n_workers=1, device="cpu",
        learn=False, folds=folds, metric=metric,
    )  # fmt: skip
    folder, clock = RunFolder(place / "run"), Clock()
    settings = new_settings(asked, None, [], prepared=place / "data")
    task = replace(build_task(settings, place / "data"), data=str(folder.data))
    plan = TimePlan(clock, n_seeds=0, refits=False, keeps_model=True, refit_seconds=LikelyMembers(folder).seconds)
    with open_search(
        task, settings, strategy_of(task, settings), folder, data=place / "data", reserve=plan.reserve,
        executor=SerialExecutor(task), warn=print,
    ) as search:  # fmt: skip
        plan.begin()
        result = search.tuner.run()
        errors = [trial.error for trial in result.trials if trial.error]
        assert errors == [], errors
        watch(folder)
        about = {"strategy": "auto", "seed": 0, "n_trials": n_trials, "started": "today"}
        card = build(
            task, search.tuner, folder, about, max_members=None, left=300.0, milliseconds=None,
            watch=lambda line: watch(folder), say=say,
        )  # fmt: skip
    return folder.path, card


__all__ = ["Request", "planned_run"]
