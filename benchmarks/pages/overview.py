"""The first screen of the leaderboard below the advice: words, where a library is better, a table of strategies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from automl.tuning.recommend import ALSO_BEST, MIN_DIFFERENCE, probability
from benchmarks.opponents import OPPONENTS
from benchmarks.pages.sentences import number
from benchmarks.pages.situations import BUDGETS, SITUATIONS, SituationAdvice, chance
from benchmarks.pages.tables import duration
from benchmarks.scoring.cohorts import CLOCK, DEVELOPMENT, EVERY_SUITE, SPLITS, Field, suite_at
from benchmarks.scoring.comparison import Comparison
from benchmarks.scoring.leaderboard import Section
from benchmarks.suites import LIVE_REFERENCES, networks

COLUMNS = (  # suite, field, in words
    *((EVERY_SUITE, f"{kind} spaces", kind) for kind in ("numeric", "mixed")),
    ("yahpo", "all tasks", "long trainings"),
    ("networks", "all tasks", "short trainings"),
)
MIN_SHOWN = 0.05  # P(best) that is shown
HELD_OUT = "†"
STRATEGIES = (
    f"Expected regret (P(best) if at least {MIN_SHOWN:g}); {HELD_OUT}: on held-out tasks. Blank: not run (or not "
    "retrained) on every task. Times are for 8 hyperparameters after 50 trainings, without early stopping."
)
SUBSET = ", subset"
Terms = list[tuple[str, str]]
WHERE = "Where another library has a higher P(best)"
WHERE_HOW = (
    f"Regret (P(best)) of the library, then of the best of automl, if P(best) differs by more than "
    f"{100 * MIN_DIFFERENCE:g} points; of a subset if its whole suite has none."
)
SORTS = {  # suite -> its tasks
    "synthetic": "test functions", "tables": "discrete spaces",
    "yahpo": SITUATIONS["yahpo", "all tasks", 1], "networks": SITUATIONS["networks", "all tasks", 1],
}  # fmt: skip


def terms(found: Sequence[SituationAdvice]) -> tuple[Terms, Terms]:
    """The words of the first screen, above and below the table."""
    exceptions: dict[str, dict[str, None]] = {}
    for each in found:
        for name in each.read_off:
            exceptions.setdefault(name, {})[each.situation] = None
    also = "".join(f", and {name} on {_listed([*where])}," for name, where in exceptions.items())
    above = [
        (
            "`raw-NAME`",
            "a library called directly (`raw-optuna`: Optuna's default sampler); the others are automl's.",
        ),
        (
            "Held-out tasks",
            "not used to design the strategies, though earlier versions were run on them too; the advice rests on them "
            "where they exist, else on development tasks, which were.",
        ),
        (
            "Slow strategies",
            "Ax, Optuna's Gaussian process, scikit-optimize, SMAC: run on a subset of the tasks and seeds; named "
            f"if their P(best) there is {ALSO_BEST:.0%} or the highest, and no other is named.",
        ),
    ]
    same = ("=", "the same results; without learning curves or a choice of models, `auto` is `bo`.")
    return above, [
        *([same] if any("=" in each.ours for each in found) else []),
        ("Unit", "a task; variants, such as a function in several dimensions, count as one."),
        ("Trainings", f"the budget; strategies that do not plan by it{also} are scored at that point of longer runs."),
        (
            "Networks",
            f"long trainings are surrogates; short ones are those of {len(networks.TASKS)} networks with conditional "
            "spaces, where what is returned is trained again and regret 0 is the best of "
            f"{sum(LIVE_REFERENCES.values())} configurations.",
        ),
    ]


def _listed(situations: Sequence[str]) -> str:
    """For example ``numeric and mixed spaces, learning curves``."""
    kinds = [each.removesuffix(" spaces") for each in situations if each.endswith(" spaces")]
    spaces = " and ".join(filter(None, [", ".join(kinds[:-1]), *kinds[-1:]]))
    return ", ".join([f"{spaces} spaces"] * bool(kinds) + [each for each in situations if not each.endswith(" spaces")])


def where_how(lines: Iterable[str]) -> str:
    """How to read ``losses``, with the meaning of the suites that appear in it."""
    names = {line.partition(":")[0].partition(",")[0] for line in lines}
    suites = "; ".join(f"{suite} ({tasks})" for suite, tasks in SORTS.items() if suite in names)
    return f"{WHERE_HOW} Suites: {suites}." if suites else WHERE_HOW


def losses(sections: Iterable[Section]) -> list[str]:
    """A line for each comparison in which, after 20 or 50 trainings, another library is more likely the best than any
    of ours: first the held-out tasks of all suites, then those of single ones. Of a suite or else of its subset."""
    wanted = [section for section in sections if CLOCK in section.standings and _wanted(section.field)]
    lines: dict[str, str] = {}
    for section in sorted(wanted, key=lambda each: (each.field.split == DEVELOPMENT, each.field.suite != EVERY_SUITE)):
        comparisons = section.standings[CLOCK].comparisons
        found = [_loss(b, comparisons[b]) for b in BUDGETS if b in comparisons and comparisons[b].decided]
        if any(found):
            title = _title(section.field)
            lines.setdefault(title.removesuffix(SUBSET), f"{title}: {'; '.join(filter(None, found))}")
    return [*lines.values()]


def _wanted(field: Field) -> bool:
    """Whether a comparison is not a part of another one that is listed."""
    whole = field.suite != EVERY_SUITE or (field.split != DEVELOPMENT and "subset" not in field.name)
    return field.normalised and whole


def _title(field: Field) -> str:
    """For example ``numeric spaces, held-out`` or ``yahpo, subset``."""
    if field.suite == EVERY_SUITE:
        return f"{field.name}, {SPLITS[field.split]}"
    return field.title if field.name == "all tasks" else f"{field.title}, {field.name}"


def _loss(budget: float, comparison: Comparison) -> str:
    """For example ``after 20: nevergrad 0.131 (0.99), bo 0.150 (0.23)``; empty if ours is ahead."""
    chances, means = comparison.chances["probability"], comparison.means
    theirs, ours = chances[chances.index.isin(OPPONENTS)], chances[~chances.index.isin(OPPONENTS)]
    if theirs.empty or theirs.max() <= ours.max() + MIN_DIFFERENCE:
        return ""
    pair = [str(theirs.idxmax()), str(ours.idxmax())]
    texts = [f"{name} {number(means[name])} ({probability(chance(comparison, name))})" for name in pair]
    return f"after {budget:g}: {', '.join(texts)}"


def strategy_table(sections: Iterable[Section], costs: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """A row per strategy: expected regret and probability after 20 and 50 trainings, on held-out tasks if there are
    runs, and the time of a suggestion."""
    known = {(s.field.suite, s.field.name, s.field.split): s for s in sections if s.field.n_workers == 1}
    columns = []
    for suite, name, words in COLUMNS:
        for budget in BUDGETS:
            by_split = {split: known.get((suite_at(suite, budget), name, split)) for split in SPLITS}
            split, found = next((each for each in by_split.items() if each[1] is not None), (DEVELOPMENT, None))
            comparisons = {} if found is None else found.standings[CLOCK].comparisons
            held_out = HELD_OUT if split != DEVELOPMENT else ""
            columns += [(f"{words}{held_out}, after {budget:g}", comparisons[budget])] if budget in comparisons else []
    seconds = costs[(costs["n_dimensions"] == 8) & (costs["n_trials"] == 50)].set_index("strategy")["seconds"]
    order: dict[str, float] = {}
    for _, comparison in columns:
        for place, name in enumerate(comparison.means.index):
            order[str(name)] = order.get(str(name), 0.0) + place / len(comparison.means)
    counts = {name: sum(name in comparison.means.index for _, comparison in columns) for name in order}
    # Those with results in few columns last, then by mean place.
    names = sorted(order, key=lambda name: (2 * counts[name] < len(columns), order[name] / counts[name]))
    rows = []
    for name in names:
        row = [f"`{name}`"]
        for _, comparison in columns:
            if name not in comparison.means.index:
                row.append("")
                continue
            likely, mean = chance(comparison, name), number(comparison.means[name])
            row.append(f"{mean} ({probability(likely)})" if likely >= MIN_SHOWN else mean)
        row.append(duration(float(seconds.get(name, float("nan")))).text)
        rows.append(row)
    header = ["strategy", *(words for words, _ in columns), "time per suggestion"]
    return header, rows
