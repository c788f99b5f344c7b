"""The blocks of the documentation page on lanes: one per experiment, from its table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.pages.markdown import grid

PAGE = Path("docs/how-to/lanes.md")
ALONE = 0  # the number of lanes of a training without a program
LANES = (2, 4, 8, 16, 32)  # numbers of lanes that the page shows


def of_models(table: pd.DataFrame) -> list[str]:
    """Trainings per hour alone, the speed-up of lanes and of the best number of processes, and the memory of a process,
    alone and with most lanes. From the table of `benchmarks.experiments.fused`.
    """
    rows, packed, most = [], (table["processes"] > 1).any(), table["lanes"].max()
    for model, of in table.groupby("model", sort=False):
        lone, beside = of[of["processes"] == 1], of[of["processes"] > 1]
        times, peaks = (lone.set_index("lanes")[column] for column in ("times_alone", "peak_mb"))
        rows.append(
            [
                f"`{model}`",
                f"{of['weights'].iloc[0]:,}",
                f"{lone.set_index('lanes')['trainings_an_hour'][ALONE]:,}",
                *(f"{times[n]:.2f}" if n in times else "" for n in LANES),
                *([f"{beside['times_alone'].max():.2f}"] if packed else []),
                f"{peaks[ALONE]:.0f}",
                f"{peaks[most]:.0f}",
            ]
        )
    head = ["network", "weights", "alone", *(f"{n} lanes" for n in LANES), *(["processes"] if packed else [])]
    return grid([*head, "MB alone", f"MB, {most} lanes"], rows)


def of_processes(table: pd.DataFrame) -> list[str]:
    """Single trainings per hour in several parallel processes, from the same table."""
    alone = table[table["lanes"] == ALONE]
    counts = sorted(map(int, alone["processes"].unique()))
    if len(counts) == 1:
        return ["Several processes were not measured."]
    rows = []
    for model, of in alone.groupby("model", sort=False):
        an_hour = dict(zip(of["processes"], of["trainings_an_hour"], strict=True))
        rows.append([f"`{model}`", *(f"{an_hour[n]:,}" if n in an_hour else "" for n in counts)])
    return grid(["network", *(f"{n} process{'es' * (n > 1)}" for n in counts)], rows)


def of_seeds(table: pd.DataFrame) -> list[str]:
    """Accuracies alone and as a lane, and the mean of their differences with its standard error; from the other table
    of the same experiment.
    """
    differences: pd.DataFrame = table[["lane"]].sub(table["alone"], axis=0)
    mean, error = (float(values["lane"]) for values in (differences.mean(), differences.sem()))
    rows = [
        [name, f"{table[column].mean():.4f}", f"{table[column].std():.4f}", against]
        for name, column, against in (
            ("alone", "alone", ""),
            ("as a lane", "lane", f"{mean:+.4f} ± {error:.4f}"),
        )
    ]
    return grid(["trained", "mean accuracy", "standard deviation", "against alone"], rows)


def of_searches(table: pd.DataFrame) -> list[str]:
    """Mean regret over time, and the mean difference to searches without lanes on the same seeds with its standard
    error. From the table of `benchmarks.experiments.lane_search`.
    """
    rows = []
    for (task, strategy), of in table.groupby(["task", "strategy"], sort=False):
        by_seed = of.pivot(index="seed", columns="lanes", values="regret_over_time")
        for lanes in sorted(of["lanes"].unique()):
            each = of[of["lanes"] == lanes]
            differences = by_seed[lanes] - by_seed[1]
            rows.append(
                [
                    f"`{task}`",
                    f"`{strategy}`",
                    f"{lanes}",
                    f"{each['trainings'].mean():.0f}",
                    f"{each['regret_over_time'].mean():.3f}",
                    "" if lanes == 1 else f"{differences.mean():+.3f} ± {differences.sem():.3f}",
                    f"{each['regret_at_the_end'].mean():.3f}",
                ]
            )
    head = ["task", "strategy", "lanes", "trainings", "regret over the time", "against one lane", "regret at the end"]
    return grid(head, rows)


def of_jobs(table: pd.DataFrame) -> list[str]:
    """Median seconds of a command, from the table of `benchmarks.experiments.main_job`."""
    numbers = ["seconds", "search", "final", "test", "others"]
    medians = table.groupby(["which", "options"], sort=False)[numbers].median().reset_index().to_dict("records")
    before = medians[0]
    rows = [
        [
            row["which"],
            f"`{row['options']}`",
            *(f"{row[part]:.1f} ({before[part] / row[part]:.2f})" for part in ("seconds", "search", "final")),
            f"{row['test']:.4f}",
            f"{row['others']:.2f}",
        ]
        for row in medians
    ]
    return grid(
        ["code", "options", "seconds (times as fast)", "search", "final", "test accuracy", "cores used by others"], rows
    )


def of_padding(table: pd.DataFrame) -> list[str]:
    """Seconds of a training, from the table of `benchmarks.experiments.padding`."""
    rows = [
        [
            f"`{row['task']}`",
            row["population"],
            row["padded_to"],
            f"{row['lanes']:.2f}",
            f"{row['seconds']:.2f}",
            f"{row['times_alone']:.2f}",
        ]
        for row in table.to_dict("records")
    ]
    return grid(["task", "configurations", "padded to", "lanes of a program", "seconds", "times alone"], rows)
