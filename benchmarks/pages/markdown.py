"""The leaderboard in Markdown: a first page, a page per suite, and its summary for a page of the documentation."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from automl.tuning.recommend import P_BEST
from benchmarks.pages.efficiency import EXPLANATION as NEEDS
from benchmarks.pages.efficiency import SHORTLY, efficiencies, full_table, notes, short_table
from benchmarks.pages.overview import STRATEGIES, WHERE, losses, strategy_table, terms, where_how
from benchmarks.pages.sentences import AdviceRow, about_zero, advice, budgets, findings
from benchmarks.pages.situations import ADVICE, ANSWERS, advice_rows, advised, answers
from benchmarks.pages.tables import Cell, columns, generalisation, rows
from benchmarks.runner.effort import SuiteEffort
from benchmarks.scoring.certainty import FEW, MARGIN, MIN_P, MIN_UNITS
from benchmarks.scoring.cohorts import EVERY_SUITE, titled
from benchmarks.scoring.comparison import N_GROUP
from benchmarks.scoring.leaderboard import Section
from benchmarks.suites import SUITES

BLOCK, ADVICE_BLOCK = "leaderboard", "advice"
PICTURE = "Trainings needed to match a reference"
USUAL = 100  # the largest budget of most suites
INDEX = f"Lowest expected regret (P(best)) after {USUAL} trainings, or as given."
BEFORE = (
    "Before its first outcome, and if it crashed, a run is scored with the worst of 1, the default's regret and the "
    "worst regret of any compared run on that task; without known regrets, the worse of the default's and worst loss."
)
EXPLANATION = f"""Generated from the runs by `python -m benchmarks.report`. Every sentence is based on rows of
{{name}}.csv and {{name}}-tests.csv; {{name}}.html shows the same results with interactive figures.

**Regret** is normalised: 0 is the best known loss of a task when its constants were computed (of networks, only the
best of some reference configurations, see their page), 1 the loss of a median random config; runs can be better than 0.
It is averaged over seeds, then over tasks. Variants of one task (such as a function in several dimensions) form one
**unit**: they are averaged first, and tests count units. The 95% intervals in parentheses are over units, for tasks
like these: Student's t below {FEW} units, else the Bayesian bootstrap. The score is that of the config the run would
return at that budget, without the noise of its trainings where the noise-free loss is known; as configs are chosen by
noisy losses, regret can rise. Above 1 is worse than a median random config. On tasks with a test set, the largest
budget is scored by the mean test loss of three trainings of the returned config with fresh seeds, and strategies
without these are not compared there; returned is the best of the run's top configs and the default on validation with
these seeds. There, results after fewer trainings, areas and speed-ups are left out: they would rest on single trainings
of the search. Curves, areas and speed-ups use the losses along the run. A strategy with runs planned for exactly a
budget, on all tasks and seeds of a comparison, is scored by these at that budget (hollow markers in the plots), else by
its longest runs; the page of a suite names those that may plan by their budget and are scored by longer runs.
{BEFORE}
`raw-NAME` is the library of this name called directly; `one-epoch` trains random configs for one epoch each, then the
best of them fully. **Every suite**: the tasks of all suites with one kind of space, without learning curves. A
**subset** has the tasks and seeds on which the slow strategies were run too. **Budgets** are in full trainings.
**Speed-up**: the budget that random search needs to reach the same regret, divided by the strategy's, with its
interval. `random x2` is random search with twice the budget and `default` the task's default config; neither takes part
in tests. Mean rank, area (under the regret curve over the log budget) and speed-up are at the largest budget. `auto`
and strategies with a `+` stop trainings early if there are learning curves, so they try more configs within the same
budget.

