"""The display during a search: a table in a terminal, elsewhere a line per outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from automl.analysis.formatting import duration
from automl.cli.terminal import ENDED, short_config, show_line
from automl.study.study import counts_in_words
from automl.study.trial import State
from automl.task import epochs_are
from automl.tuning.progress import Values, new_outcomes, seconds_left, trial_line

if TYPE_CHECKING:
    from automl.runs.time_plan import TimePlan
    from automl.tuning.tuner import Tuner

MIN_ENDED = 2  # ended trials needed to estimate the length of a run
MIN_ESTIMATE_SECONDS = 60.0  # shorter estimates are not printed


class LiveTable:
    """Trials done, best so far, the epoch of each running trial, time left; without a terminal, a line per outcome."""

    def __init__(self, console: Console, title: str, plan: TimePlan) -> None:
        self.values = Values()
        self._console = console
        self._title = title
        self._plan = plan
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._place: int | None = None  # position in the study's log
        self._has_estimate = False

    def __enter__(self) -> LiveTable:
        if self._console.is_terminal:
            self._live.start()
        else:
            show_line(self._console, self._title)
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def resumed(self, tuner: Tuner) -> None:
        """Print what a resumed run has so far, and what is left of its budget."""
        study, metric = tuner.study, tuner.task.metric
        self.values.look(tuner)
        best = "none has succeeded"
        if study.best is not None:
            best = f"best {metric} {self.values.show(study.best.mean(metric))} (trial {study.best.number})"
        left = []
        if tuner.budget_epochs is not None:
            n_left = max(0, tuner.budget_epochs - study.committed_epochs) / study.max_epochs
            left.append(f"{round(n_left, 1):g} of {tuner.n_trials} full trainings")
        if tuner.time_limit is not None:
            left.append(f"{duration(max(0.0, tuner.time_limit - study.clock))} of {duration(tuner.time_limit)}")
        show_line(
            self._console,
            f"resuming with {counts_in_words(study.counts, study.n_too_slow)}, {best}; left: {', '.join(left)}",
        )

    def update(self, tuner: Tuner) -> None:
        """Update the display; passed to a Tuner as ``watch``."""
        new, self._place = new_outcomes(tuner, self._place)
        if new:
            self.values.look(tuner)
        if self._console.is_terminal:
            self._live.update(self._table(tuner))
        else:
            for told in new:
                show_line(self._console, trial_line(tuner, told, self.values))
        if new:
            self._estimate(tuner)

    def note(self, text: str) -> None:
        """Show a status message instead of the trials."""
        if self._console.is_terminal:
            self._live.update(Text(text))

    def _estimate(self, tuner: Tuner) -> None:
        """Print once how long the command will take, if it is long."""
        done, left = tuner.study.n_ended, seconds_left(tuner)
        if self._has_estimate or done < MIN_ENDED or left is None:
            return
        self._has_estimate = True
        after = self._plan.after(tuner)
        if left + after > MIN_ESTIMATE_SECONDS:
            final = f", then {duration(after)} for the final and the files" if self._plan.n_seeds else ""
            show_line(self._console, f"about {duration(left + after)} left: {duration(left)} for the search{final}")

    def _table(self, tuner: Tuner) -> Group:
        study, metric, best = tuner.study, tuner.task.metric, tuner.study.best
        head = Table.grid(padding=(0, 2))
        head.add_row(Text(self._title, style="bold"))
        ended: dict[State, int] = {state: study.counts[state] for state in ENDED}
        incumbent = "none yet"
        if best is not None:
            incumbent = f"{metric} {self.values.show(best.mean(metric))} (trial {best.number})"
        left = seconds_left(tuner)
        time = f"{duration(tuner.seconds)} elapsed" + ("" if left is None else f", about {duration(left)} left")
        head.add_row(Text(counts_in_words(ended, study.n_too_slow)))
        head.add_row(Text(f"best: {incumbent}   {time}"))
        table = Table(box=None, padding=(0, 2), header_style="dim", expand=True)
        for column in ("trial", epochs_are(tuner.task).removesuffix("s"), "", metric):
            table.add_column(column, no_wrap=True, overflow="ellipsis")
        table.add_column("config", no_wrap=True, overflow="ellipsis", ratio=1)  # the remaining width
        for number, running in sorted(tuner.running.items()):
            epochs = len(running.losses)
            curve = running.metrics.get(metric) or running.losses
            table.add_row(
                str(number),
                f"{epochs}/{running.proposal.epochs}",
                ProgressBar(total=running.proposal.epochs, completed=epochs, width=20),
                self.values.show(curve[-1]) if curve else "",
                Text(short_config(running.proposal.config)),
            )
        return Group(head, table)
