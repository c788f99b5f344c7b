"""``python -m benchmarks.report``: the leaderboard of all runs, as HTML, Markdown, plots and tables.

The statistics are in ``benchmarks.scoring``; this module only reads and writes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command
from benchmarks.pages import figures, markdown, page, plots, strategy_pages
from benchmarks.pages.efficiency import efficiencies
from benchmarks.pages.sentences import evidence, number
from benchmarks.runner.costs import COSTS
from benchmarks.runner.effort import efforts, listed_versions
from benchmarks.runner.results import COMMITTED, FOLDERS, read_rows, with_provenance
from benchmarks.scoring.cohorts import DEVELOPMENT, EVERY_SUITE, KEY, plain_suite, suite_at, titled
from benchmarks.scoring.exact_budget import longest
from benchmarks.scoring.leaderboard import Section, board, needs, reliability, sections
from benchmarks.scoring.regret import beaten
from benchmarks.scoring.verdicts import standing_json
from benchmarks.suites.base import constants

COLUMNS = {
    "suite", "task", "strategy", "seed", "n_workers", "trial", "loss", "worth", "epochs", "max_epochs", "at_epochs",
    "at_seconds", "failed", "strategy_seconds",
}  # fmt: skip
NEW_COLUMNS = {
    **dict.fromkeys(("kind", "unit", "split", "is_default", "crash", "error")),
    **dict.fromkeys(("repeats", "test", "retrained", "returned"), float("nan")),
}  # missing in older files


def main(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders with the runs.", show_default=" ".join(map(str, COMMITTED))),
    ] = None,
    out: Annotated[Path, typer.Option(help="Leaderboard to write, without suffix.")] = Path("results/leaderboard"),
    summary: Annotated[
        Path | None,
        typer.Option(
            "--page",
            help=f"Also replace this page's text between <!-- {markdown.BLOCK} --> and <!-- /{markdown.BLOCK} -->.",
        ),
    ] = None,
    readme: Annotated[
        Path | None,
        typer.Option(help="Also replace the block 'advice' of this page with the table of what to use."),
    ] = None,
    docs: Annotated[
        Path | None, typer.Option(help="Also update the measurements in the strategy pages in this folder.")
    ] = None,
    standing: Annotated[
        Path | None,
        typer.Option(help="Also write the data behind automl select: automl/tuning/standing.json."),
    ] = None,
) -> None:
    """Write OUT.html, OUT.md and a page per suite, OUT.csv and three more tables, and two plots per suite."""
    folders = runs or committed()
    table = read_runs(*folders)
    costs = pd.read_csv(COSTS)
    facts = known_constants(table)
    found = sections(table, facts)
    crashes = table[table["crash"].notna()]
    main_runs = longest(table)
    made = {
        "versions": listed_versions(folders),
        "crashes": crashes[["suite", "task", "strategy", "seed", "crash"]].values.tolist(),
        "runs": _what_was_run(table),
        "reliability": reliability(main_runs),
        "failed": never_worked(main_runs),
        "beaten": _best_known_beaten(table, facts),
        "mixed": page.mixed_commits(table),
        "efforts": efforts(runs or filter(Path.is_dir, FOLDERS)),
    }
    text = "" if summary is None else _text_of(summary, markdown.BLOCK)  # errors come before anything is written
    front = "" if readme is None else _text_of(readme, markdown.ADVICE_BLOCK)
    if docs is not None:
        strategy_pages.check(docs)
    _make_folder(out.parent)
    images = _draw(found, out)
    files = {
        out.with_name(f"{out.name}.html"): page.render(found, costs, made),
        out.with_name(page.PLOTLY): plots.plotly_source(),
        out.with_name(f"{out.name}.csv"): board(found).to_csv(index=False, float_format="%.6g"),
        out.with_name(f"{out.name}-efficiency.csv"): needs(found).to_csv(index=False, float_format="%.6g"),
        out.with_name(f"{out.name}-tests.csv"): evidence(found).to_csv(index=False, float_format="%.6g"),
        out.with_name(f"{out.name}-tasks.csv"): _by_task(found).to_csv(index=False, float_format="%.6g"),
    }
    files |= {out.with_name(file): text for file, text in markdown.pages(found, costs, images, made, out.name).items()}
    if summary is not None:
        name = markdown.picture(found, images, out.name)
        first = None if name is None else out.with_name(name)
        block = markdown.summary_block(found, costs, first, summary)
        files[summary] = markdown.with_block(text, block, summary)
    if readme is not None:
        files[readme] = markdown.with_block(front, markdown.advice_block(found), readme, markdown.ADVICE_BLOCK)
    if standing is not None:
        files[standing] = standing_json(found)
    if docs is not None:
        files |= strategy_pages.pages(docs, found, costs)
    for file, content in files.items():
        write_atomic(file, content)
        print(file)


def committed() -> list[Path]:
    """The folders of the leaderboard; the first alone if there are no runs on held-out tasks."""
    return [folder for folder in COMMITTED if folder.is_dir()] or [COMMITTED[0]]


def read_runs(*folders: Path) -> pd.DataFrame:
    """The rows of all runs, without configurations and versions.

    If a run occurs more than once with the same budget, one whose config was retrained is used, else the first.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"folder {str(folder)!r} does not exist; make runs with python -m benchmarks.run --suite quick"
            )
    tables = []
    for i, file in enumerate(file for folder in folders for file in sorted(folder.rglob("*.parquet"))):
        table = _table_of(file)
        if table is not None:
            tables.append(table.assign(file=i))
    if not tables:
        names = " or ".join(repr(str(folder)) for folder in folders)
        raise UserError(f"no runs in {names}; make some with python -m benchmarks.run --suite quick")
    rows = pd.concat(tables, ignore_index=True)
    for column in ("crash", "error"):
        rows[column] = rows[column].where(rows[column].notna(), None)
    tasks = rows.groupby(["suite", "task"])
    for column, default in (("kind", ""), ("unit", rows["task"]), ("split", DEVELOPMENT)):
        rows[column] = tasks[column].transform("first").fillna(default)  # one file with the value is enough
    rows["is_default"] = rows["is_default"].where(rows["is_default"].notna(), rows["trial"] == 0).astype(bool)
    rows["failed"] = rows["failed"].astype(bool)
    # Random search has twice the budget.
    budgets = rows["n_trials"].where(rows["strategy"] != "random", rows["n_trials"] // 2)
    rows["suite"] = [suite_at(suite, n) for suite, n in zip(rows["suite"], budgets, strict=True)]
    run = [*KEY, "n_trials"]
    is_fresh = rows["returned"].notna().groupby([rows[name] for name in (*run, "file")]).transform("any")
    order = rows["file"] + len(tables) * ~is_fresh
    rows = rows[order == order.groupby([rows[name] for name in run]).transform("min")]
    return rows.drop(columns="file").reset_index(drop=True)


def _table_of(file: Path) -> pd.DataFrame | None:
    """The rows of one file with all columns; None if the file is not about runs, such as recorded trainings."""
    try:
        table = with_provenance(read_rows(file)).drop(columns=["config", "versions"], errors="ignore")  # large
    except (OSError, ValueError) as error:  # pyarrow's errors are among these
        raise UserError(f"{str(file)!r} is not a readable Parquet file; move it elsewhere") from error
    if table.empty or "strategy_seconds" not in table:
        return None
    budget = re.search(r"-(\d+)-trials-\d+-workers$", file.stem)
    if COLUMNS - set(table):
        lacking = ", ".join(sorted(COLUMNS - set(table)))
        raise UserError(f"{str(file)!r} has no runs of benchmarks.run: it lacks {lacking}; move it elsewhere")
    if "n_trials" not in table and budget is None:
        raise UserError(f"no budget in the name of {str(file)!r}; rename it to STRATEGY-N-trials-W-workers.parquet")
    missing: dict[str, Any] = {name: value for name, value in NEW_COLUMNS.items() if name not in table}
    if "n_trials" not in table and budget is not None:
        missing["n_trials"] = int(budget[1])
    types = {name: object if value is None else float for name, value in NEW_COLUMNS.items()}
    return table.assign(**missing).astype({**types, "loss": float, "worth": float})


def known_constants(table: pd.DataFrame) -> pd.DataFrame:
    """Best and reference loss and seconds of a full training, by (suite, task).

    Raises UserError if a suite has them for only some of its tasks, since a mean over these would not be comparable.
    """
    facts = pd.DataFrame(constants()).T
    facts.index = pd.MultiIndex.from_tuples([tuple(name.split("/")) for name in facts.index], names=["suite", "task"])
    ran = table.drop_duplicates(["suite", "task"])
    longer = [
        facts.xs(plain_suite(name), drop_level=False).rename(index={plain_suite(name): name}, level=0)
        for name in ran["suite"].unique()
        if plain_suite(name) != name
    ]
    facts = pd.concat([facts, *longer])
    known = pd.MultiIndex.from_frame(ran[["suite", "task"]]).isin(facts.index)
    for suite, task, split in ran.loc[~known, ["suite", "task", "split"]].itertuples(index=False):
        if suite in facts.index.get_level_values("suite"):
            of_split = f" --split {split}" if split != DEVELOPMENT else ""
            command = f"python -m benchmarks.experiments.constants {suite}{of_split}"
            raise UserError(f"{suite}/{task} has no constants; compute them with {command}")
    return facts[["best", "reference", "seconds"]].astype(float)


def never_worked(table: pd.DataFrame) -> list[tuple[str, int, str]]:
    """The tasks on which every trial failed: name, number of trials, and the most common error."""
    found = []
    for (suite, task), rows in table[table["trial"] >= 0].groupby(["suite", "task"]):
        if rows["failed"].all():
            errors = rows["error"].dropna()
            commonest = str(errors.mode().iloc[0]) if len(errors) else ""
            found.append((f"{suite}/{task}", len(rows.drop_duplicates([*KEY, "trial"])), commonest))
    return found


def _best_known_beaten(table: pd.DataFrame, facts: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Tasks on which a run beat the best known loss: task, lowest regret, and strategy."""
    rows = beaten(table, facts).to_dict("records")
    return [(f"{row['suite']}/{row['task']}", number(row["regret"]), str(row["strategy"])) for row in rows]


def _what_was_run(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    """A row per suite, number of workers, strategy and budget: tasks, seeds, budget, runs and crashed runs."""
    names = [titled(suite, split) for suite, split in zip(table["suite"], table["split"], strict=True)]
    groups = table.groupby([pd.Series(names, index=table.index), "n_workers", "strategy", "n_trials"])
    return [
        (*key, part["task"].nunique(), part["seed"].nunique(), int(part["n_trials"].iloc[0]),
         len(part.drop_duplicates(KEY)), int(part["crash"].notna().sum()))
        for (*key, _), part in groups
    ]  # fmt: skip


def _by_task(found: list[Section]) -> pd.DataFrame:
    """The regret of each strategy on each task at the largest budget, with its interval over seeds."""
    parts = [
        standing.by_task.assign(split=section.field.split, field=section.field.name, clock=clock,
                                n_workers=section.field.n_workers, budget=max(standing.comparisons))
        for section in found
        if section.field.suite != EVERY_SUITE
        for clock, standing in section.standings.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _text_of(file: Path, block: str) -> str:
    """The text of a Markdown page. UserError if it cannot be read, or lacks the block."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {str(file)!r} as text: {error}") from error
    markdown.with_block(text, "", file, block)
    return text


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot create the folder {str(folder)!r}: {error.strerror}") from error


def _draw(found: list[Section], out: Path) -> dict[int, list[str]]:
    """Draw the plots of each suite; returns their file names by section index."""
    looks = figures.look({name for section in found for name in section.field.strategies})
    images = {}
    for i, (section, name) in enumerate(zip(found, page.anchors(found), strict=True)):
        field = section.field
        if field.suite == EVERY_SUITE:
            continue
        standing = section.standings["trainings"]
        files = [out.with_name(f"{out.name}-{name}.png")]
        title = f"{field.title}, {field.name}: {field.extent}"
        along = f"{title}, without retrainings" if standing.fresh else title
        plots.regret_over_budget(standing, looks, files[0], along, section.word)
        if len(field.tasks) > 1:
            files.append(out.with_name(f"{out.name}-{name}-intervals.png"))
            plots.intervals(standing, files[1], f"{title}, after {max(standing.comparisons):g} trainings")
        images[i] = [file.name for file in files]
    needs = efficiencies(found)
    if needs:
        plots.trainings_needed(needs, out.with_name(f"{out.name}-efficiency.png"))
    return images


if __name__ == "__main__":
    run_command(main)
