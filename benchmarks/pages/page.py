"""leaderboard.html: a page that works offline, with the conclusions first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from automl.tuning.recommend import P_BEST
from benchmarks.pages import figures, tables
from benchmarks.pages.efficiency import SHORT, SHORTLY, efficiencies, first_of_each, short_table
from benchmarks.pages.markdown import BEFORE, slug
from benchmarks.pages.overview import STRATEGIES, WHERE, losses, strategy_table, terms, where_how
from benchmarks.pages.sentences import about_zero, advice, budgets, findings, spent
from benchmarks.pages.situations import ADVICE, ANSWERS, MEANING, advice_rows, advised, answers
from benchmarks.runner.effort import commits_of, short
from benchmarks.scoring.certainty import FEW, MARGIN, MIN_P, MIN_UNITS
from benchmarks.scoring.cohorts import EVERY_SUITE, KINDS, plain_suite
from benchmarks.scoring.leaderboard import Section
from benchmarks.scoring.statistics import LEVEL
from benchmarks.suites import SUITES, YOURS

ABOUT = {
    EVERY_SUITE: "tasks of all suites without learning curves",
    YOURS: "the task that you gave; each training was run once, for all strategies that asked for it",
}
PLOTLY = "plotly.min.js"  # shared by the pages in a folder


def render(sections: list[Section], costs: pd.DataFrame, made: dict[str, Any]) -> str:
    """The page. ``costs``: results/costs.csv. ``made``: how the runs were made; see benchmarks.report."""
    import jinja2

    names = {name for section in sections for name in section.field.strategies}
    looks = figures.look(names | set(costs["strategy"]))
    all_costs, costs = costs, costs[(costs["n_dimensions"] == 8) & costs["strategy"].isin(names)]
    ids, all_fields = anchors(sections), [section.field for section in sections]
    drawn = {
        f"{name}-{key}": figure
        for section, name in zip(sections, ids, strict=True)
        for key, figure in figures.figures(section, looks).items()
    }
    needs = [each for each in first_of_each(efficiencies(sections)) if set(SHORT) <= set(each.targets)]
    drawn |= {f"needs-{i}": figures.trainings_needed(each) for i, each in enumerate(needs)}
    if not costs.empty:
        drawn["overhead"] = figures.overhead(costs, looks)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmarks.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found, lost = advised(sections), losses(sections)
    by_suite, by_kind = (advice(sections, kinds=kinds) for kinds in (False, True))
    return environment.get_template("leaderboard.html.j2").render(
        terms=terms(found),
        answers=(ANSWERS, *answers(found)),
        advice=(ADVICE, advice_rows(found)),
        strategies=(STRATEGIES, *strategy_table(sections, all_costs)),
        losses=(WHERE, where_how(lost), lost),
        needs=(SHORTLY, short_table(needs), [(each.title, each.section.field.extent) for each in needs]),
        by_suite=by_suite,
        by_kind=by_kind,
        spaces={situation: MEANING[situation] for situation in (f"{kind} spaces" for kind in KINDS)},
        budgets=budgets([*by_suite, *by_kind]),
        sections=[_described(section, name, looks) for section, name in zip(sections, ids, strict=True)],
        links=dict(zip(all_fields, ids, strict=True)),
        overhead=tables.overhead(costs, made["reliability"]),
        made=made,
        constants={
            "level": f"{1 - LEVEL:.0%}",
            "margin": MARGIN,
            "fewest": MIN_UNITS,
            "few": FEW,
            "sure": MIN_P,
            "likely": P_BEST,
            "before": BEFORE,
        },
        figures=drawn,
        plotly=PLOTLY,
    )


def anchors(sections: Iterable[Section]) -> list[str]:
    """A unique name for each section, for links and files: letters, digits and hyphens."""
    found: list[str] = []
    for section in sections:
        field = section.field
        parts = [field.title]
        parts += [] if field.name == "all tasks" else [field.name]
        name = slug(" ".join(parts))
        found.append(name if name not in found else f"{name}-{len(found)}")
    return found


def _described(section: Section, name: str, looks: dict[str, dict[str, str]]) -> dict[str, Any]:
    field = section.field
    names = list(section.standings["trainings"].board["strategy"].unique())
    return {
        "id": name,
        "field": field,
        "about": ". ".join(
            filter(None, [(ABOUT | SUITES).get(plain_suite(field.suite), ""), about_zero(field).rstrip(".")])
        ),
        "word": section.word,
        "several": len(field.tasks) > 1,
        "strategies": [(str(name), looks[str(name)]) for name in names],
        "reached": any(not standing.reached.empty for standing in section.standings.values()),
        "clocks": {
            clock: {
                "findings": findings(section, clock),
                "scored": standing.scored,
                "columns": tables.columns(section, standing),
                "rows": tables.rows(section, standing),
                "last": spent(max(standing.comparisons), clock),
                "tests": [
                    tables.test_table(budget, comparison, clock) for budget, comparison in standing.comparisons.items()
                ],
                "duels": tables.duel_table(standing),
            }
            for clock, standing in section.standings.items()
        },
        "generalisation": tables.generalisation(section),
    }


def mixed_commits(table: pd.DataFrame) -> list[tuple[str, str]]:
    """The strategies whose rows come from several commits, with the suites run at each.

    ``table``: its column ``commit`` has one commit or, if the file does not say which, all of them, space-separated.
    """
    found = []
    for strategy, part in table.drop_duplicates(["strategy", "suite", "commit"]).groupby("strategy"):
        suites: dict[str, list[str]] = {}
        for suite, commits in part[["suite", "commit"]].itertuples(index=False):
            for commit in commits_of(commits):
                suites.setdefault(short(commit), []).append(suite)
        if len(suites) > 1:
            parts = [f"{commit} ({', '.join(dict.fromkeys(names))})" for commit, names in sorted(suites.items())]
            found.append((str(strategy), "; ".join(parts)))
    return found
