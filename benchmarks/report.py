"""``python -m benchmarks.report``: from runs to the leaderboard, as a page, in Markdown, as pictures and as tables.

No statistics of its own: it reads, calls and writes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from automl.errors import UserError
from automl.outputs import write_aside
from benchmarks import figures, markdown, page, plots
from benchmarks.costs import COSTS
from benchmarks.fields import EVERY_SUITE
from benchmarks.findings import evidence
from benchmarks.leaderboard import KEY, Section, board, reliability, sections
from benchmarks.suites.base import constants

NEW_COLUMNS = {"kind": "", "test": float("nan"), "crash": None}  # which older files lack


def main(
    runs: Annotated[Path, typer.Argument(help="Folder with the runs.")] = Path("results/runs"),
    out: Annotated[Path, typer.Option(help="Leaderboard to write, without suffix.")] = Path("results/leaderboard"),
    readme: Annotated[
        Path | None,
        typer.Option(help=f"Also replace what is between {markdown.BEGIN} and {markdown.END} in it."),
    ] = None,
) -> None:
    """Write OUT.html, OUT.md, OUT.csv, OUT-tests.csv, OUT-tasks.csv and two pictures a suite."""
    table, attributes = read_runs(runs)
    found = sections(table, known_constants(table))
    crashes = table[table["crash"].notna()]
    made = {
        "versions": page.listed_versions(attributes),
        "crashes": crashes[["suite", "task", "strategy", "seed", "crash"]].values.tolist(),
        "runs": _what_was_run(table),
        "reliability": reliability(table),
    }
    text = readme.read_text(encoding="utf-8") if readme is not None else ""
    if readme is not None:
        markdown.with_block(text, "", readme)  # an error must come before anything is written
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures = _draw(found, out)
    files = {
        out.with_suffix(".html"): page.render(found, pd.read_csv(COSTS), made),
        out.with_suffix(".md"): markdown.leaderboard(found, pictures, made, out.name),
        out.with_suffix(".csv"): board(found).to_csv(index=False, float_format="%.6g"),
        out.with_name(f"{out.name}-tests.csv"): evidence(found).to_csv(index=False, float_format="%.6g"),
        out.with_name(f"{out.name}-tasks.csv"): _by_task(found).to_csv(index=False, float_format="%.6g"),
    }
    if readme is not None:
        first = next((out.with_name(names[0]) for names in pictures.values()), None)
        files[readme] = markdown.with_block(text, markdown.readme_block(found, first, readme), readme)
    for file, content in files.items():
        write_aside(file, content)
        print(file)


def read_runs(folder: Path) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """All rows, and what each file says of its making. Of a run that is there twice, the one with the larger budget."""
    tables, attributes = [], list[dict[str, Any]]()
    for i, file in enumerate(sorted(folder.rglob("*.parquet"))):
        table = pd.read_parquet(file)
        if "strategy_seconds" not in table:
            continue  # recorded trainings may lie there as well
        attributes.append({str(name): value for name, value in table.attrs.items()})
        table.attrs = {}
        budget = re.search(r"-(\d+)-trials-\d+-workers$", file.stem)
        if "n_trials" not in table and budget is None:
            raise UserError(f"the name of {str(file)!r} does not tell its budget: STRATEGY-N-trials-W-workers.parquet")
        missing: dict[str, Any] = {name: value for name, value in NEW_COLUMNS.items() if name not in table}
        if "n_trials" not in table and budget is not None:
            missing["n_trials"] = int(budget[1])
        types = {"crash": object, "test": float, "loss": float, "worth": float}
        tables.append(table.assign(**missing, file=i).astype(types))
    if not tables:
        raise UserError(f"there are no runs in {str(folder)!r}; make some with python -m benchmarks.run --suite quick")
    rows = pd.concat(tables, ignore_index=True)
    rows["crash"] = rows["crash"].where(rows["crash"].notna(), None)
    rows["kind"] = rows.groupby(["suite", "task"])["kind"].transform("max")  # where one file knows it, all do
    rows = rows[rows["n_trials"] == rows.groupby(KEY)["n_trials"].transform("max")]
    rows = rows[rows["file"] == rows.groupby(KEY)["file"].transform("min")]
    return rows.drop(columns="file").reset_index(drop=True), attributes


def known_constants(table: pd.DataFrame) -> pd.DataFrame:
    """Best and reference loss and seconds of a full training, by (suite, task).

    UserError where a suite has them for a part of its tasks only: a mean over the others would be another suite's.
    """
    facts = pd.DataFrame(constants()).T
    facts.index = pd.MultiIndex.from_tuples([tuple(name.split("/")) for name in facts.index], names=["suite", "task"])
    ran = table.drop_duplicates(["suite", "task"])
    known = pd.MultiIndex.from_frame(ran[["suite", "task"]]).isin(facts.index)
    for suite, task in ran.loc[~known, ["suite", "task"]].itertuples(index=False):
        if suite in set(ran.loc[known, "suite"]):
            raise UserError(f"{suite}/{task} has no constants; find them with python -m benchmarks.constants {suite}")
    return facts[["best", "reference", "seconds"]].astype(float)


def _what_was_run(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    """A row a suite, number of workers and strategy: tasks, seeds, budget, runs, of which crashed."""
    groups = table.groupby(["suite", "n_workers", "strategy"])
    return [
        (*key, part["task"].nunique(), part["seed"].nunique(), int(part["n_trials"].max()),
         len(part.drop_duplicates(KEY)), int(part["crash"].notna().sum()))
        for key, part in groups
    ]  # fmt: skip


def _by_task(found: list[Section]) -> pd.DataFrame:
    """The regret of each strategy on each task at the last budget, with its interval over seeds."""
    parts = [
        standing.by_task.assign(field=section.field.name, n_workers=section.field.n_workers, clock=clock,
                                budget=max(standing.comparisons))
        for section in found
        if section.field.suite != EVERY_SUITE
        for clock, standing in section.standings.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _draw(found: list[Section], out: Path) -> dict[int, list[str]]:
    """The pictures of each suite; their file names by the number of the section."""
    looks = figures.look({name for section in found for name in section.field.strategies})
    pictures = {}
    for i, (section, name) in enumerate(zip(found, page.anchors(found), strict=True)):
        field = section.field
        if field.suite == EVERY_SUITE:
            continue
        standing = section.standings["trainings"]
        files = [out.with_name(f"{out.name}-{name}.png")]
        title = f"{field.title}, {field.name}: {len(field.tasks)} x {field.n_seeds} seeds"
        plots.regret_over_budget(standing, looks, files[0], title, normalised=field.normalised)
        if len(field.tasks) > 1:
            files.append(out.with_name(f"{out.name}-{name}-ranks.png"))
            last = max(standing.comparisons)
            plots.diagram(standing.comparisons[last], looks, files[1], f"{title}, after {last:g} trainings")
        pictures[i] = [file.name for file in files]
    return pictures


if __name__ == "__main__":
    try:
        typer.run(main)
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