**Verdicts** are for tasks like these. **P**, or P(best): the probability that the expected regret of a strategy, or of
one of those named together, is within {MARGIN:g} of the lowest. A Bayesian signed-rank test compares the strategy with
the lowest mean with each other one; differences below {MARGIN:g} are practically equal (Benavoli et al., JMLR 18(77),
2017). The other is worse or practically equal if that has a probability of {MIN_P:g} or more, else not known yet.
**best: a**: P is {P_BEST:g} or more, or all others are worse. **best: a or b**: all others are worse; up to {N_GROUP}
are named. **among the best, practically equal**: those named have a P of {P_BEST:g} or more or are practically equal,
and the others are worse or less likely. All other cases, and any with a P below {MIN_P:g}, are **not known yet**. P
compares means and the test compares ranks, so the two can differ where a few units decide the means. With fewer than
{MIN_UNITS} units, no general statement is made. The number of units needed is estimated by duplicating the observed
ones.
The p-values of Friedman's test, and of Wilcoxon's with Holm's correction, are in
[{{name}}-tests.csv]({{name}}-tests.csv).
No strategy used studies of other tasks.
"""

GENERALISATION = """Validation versus test, with the number of runs where all strategies have the value (a search that
stops trainings early may never train the default fully):"""
HOURS = """Core-hours of the strategies' own computation, as measured, and of trainings that were run, not looked up:
one that several runs share counts for each of them, and retrainings of returned configurations do not count. Runs with
several budgets count as several. **Clean** rows are known to come from one commit, without uncommitted changes (which a
+ marks)."""
EFFORTS = [
    "suite", "folder", "tasks", "strategies", "seeds", "runs", "strategies' hours", "training hours", "clean rows",
    "commits",
]  # fmt: skip
NOT_HELD_OUT = """Learning curves have no held-out part: the surrogate used here covers its development tasks only; the
other half is not distributed with it, since others keep it for an evaluation of their own."""
VERSIONS = "Files from before the versions of other libraries and of the suites' packages were kept lack these.\n"


def pages(
    sections: list[Section], costs: pd.DataFrame, images: dict[int, list[str]], made: dict[str, Any], name: str
) -> dict[str, str]:
    """The text by file name: the first page NAME.md, a page per suite and split, NAME-efficiency.md on what each
    strategy needs, and NAME-runs.md on how to read them.

    Without a known situation, as in a comparison on a user's own task, everything is on the first page.
    ``images``: file names by section index; ``name``: of the files, without suffix.
    """
    suites: dict[str, list[int]] = {}  # by suite and split
    for i, section in enumerate(sections):
        suites.setdefault(titled(section.field.suite, section.field.split), []).append(i)
    files = {suite: f"{name}-{slug(suite)}.md" for suite in suites}
    if not advised(sections):
        parts = ["# Which strategy to use\n", *summary(sections, costs), ""]
        for i, section in enumerate(sections):
            parts += _section(section, images.get(i, []))
        return {f"{name}.md": "\n".join([*parts, _runs(made, name).replace("# How", "## How", 1)])}
    found = {
        f"{name}.md": _first_page(sections, summary(sections, costs), images, files, name),
        f"{name}-runs.md": _runs(made, name),
    }
    if efficiencies(sections):
        found[f"{name}-efficiency.md"] = _efficiency(sections, name)
    for suite, places in suites.items():
        about = f"See [the first page]({name}.md) and [how to read this]({name}-runs.md). Intervals in tables: 95%."
        parts = [f"# {escaped(suite)}\n", f"{about}\n"]
        for i in places:
            parts += _section(sections[i], images.get(i, []))
        found[files[suite]] = "\n".join(parts) + "\n"
    return found


def _first_page(
    sections: list[Section], first: list[str], images: dict[int, list[str]], files: dict[str, str], name: str
) -> str:
    parts = [
        "# Which strategy to use\n",
        f"Generated by `python -m benchmarks.report`; [how this is measured]({name}-runs.md).\n",
        *first,
    ]
    image = picture(sections, images, name)
    parts += ["", f"![{PICTURE}]({image})"] if image else []
    parts += ["\n## All results\n", f"{INDEX}\n"]
    parts += [f"- [Trainings needed, all references]({name}-efficiency.md)"] if efficiencies(sections) else []
    lines: dict[str, list[str]] = {}  # by suite, of each split
    for suite, page in files.items():
        own = [section for section in sections if titled(section.field.suite, section.field.split) == suite]
        whole = [each for each in own if each.field.suite != EVERY_SUITE and "subset" not in each.field.name]
        about = escaped("; ".join(filter(None, (_leader(section, suite) for section in whole))))
        links = lines.setdefault(own[0].field.suite, [])
        words = suite.removeprefix(f"{own[0].field.suite}, ") if links else suite
        links.append(f"[{escaped(words)}]({page})" + (f": {about}" if about else ""))
    return "\n".join([*parts, *(f"- {'; '.join(links)}" for links in lines.values())]) + "\n"


def _leader(section: Section, suite: str) -> str:
    """For example ``4 workers: auto (0.81) after 20``; empty without results."""
    found = findings(section)
    if not found:
        return ""
    name = "" if section.field.name == "all tasks" else section.field.name
    what = ", ".join(filter(None, [section.field.title.removeprefix(suite).strip(", "), name]))
    text = found[-1].brief + (f" after {found[-1].budget:g}" if found[-1].budget != USUAL else "")
    return f"{what}: {text}" if what else text


def picture(sections: list[Section], images: dict[int, list[str]], name: str) -> str | None:
    """The file name of the picture of the first page, if there is any."""
    if efficiencies(sections):
        return f"{name}-efficiency.png"
    return next((names[0] for names in images.values()), None)


def summary(sections: list[Section], costs: pd.DataFrame) -> list[str]:
    """Advice by situation, what each strategy needs, a table of all strategies, and where another library is better;
    or, without a known situation, the verdicts by suite."""
    found = advised(sections)
    if not found:
        return _table(advice(sections, kinds=False))
    above, below = ([f"- **{term}**: {meaning}" for term, meaning in part] for part in terms(found))
    lines = [f"{ANSWERS}\n", *grid(*answers(found)), ""]
    lines += [*above, ""]
    lines += [*grid(ADVICE, _measured_once(advice_rows(found))), "", *below]
    where = losses(sections)
    if where:
        lines += ["", f"## {WHERE}\n", f"{where_how(where)}\n", *(f"- {escaped(line)}" for line in where)]
    header, rows_of_strategies = strategy_table(sections, costs)
    if rows_of_strategies:
        lines += ["", "## Strategies\n"]
        lines += [f"{STRATEGIES}\n"]
        lines += grid(header, rows_of_strategies)
    if efficiencies(sections):
        lines += ["", f"## {PICTURE}"]
    return lines


def _measured_once(rows: list[list[str]]) -> list[list[str]]:
    """The rows of advice, without the tasks where they are those of the row above."""
    setting, measured = ADVICE.index("setting"), ADVICE.index("measured on")
    before = [[""] * len(ADVICE), *rows]
    return [
        [*row[:measured], "as above", *row[measured + 1 :]]
        if (row[setting], row[measured]) == (above[setting], above[measured])
        else row
        for above, row in zip(before, rows, strict=False)
    ]


def _efficiency(sections: list[Section], name: str) -> str:
    found = efficiencies(sections)
    parts = ["# What each strategy needs\n", f"See [the first page]({name}.md).\n", NEEDS]
    parts.append(f"![{PICTURE}]({name}-efficiency.png)\n")
    header, rows = short_table(found)
    parts += [f"{SHORTLY}\n", *grid(header, rows), ""] if rows else []
    for each in found:
        parts += [f"## {each.title}: {each.section.field.extent}\n", *grid(*full_table(each)), ""]
        parts += [*(f"- {escaped(line)}" for line in notes(each)), ""]
    return "\n".join(parts)


def _section(section: Section, images: list[str]) -> list[str]:
    field, standing = section.field, section.standings["trainings"]
    parts = [escaped(f"## {field.title}: {field.name}, {field.extent}, {field.n_trials} trainings") + "\n"]
    parts += [f"- {escaped(finding.text)}" for finding in findings(section)]
    parts += [f"- {escaped(line)}" for line in (standing.scored, about_zero(field)) if line]
    if field.left_out:
        parts.append(f"- Not compared, as they share too few tasks and seeds: {', '.join(field.left_out)}.")
    parts += ["", *_grid(columns(section, standing), rows(section, standing))]
    if not section.generalisation.empty:
        parts += [f"\n{GENERALISATION}\n", *_grid(*generalisation(section))]
    return [*parts, "", *(f"![{escaped(field.title)}]({image})" for image in images), ""]


def _runs(made: dict[str, Any], name: str) -> str:
    parts = ["# How to read the results\n", EXPLANATION.format(name=name)]
    if made["crashes"]:
        parts += ["## Crashed runs\n", f"{BEFORE}\n"]
        parts += [f"- {escaped(', '.join(map(str, crash)))}" for crash in made["crashes"]]
    if made["failed"]:
        parts += ["\n## Tasks on which all trainings failed\n"]
        parts += [f"- {escaped(f'{task}: {n} trials, 100% failed. {error}')}" for task, n, error in made["failed"]]
    if made["beaten"]:
        parts += ["\n## Tasks on which runs beat the best known loss\n", "The lowest regret and its strategy.\n"]
        parts += [f"- {escaped(f'{task}: {regret}, {strategy}')}" for task, regret, strategy in made["beaten"]]
    if made["efforts"]:
        parts += ["\n## Hours and commits\n", HOURS, "", *_hours(made["efforts"])]
    parts += ["\n## Versions\n", VERSIONS, *(f"- {escaped(line)}" for line in made["versions"])]
    if made["mixed"]:
        parts += ["", "The rows of these strategies come from several commits:\n"]
        parts += [f"- {escaped(f'{strategy}: {commits}')}" for strategy, commits in made["mixed"]]
    return "\n".join(parts) + "\n"


def _hours(found: Sequence[SuiteEffort]) -> list[str]:
    """A row per suite and folder, and why learning curves have no held-out part."""
    rows = [
        [
            escaped(each.suite),
            escaped(each.folder),
            f"{each.n_tasks}",
            f"{each.n_strategies}",
            " to ".join(map(str, dict.fromkeys(each.n_seeds))),
            f"{each.n_runs:,}",
            f"{each.strategy_hours:.2f}",
            "" if each.training_hours is None else f"{each.training_hours:.2f}",
            f"{each.n_clean:,} of {each.n_rows:,}",
            escaped(", ".join(each.commits)),
        ]
        for each in sorted(found, key=lambda each: [*SUITES, each.suite].index(each.suite))
    ]
    more = ["", NOT_HELD_OUT] if "yahpo" in {each.suite for each in found} else []
    return [*grid(EFFORTS, rows), *more]


def summary_block(sections: list[Section], costs: pd.DataFrame, image: Path | None, page: Path) -> str:
    """The summary and one figure, linked relative to the page that the block is for."""
    lines = summary(sections, costs)
    if image is not None:
        link = os.path.relpath(image.resolve(), page.resolve().parent)
        lines += ["", f"![{PICTURE}]({Path(link).as_posix()})"]
    return "\n".join(lines)


def advice_block(sections: list[Section]) -> str:
    """What to use in each situation, and on which tasks that rests."""
    return "\n".join(grid(*answers(advised(sections), extents=True)))


def slug(text: str) -> str:
    """Letters, digits and hyphens, for a file name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "field"


