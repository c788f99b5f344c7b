"""The value of past studies for a search: ``python -m benchmarks.experiments.transfer``.

Leave-one-task-out on the development tasks of yahpo: the other tasks, with random configs each, are the past studies.
Two sets of past studies are misleading: one has shuffled losses, and one has negated losses, so that bad looks good.
``results/transfer.csv`` has the mean regrets, their 95% intervals for tasks like these, and the main ratios.

``--search`` selects what is compared, and also has the variant of ``bo`` whose Gaussian process learns from the studies
(``model``), with configs to start with as well (``both``).
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import typer

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from automl.tuning.warm_start import most_configs
from benchmarks.command import run_command
from benchmarks.opponents.past_losses import WithPastLosses
from benchmarks.pages.markdown import grid, put
from benchmarks.runner.simulate import strategy_seed
from benchmarks.scoring.cohorts import PAIR
from benchmarks.scoring.statistics import LEVEL, resamples
from benchmarks.suites import load_suite
from benchmarks.suites.base import SimulatedTask
from strategies import make_strategy
from strategies.base import Outcome, Strategy
from strategies.encoding import Encoding
from strategies.portfolio import PastStudy, portfolio

SEED = 7_000  # for the past studies; not used by the searches
N_KNOWN = 200  # random configs per past study
N_TRIALS = 50
SHOWN = (2, 3, 5, 10, 20, 40, 50)
RATIOS = [
    (("prior", 2), ("random", 40)),
    (("prior", 20), ("none", 20)),
    *(((name, 50), ("none", 50)) for name in ("prior", "shuffled", "reversed")),
    *((("both", count), ("prior", count)) for count in (20, 50)),
]
DIFFERENCES = [*((("both", count), ("prior", count)) for count in SHOWN[3:]), (("both reversed", 50), ("reversed", 50))]


@dataclass(frozen=True)
class PriorUse:
    """How a search uses past studies."""

    studies: Literal["none", "true", "shuffled", "reversed"]
    starts: bool = True  # configs to start with
    model: bool = False  # a Gaussian process that learns from them; only ``bo`` has one


SEARCHES = {
    "none": PriorUse("none"),
    "random": PriorUse("none"),  # random search
    "prior": PriorUse("true"),
    "shuffled": PriorUse("shuffled"),
    "reversed": PriorUse("reversed"),
    "model": PriorUse("true", starts=False, model=True),
    "both": PriorUse("true", model=True),
    "both reversed": PriorUse("reversed", model=True),
}
PUBLISHED = ("none", "random", "prior", "shuffled", "reversed")
MISLEADING = {"shuffled": "losses shuffled", "reversed": "losses reversed, so that bad looks good"}
BLOCK = "transfer"


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, each with new past studies and searches.")] = 10,
    strategy: Annotated[str, typer.Option(help="The strategy that continues after the prior.")] = "bo",
    searches: Annotated[
        list[str], typer.Option("--search", metavar="NAME", help=f"One of: {', '.join(SEARCHES)}; repeat for more.")
    ] = list(PUBLISHED),  # noqa: B006 - typer's way to give a default
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 2,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/transfer.csv"),
    page: Annotated[Path | None, typer.Option(help="Page that shows the table.")] = None,
) -> None:
    """Search every task with past studies of the others, with misleading ones and with none."""
    for name in searches:
        if name not in SEARCHES:
            raise UserError(f"unknown search {name!r}; choose one of: {', '.join(SEARCHES)}")
    tasks = [task for task in load_suite("yahpo") if task.split == "development"]
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(partial(regrets, tasks, strategy, names=searches), range(seeds))
        regret = pd.DataFrame([row for rows in found for row in rows]).set_index(PAIR)
    table = pd.concat([means(regret), ratios(regret), differences(regret)], ignore_index=True)
    table = table.assign(strategy=strategy, n_tasks=regret.index.unique("task").size, n_seeds=seeds)
    write_atomic(out, table.to_csv(index=False, float_format="%.4f"))
    put(page, BLOCK, as_page(table))
    print(table.to_string(index=False))


def as_page(table: pd.DataFrame) -> list[str]:
    """What the page shows of the published searches."""
    known = table.set_index("what").to_dict("index")

    def quotient(a: str, b: str) -> str:
        row = known.get(f"{a} / {b}")
        return "" if row is None else f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"

    first = known["none 2"]
    means = [
        [
            str(n),
            *(f"{known[f'{name} {n}']['value']:.3f}" for name in ("prior", "none")),
            quotient(f"prior {n}", f"none {n}"),
        ]
        for n in (2, 20, 50)
    ]
    header = ["trainings", "with past studies", "without", "ratio (95% interval for tasks like these)"]
    misled = [[words, quotient(f"{name} 50", "none 50")] for name, words in MISLEADING.items()]
    return [
        f"{first['n_tasks']} tasks, {first['n_seeds']} seeds.",
        "",
        *grid(header, means),
        "",
        f"Random search reaches {known['random 40']['value']:.2f} after 40 trainings; the ratio of "
        f"`{first['strategy']}` with past studies after 2 to this is {quotient('prior 2', 'random 40')}.",
        "",
        *grid(["misleading past studies", "regret after 50 trainings, relative to no past studies"], misled),
    ]


def regrets(
    tasks: Sequence[SimulatedTask], strategy: str, seed: int, names: Sequence[str] = PUBLISHED
) -> list[dict[str, object]]:
    """A row per task: the best normalised regret after each number of trials, by name of the search."""
    past = [past_study(task, seed, place) for place, task in enumerate(tasks)]
    bases = {
        "none": [],
        "true": past,
        "shuffled": [shuffled(study, seed, place) for place, study in enumerate(past)],
        "reversed": [replace(study, losses=[-loss for loss in study.losses if loss is not None]) for study in past],
    }
    rows = []
    for task in tasks:
        row: dict[str, object] = {"suite": task.suite, "task": task.name, "seed": seed}
        curves: dict[str, np.ndarray] = {}  # with an empty prior, the search equals the one without a prior
        for name in names:
            kind = SEARCHES[name]
            others = [study for study in bases[kind.studies] if study.task != task.name]
            prior = portfolio(task.space, others, task.name, most_configs(N_TRIALS)) if kind.starts else []
            same = "none" if not prior and not kind.model and name != "random" else name
            if same not in curves:
                own = strategy_seed(task.suite, task.name, seed)
                options: dict[str, Any] = {"seed": own, "n_trials": N_TRIALS, "prior": prior}
                if kind.model:
                    made: Strategy = WithPastLosses(task.space, studies=others, task=task.name, **options)
                else:
                    made = make_strategy("random" if name == "random" else strategy, task.space, **options)
                curves[same] = search(task, made)
            row |= {f"{name} {count}": curves[same][count - 1] for count in SHOWN} | {f"{name} configs": len(prior)}
        rows.append(row)
    return rows


def past_study(task: SimulatedTask, seed: int, place: int) -> PastStudy:
    """Random configs of a task."""
    encoding, rng = Encoding(task.space), np.random.default_rng((SEED, seed, place))
    configs = [encoding.decode(rng.random(len(encoding.dimensions))) for _ in range(N_KNOWN)]
    return PastStudy(task.name, task.space, configs, [task.final_loss(config) for config in configs])


def shuffled(study: PastStudy, seed: int, place: int) -> PastStudy:
    """The same configs with shuffled losses."""
    order = np.random.default_rng((SEED, seed, place, 1)).permutation(len(study.losses))
    return replace(study, losses=[study.losses[i] for i in order])


def search(task: SimulatedTask, strategy: Strategy) -> np.ndarray:
    """The lowest normalised regret after each trial, shape (N_TRIALS,)."""
    losses = []
    for _ in range(N_TRIALS):
        proposal = strategy.ask()
        assert proposal is not None
        loss = task.final_loss(proposal.config)
        assert loss is not None
        strategy.tell(Outcome(proposal, (loss,), 0.0))
        losses.append((loss - task.best) / (task.reference - task.best))
    return np.minimum.accumulate(losses)


def means(regret: pd.DataFrame) -> pd.DataFrame:
    """Means over tasks and seeds, with intervals for tasks like these."""
    draws = _weights(regret) @ regret.to_numpy(dtype=float)
    low, high = np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return pd.DataFrame({"what": regret.columns, "value": regret.mean().to_numpy(), "low": low, "high": high})


def ratios(regret: pd.DataFrame) -> pd.DataFrame:
    """Ratios of two mean regrets on the same tasks and seeds, for searches that were run."""
    return _compared(regret, RATIOS, "/", lambda a, b: a / b)


def differences(regret: pd.DataFrame) -> pd.DataFrame:
    """Differences of two mean regrets, as ``ratios``."""
    return _compared(regret, DIFFERENCES, "-", lambda a, b: a - b)


def _compared(regret: pd.DataFrame, pairs: Sequence[Any], sign: str, of: Callable[[Any, Any], Any]) -> pd.DataFrame:
    weights, rows = _weights(regret), []
    for pair in pairs:
        a, b = (f"{name} {count}" for name, count in pair)
        if a in regret and b in regret:
            ours, theirs = (regret[column].to_numpy(dtype=float) for column in (a, b))
            low, high = np.quantile(of(weights @ ours, weights @ theirs), [LEVEL / 2, 1 - LEVEL / 2])
            rows.append({"what": f"{a} {sign} {b}", "value": of(ours.mean(), theirs.mean()), "low": low, "high": high})
    return pd.DataFrame(rows, columns=["what", "value", "low", "high"])


def _weights(regret: pd.DataFrame) -> np.ndarray:
    tasks = regret.reset_index()[["suite", "task"]].drop_duplicates()
    units = pd.Series(tasks["task"].to_numpy(), index=pd.MultiIndex.from_frame(tasks))
    return resamples(regret.index, units=units)


if __name__ == "__main__":
    run_command(main)
