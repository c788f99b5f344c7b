"""leaderboard.md, and its summary for a page of the documentation: verdicts, one table per field, and figures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from automl.errors import UserError
from benchmarks.pages.sentences import Advice, advice, budgets, findings
from benchmarks.pages.tables import Cell, columns, generalisation, rows
from benchmarks.scoring.comparison import MARGIN
from benchmarks.scoring.leaderboard import Section
from benchmarks.scoring.statistics import MIN_UNITS

BLOCK = "leaderboard"
BEFORE = (
    "Before its first outcome, and where it crashed, a run is worth the worst of 1, the default's regret and the worst "
    "regret of any run compared on that task; where regret is not known, the worse of the default's and the worst loss."
)
EXPLANATION = f"""Written by `python -m benchmarks.report` from runs; no number in it is typed. Each sentence stands on
rows of {{name}}.csv and {{name}}-tests.csv; {{name}}.html shows the same with interactive figures.

**Regret** is normalised: 0 is the best loss of a task that was known when its constants were found, 1 that of a median
random config; the mean over seeds, then over tasks. Variants of one task (a function in several dimensions) are one
**unit**: they are averaged first, and tests count units. In brackets, the 95% interval over units *and* seeds: how sure
this is for tasks like these. What counts is the config that the run would return by then, where it is known without the
noise of its trainings; since it was chosen by noisy losses, regret can rise. Above 1: worse than a median random one.
On tasks with a test set, the last budget is scored, where all strategies have it, by the mean test loss of three
trainings with fresh seeds of what the run returns: of its best configs the one that is best on validation with these
seeds, or the default config. Curves, areas and speed-ups are those along the run.
{BEFORE}
`raw-NAME` is the library of this name called directly; `one-epoch` trains random configs for one epoch each, and the
best of them whole. A **subset** is of the tasks and seeds that slow strategies ran
on too. A **budget** is counted in full trainings. **Speed-up**: how many times the budget random search needs for what
the strategy reaches, with its interval. `random x2` is random search with twice the budget, `default` the task's
default config alone; neither takes part in tests. Mean rank, area (under the curve of regret over the logarithm of the
budget) and speed-up are those at the last budget. `auto` and what has a `+` stop trainings early where there are
curves, so they try more configs for the same budget.

A verdict takes at least {MIN_UNITS} units, more where many strategies are compared: Friedman's test, then Wilcoxon's
over units with Holm's correction, and a difference of {MARGIN:g} or more; the names behind "no clear winner" are those
not shown to be worse than the first. No strategy used knowledge of other tasks.
"""


def leaderboard(sections: list[Section], pictures: dict[int, list[str]], made: dict[str, Any], name: str) -> str:
    """leaderboard.md. ``pictures``: file names by the number of the section; ``name``: of the files, without suffix."""
    parts = ["# Which strategy is better\n", EXPLANATION.format(name=name)]
    parts += ["## In short\n", *_table(advice(sections, kinds=False)), ""]
    kinds = advice(sections, kinds=True)
    if kinds:
        parts += [
            "Over all suites that have such spaces, which may be one alone (numeric; mixed with choices; discrete):\n",
            *_table(kinds),
            "",
        ]
    for i, section in enumerate(sections):
        field = section.field
        parts.append(escaped(f"## {field.title}: {field.name}, {field.extent}, {field.n_trials} trainings") + "\n")
        parts += [f"- {escaped(finding.text)}" for finding in findings(section)]
        scored = section.standings["trainings"].scored
        parts += [f"- {escaped(scored)}"] if scored else []
        if field.left_out:
            parts.append(f"- Left out, with too few tasks and seeds in common: {', '.join(field.left_out)}.")
        standing = section.standings["trainings"]
        header = columns(section, standing)
        parts += ["", *_grid(header, rows(section, standing))]
        if not section.generalisation.empty:
            parts += ["\nValidation against test:\n", *_grid(*generalisation(section))]
        parts += ["", *(f"![{escaped(field.title)}]({picture})" for picture in pictures.get(i, [])), ""]
    if made["crashes"]:
        parts += ["## Runs that crashed\n", f"{BEFORE}\n"]
        parts += [f"- {escaped(', '.join(map(str, crash)))}" for crash in made["crashes"]]
    if made["failed"]:
        parts += ["\n## Tasks on which no training ever worked\n"]
        parts += [f"- {escaped(f'{task}: {n} trials, 100% failed. {error}')}" for task, n, error in made["failed"]]
    if made["beaten"]:
        parts += ["\n## Tasks on which runs beat the best known loss\n", "The lowest regret, and who found it.\n"]
        parts += [f"- {escaped(f'{task}: {regret}, {name}')}" for task, regret, name in made["beaten"]]
    parts += ["\n## Made with\n", *(f"- {escaped(line)}" for line in made["versions"])]
    if made["mixed"]:
        parts += ["", "The rows of these strategies come from several commits:\n"]
        parts += [f"- {escaped(f'{name}: {commits}')}" for name, commits in made["mixed"]]
    return "\n".join(parts) + "\n"


def summary_block(sections: list[Section], picture: Path | None, page: Path) -> str:
    """A compact table of the verdicts, and one figure, linked relative to the page that the block is for."""
    lines = _table(advice(sections, kinds=False))
    kinds = advice(sections, kinds=True)
    if kinds:
        lines += ["", *_table(kinds)]
    if picture is not None:
        link = os.path.relpath(picture.resolve(), page.resolve().parent)
        lines += ["", f"![Mean regret over the budget]({Path(link).as_posix()})"]
    return "\n".join(lines)


def with_block(text: str, block: str, file: Path, name: str = BLOCK) -> str:
    """The text of a file with its marked block replaced. UserError where it is not marked."""
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise UserError(f"{str(file)!r} has no place for the {name}; mark it with the lines {first} and {last}")
    return f"{before}{first}\n{block}\n{last}{after}"


def _table(advices: list[Advice]) -> list[str]:
    after = budgets(advices)
    rows = []
    for row in advices:
        field = row.field
        what = f"{field.title}, {field.name}: {field.extent}"
        cells = [row.cells[budget].short if budget in row.cells else "" for budget in after]
        rows.append([escaped(cell) for cell in [what, *cells]])
    return grid(["tasks", *(f"after {budget:g} trainings" for budget in after)], rows)


def grid(header: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table; the cells are Markdown already."""
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def _grid(header: list[str], rows: list[list[Cell]]) -> list[str]:
    return grid(header, [[_cell(cell) for cell in row] for row in rows])


def _cell(cell: Cell) -> str:
    return escaped(f"{cell.text} ({cell.under})" if cell.under else cell.text)


def escaped(text: str) -> str:
    """Names of users may hold what Markdown or HTML would read."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")
