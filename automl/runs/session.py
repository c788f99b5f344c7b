"""A run from its settings to the end of its search, for the command line and for the estimators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from automl.analysis.columns import KINDS_WITH_COLUMNS
from automl.runs.ensemble import build
from automl.runs.final import has_final
from automl.runs.final_model import refits
from automl.runs.likely_members import LikelyMembers
from automl.runs.search import Search, open_search, strategy_of
from automl.runs.time_plan import Clock, TimePlan
from automl.tasks.built_in import BuiltIn
from automl.tasks.cross_validated import CrossValidated
from automl.tasks.supervised import Supervised

if TYPE_CHECKING:
    from automl.runs.settings import Settings
    from automl.study.run_folder import RunFolder
    from automl.task import Task
    from automl.tuning.tuner import Tuner
    from strategies.base import Strategy


@dataclass
class Session:
    """A task, its search strategy, and the time plan of the whole command."""

    settings: Settings
    task: Task
    folder: RunFolder
    strategy: Strategy
    plan: TimePlan
    ends_with_final: bool

    @classmethod
    def of(cls, settings: Settings, task: Task, folder: RunFolder, clock: Clock) -> Self:
        """``task``: as ``build_task`` returns it; its data are those that the run's folder will have."""
        if settings.data is not None:
            assert isinstance(task, BuiltIn | CrossValidated)
            task = replace(task, data=str(folder.data))
        folds = isinstance(task, CrossValidated)
        ends_with_final = not folds and has_final(task, settings)
        plan = TimePlan(
            clock,
            n_seeds=(settings.n_final or 0) if ends_with_final else 0,
            refits=ends_with_final and refits(task, settings),
            keeps_model=folds or (ends_with_final and isinstance(task, Supervised)),
            refit_seconds=LikelyMembers(folder).seconds if folds else None,
            has_columns=isinstance(task, CrossValidated) and task.kind in KINDS_WITH_COLUMNS and settings.has_test,
        )
        return cls(settings, task, folder, strategy_of(task, settings), plan, ends_with_final)

    @contextmanager
    def searching(self, **options: Any) -> Iterator[Search]:
        """Open the search. ``options``: of ``open_search``."""
        with open_search(
            self.task, self.settings, self.strategy, self.folder, reserve=self.plan.reserve, **options
        ) as search:
            yield search

    def ensemble(
        self, tuner: Tuner, about: Mapping[str, Any], *, watch: Callable[[str], None], say: Callable[[str], None]
    ) -> dict[str, Any] | None:
        """Write the model of a cross-validated run and return its card; see ``build``."""
        assert isinstance(self.task, CrossValidated)
        left = self.plan.left_for_refit(tuner, self.settings.time_limit)
        return build(
            self.task, tuner, self.folder, about, max_members=self.settings.ensemble, left=left,
            milliseconds=self.settings.max_latency, watch=watch, say=say,
        )  # fmt: skip
