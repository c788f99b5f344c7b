"""MLflow: a parent run for the study, and a nested run for each trial.

Written to the server of ``MLFLOW_TRACKING_URI``, else to ``mlflow.db`` in the run's folder; the experiment is
``MLFLOW_EXPERIMENT_NAME``, else the task.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from automl.errors import UserError
from automl.integrations.tracker import FINAL, Snapshot, TrackedRun, Tracker, one_line

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from automl.tuning.final_evaluation import Role

STUDY, TRIAL, STATE = "automl.study.study", "automl.trial", "state"  # tags
STATUS = {"running": "RUNNING", "complete": "FINISHED", "failed": "FAILED"}  # all other states: KILLED
BATCH, BATCH_OF_PARAMS = 1000, 100  # maximum metrics and params per call to MLflow
REFUSED = re.compile(r"[^/\w.\- :]")  # characters that MLflow refuses in names of metrics and params, as in recall@10
# The writer retries by itself, and the end of the run must not wait for minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
CONNECT_SECONDS = 4  # for each address of a database's host, which may have two
DATABASES = {"postgresql": ("connect_timeout",), "mysql": ("connect_timeout",), "mssql": ()}
"""Database servers that MLflow can write to, and the options of a timeout that all their drivers have."""


class MLflow(Tracker):
    name = "mlflow"

    def __init__(self) -> None:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient, get_tracking_uri, is_tracking_uri_set
        from sqlalchemy.exc import SQLAlchemyError

        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # no line for each table of a new mlflow.db
        self._client_of = MlflowClient
        self._server = get_tracking_uri() if is_tracking_uri_set() else None
        if self._server:
            try:
                if urlsplit(self._server).scheme.partition("+")[0] in DATABASES:
                    _connect_once(self._server)
                self._client_of(self._server).search_experiments(max_results=1)
            except (MlflowException, SQLAlchemyError) as error:
                reason = one_line(getattr(error, "orig", None) or error)  # SQLAlchemy adds its own lines to a driver's
                raise UserError(
                    f"no MLflow server responds at MLFLOW_TRACKING_URI ({reason}); start it, or unset the variable to "
                    "use mlflow.db in the run's folder"
                ) from None
        self._parent: str | None = None  # MLflow run id of the study
        self._runs: dict[int, str] = {}  # MLflow run ids of the trials
        self._is_unsure = False
        self._best: tuple[str | None, float | None] | None = None  # trial and loss
        self._states: dict[int, str] = {}
        self._n_epochs: dict[int, int] = {}

    def open(self, run: TrackedRun) -> None:
        self._run = run
        self._client = self._client_of(self._server or self._database(run.folder / "mlflow.db"))
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", run.task)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            place = None if self._server else (run.folder / "mlartifacts").as_uri()
            self._experiment = self._client.create_experiment(name, place)
        else:
            self._experiment = experiment.experiment_id
        self._read()
        if self._parent is None:
            self._parent = self._create(run.name, {})
        else:
            self._client.update_run(self._parent, "RUNNING")
        self._log(self._parent, params={"task": run.task, "strategy": run.strategy, "seed": run.seed})

    def write(self, trial: Snapshot) -> None:
        if trial.state in FINAL and self._states.get(trial.number) == trial.state:
            return
        run_id, known = self._run_of(trial.number), self._n_epochs.pop(trial.number, None)
        if known is None:  # in a resumed run, or the response to the last call was lost
            known = len(self._client.get_metric_history(run_id, "loss"))
        if known == 0:  # logging a param again with the same value has no effect
            self._log(run_id, params=trial.config)
        now, metrics = int(time.time() * 1000), []
        for epoch in range(known + 1, len(trial.losses) + 1):
            metrics += [self._metric(name, value, now, epoch) for name, value in trial.epoch(epoch).items()]
        self._log(run_id, metrics=metrics)
        self._n_epochs[trial.number] = max(known, len(trial.losses))
        if self._states.get(trial.number) != trial.state:
            facts = {STATE: trial.state, "seed": trial.seed, "arm": trial.arm, "error": trial.error}
            self._client.update_run(run_id, STATUS.get(trial.state, "KILLED"))
            self._log(run_id, tags={name: value for name, value in facts.items() if value is not None})
            self._states[trial.number] = trial.state

    def write_best(self, best: Snapshot, loss: float, n_trials: int) -> None:
        assert self._parent is not None
        if (str(best.number), loss) == self._best:
            return
        # As tags: params cannot be changed, but the best config of a running search can change.
        tags = {"best.trial": best.number, "best.config": json.dumps(best.config)}
        metric = self._metric("best_loss", loss, int(time.time() * 1000), n_trials)
        self._log(self._parent, metrics=[metric], tags=tags)

    def write_final(self, chosen: int, means: Mapping[Role, Mapping[str, float]], kept: Role) -> None:
        assert self._parent is not None
        now = int(time.time() * 1000)
        metrics = [
            self._metric(f"{role}_{name}", value, now, 0)
            for role, scores in means.items()
            for name, value in scores.items()
        ]
        self._log(self._parent, metrics=metrics, tags={"final.trial": chosen, "final.kept": kept})

    def close(self, *, interrupted: bool) -> None:
        assert self._parent is not None
        self._client.update_run(self._parent, "KILLED" if interrupted else "FINISHED")

    def _run_of(self, number: int) -> str:
        """The MLflow run of a trial, created if there is none."""
        if number not in self._runs and self._is_unsure:
            self._read()
        if number not in self._runs:
            self._is_unsure = True  # until the call returns, the run may exist or not
            tags = {"mlflow.parentRunId": str(self._parent), TRIAL: str(number), STATE: "running"}
            self._runs[number] = self._create(f"trial {number}", tags)
            self._n_epochs[number] = 0
            self._is_unsure = False
        return self._runs[number]

    def _read(self) -> None:
        """Find the existing runs of this study."""
        for found in self._found():
            trial = found.data.tags.get(TRIAL)
            if trial is None:
                self._parent = found.info.run_id
                self._best = found.data.tags.get("best.trial"), found.data.metrics.get("best_loss")
            else:
                self._runs[int(trial)] = found.info.run_id
                self._states[int(trial)] = found.data.tags.get(STATE, "running")

    def _database(self, file: Path) -> str:
        """The URI of a database file, created if missing."""
        if not file.exists():
            # Under a temporary name: creation takes seconds, and MLflow cannot use a partly created one.
            aside = file.with_suffix(".making")
            aside.unlink(missing_ok=True)
            self._client_of(f"sqlite:///{aside}").search_experiments(max_results=1)
            aside.rename(file)
        return f"sqlite:///{file}"

    def _found(self) -> Iterator[Any]:
        """The runs, page by page."""
        token = None
        while True:
            page = self._client.search_runs([self._experiment], f"tags.`{STUDY}` = '{self._run.id}'", page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        made = self._client.create_run(self._experiment, run_name=name, tags={STUDY: self._run.id, **tags})
        run_id: str = made.info.run_id
        return run_id

    def _metric(self, name: str, value: float, now: int, step: int) -> Metric:
        from mlflow.entities import Metric

        return Metric(REFUSED.sub("_", name), value, now, step)

    def _log(
        self,
        run_id: str,
        *,
        metrics: list[Metric] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        entries = [Param(REFUSED.sub("_", name), str(value)) for name, value in (params or {}).items()]
        for first in range(0, len(entries), BATCH_OF_PARAMS):
            self._client.log_batch(run_id, params=entries[first : first + BATCH_OF_PARAMS])
        if tags:
            self._client.log_batch(run_id, tags=[RunTag(name, str(value)) for name, value in tags.items()])
        for first in range(0, len(metrics or []), BATCH):
            self._client.log_batch(run_id, metrics=(metrics or [])[first : first + BATCH])


def _connect_once(uri: str) -> None:
    """Connect to a tracking database and leave it. MLflow itself would try for minutes and print every failure."""
    from sqlalchemy import NullPool, create_engine, make_url

    url = make_url(uri)
    names = DATABASES.get(url.get_backend_name(), ())
    options = {name: CONNECT_SECONDS for name in names if name not in url.query}
    create_engine(url, poolclass=NullPool, connect_args=options).connect().close()
