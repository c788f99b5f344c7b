"""All files of a run, written after its search and again after its final."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.data.ingest.data_report import read_report
from automl.runs.columns import columns_in_time
from automl.runs.final import Final
from automl.runs.final_model import keep_model
from automl.runs.run_files import read_summary, summarise, write_best, write_summary, write_trials
from automl.runs.settings import Settings
from automl.runs.time_plan import Clock
from automl.study.facts import of_trial
from automl.study.run_folder import RunFolder
from automl.tuning.final_evaluation import contender_summary, final_summary
from automl.tuning.result import Result
from automl.tuning.tuner import Tuner

if TYPE_CHECKING:
    from automl.analysis.columns import ColumnImportances
    from automl.analysis.explanation import Explanation


class Outputs:
    """Writes every file of a run: once after the search, and again after the final."""

    def __init__(self, folder: RunFolder, result: Result, tuner: Tuner, settings: Settings, clock: Clock) -> None:
        self._folder, self.result, self.tuner, self._settings = folder, result, tuner, settings
        self._clock = clock
        log = result.study.log[tuner.n_restored :]
        self._strategy_seconds = sum(entry.seconds for entry in log)
        self.columns: ColumnImportances | None = None  # of the model; None: not computed yet
        self._explanation: Explanation | None = None  # of the search, so the final does not change it

    def write(self, trained: Final, *, complete: bool = False) -> dict[str, Any]:
        """Write the files and return the summary; without trainings, the run has no final.

        ``complete``: whether nothing of the run is left to do.
        """
        from automl.analysis.explanation import explain
        from automl.analysis.report import write_report

        folder, study = self._folder, self.result.study
        summary = self._summarised(trained, complete)
        self._explanation = self._explanation or explain(study, summary)
        self._write_summary(summary)
        ended = bool(trained.trainings) or trained.model is not None
        self.columns = columns_in_time(folder, summary["model"], self._left if ended else 0.0)
        write_report(folder.report, study, summary, self._explanation, columns=self.columns)
        return summary

    def record(self, trained: Final, *, complete: bool = False) -> dict[str, Any]:
        """Like ``write``, without the report, which takes seconds."""
        summary = self._summarised(trained, complete)
        self._write_summary(summary)
        return summary

    def _summarised(self, trained: Final, complete: bool) -> dict[str, Any]:
        """Write the trials, the best config and the model, and return the summary."""
        folder, result, task = self._folder, self.result, self.tuner.task
        folder.check_is_there()
        trainings, final, model, single = trained.trainings, None, None, None
        if trainings:
            final = final_summary(trainings, task.metric, trained.kept, trained.baseline) | {
                "config": trained.config,
                "trial": trained.chosen,
                "contenders": [of_trial(t) | contender_summary(trainings, t.number) for t in trained.contenders],
            }
        elif self._settings.folds is not None:
            earlier = read_summary(folder) if folder.model.is_dir() else None
            model = dict(trained.model) if trained.model is not None else (earlier or {}).get("model")
        elif result.study.best is not None:
            final, model = _earlier_final(folder, result.study.best.config)
        if self._settings.folds is not None and model is not None:
            members = {entry["trial"] for entry in model["members"]}
            single = of_trial(result.study.trials[members.pop()]) if len(members) == 1 else None
        summary = summarise(result, self.tuner, self._settings.to_json(), final)
        summary["complete"] = complete
        summary["kept_trial"] = single
        summary["data"] = read_report(folder.data)
        write_trials(folder.trials_csv, result)
        about = about_run(summary)
        summary["model"] = model or keep_model(
            task, trainings, folder, about,
            role=trained.kept, refitted=trained.refitted, trials=result.trials, ensemble=self._settings.ensemble,
            baseline=trained.baseline,
        )  # fmt: skip
        if summary["best"] is not None:
            write_best(folder.best, summary)
        shutil.rmtree(folder.final, ignore_errors=True)
        return summary

    def _write_summary(self, summary: dict[str, Any]) -> None:
        """Write the summary, with the time so far."""
        summary["time"] = self._clock.table(self._strategy_seconds)
        write_summary(self._folder.summary, summary)

    @property
    def _left(self) -> float:
        """Seconds of the time limit; none after an interruption."""
        limit = self._settings.time_limit
        if self.tuner.interrupted:
            return 0.0
        return math.inf if limit is None else limit - self._clock.seconds


def about_run(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The facts about the run in a model's card."""
    return {name: summary[name] for name in ("strategy", "seed", "n_trials", "started", "versions", "commit")}


def _earlier_final(folder: RunFolder, config: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The final and the model card of the earlier session, if the incumbent is still the same."""
    earlier = read_summary(folder) or {}
    final, best = earlier.get("final"), earlier.get("best")
    if not final or not best or best["config"] != dict(config):
        return None, None
    return final, earlier.get("model")