def with_block(text: str, block: str, file: Path, name: str = BLOCK) -> str:
    """The text of a file with its marked block replaced. Raises UserError if the markers are missing."""
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise UserError(f"{str(file)!r} has no block for the {name}; add the lines {first} and {last}")
    return f"{before}{first}\n{block}\n{last}{after}"


def put(page: Path | None, name: str, lines: Sequence[str]) -> None:
    """Replace a block of a page, if there is one to write."""
    if page is not None:
        write_atomic(page, with_block(page.read_text(encoding="utf-8"), "\n".join(lines), page, name))


def _table(advices: list[AdviceRow]) -> list[str]:
    after = budgets(advices)
    rows = []
    for row in advices:
        field = row.field
        what = f"{field.title}, {field.name}: {field.extent}"
        cells = [row.cells[budget].short if budget in row.cells else "" for budget in after]
        rows.append([escaped(cell) for cell in [what, *cells]])
    return grid(["tasks", *(f"after {budget:g} trainings" for budget in after)], rows)


def grid(header: list[str], rows: list[list[str]], *, n_left: int | None = None) -> list[str]:
    """The lines of a table; the cells are already Markdown. ``n_left``: columns after so many are aligned right."""
    n_right = 0 if n_left is None else len(header) - n_left
    lines = ["| " + " | ".join(header) + " |", "|---" * (len(header) - n_right) + "|---:" * n_right + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def _grid(header: list[str], rows: list[list[Cell]]) -> list[str]:
    return grid(header, [[_cell(cell) for cell in row] for row in rows])


def _cell(cell: Cell) -> str:
    return escaped(f"{cell.text} ({cell.under})" if cell.under else cell.text)


def escaped(text: str) -> str:
    """Escape Markdown and HTML syntax in user-defined names."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")
