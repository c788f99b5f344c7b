"""Recommend a strategy for a task, with reasons: ``automl select --task mnist1d-cnn --trials 50``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automl.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ConfigSpace import ConfigurationSpace

    from strategies.fidelity import Fidelity
    from strategies.types import Config

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(
    task: Annotated[str | None, typer.Option(help="Built-in task, or your own as file.py:name.")] = None,
    space: Annotated[
        Path | None, typer.Option(help="Search space (YAML), alone or together with a task, as in automl run.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Budget, in full trainings.")] = 25,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of a full training. [default: the task's, or 1]")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trainings to run in parallel.")] = 1,
) -> None:
    """Recommend a strategy for a task from recorded benchmarks, and show what `auto` would do.

    Prints the advice, the probability that the strategy is among the best, the expected loss of following the advice
    (in normalised regret), and the number of tasks that it rests on. For trainings with learning curves, real trainings
    and surrogate learning curves each give their own.
    """
    from automl.cli.console import literal_console
    from automl.cli.terminal import show_line
    from automl.tuning.recommend import recommend, standing
    from automl.wording import counted
    from strategies import make_strategy
    from strategies.auto import trains_short
    from strategies.encoding import Encoding

    name, found, length, fidelity = _searched(task, space, trials, epochs)
    encoding = Encoding(found)
    console = literal_console()
    of = f" of {length} epochs" if length > 1 else ""
    n, conditional = len(encoding.dimensions), bool(found.conditions)
    curves = trains_short(encoding, fidelity, length)
    parts = [f"{n} hyperparameter{'s' * (n != 1)}, a {encoding.kind} space{' with conditions' * conditional}"]
    parts.append(f"{counted(trials, 'full training')}{of}{', with learning curves' * curves}")
    parts += [f"{workers} workers"] if workers > 1 else []
    show_line(console, f"{name}: {'; '.join(parts)}")
    recommendation = recommend(
        standing(), encoding.kind, trials, curves=curves, max_epochs=length, n_workers=workers, conditional=conditional,
        integers=any(dimension.kind == "int" for dimension in encoding.dimensions),
    )  # fmt: skip
    headlines = [advice.headline for advice in recommendation.advice]
    for line in filter(None, [*headlines, recommendation.summary]):
        console.print(line, style="bold", markup=False, highlight=False, soft_wrap=True)
    for advice in recommendation.advice:
        if len(recommendation.advice) > 1:
            show_line(console, f"by {advice.basis.like}, {advice.strategy}:")
        for detail in advice.details:
            show_line(console, f"- {detail}")
        show_line(console, "recorded on tasks like this one (the recommendation rests on the first):")
        for record in advice.records:
            show_line(console, f"- {record.text}")
    auto = make_strategy("auto", found, seed=0, n_trials=trials, max_epochs=length, fidelity=fidelity)
    show_line(console, f"auto here: {auto.why()}")


def _searched(
    task: str | None, space: Path | None, trials: int, epochs: int | None
) -> tuple[str, ConfigurationSpace, int, Callable[[Config], Fidelity] | None]:
    """The task's name, its space, the epochs of a full training, and the meaning of a shorter one."""
    from automl.space.parse import load_space

    if task is None:
        if space is None:
            raise UserError("no task or space given; use --task mnist1d-cnn, --task file.py:name or --space space.yaml")
        return str(space), load_space(space), epochs or 1, None
    from automl.runs.configure import new_settings
    from automl.runs.settings import Settings, build_task
    from automl.task import fidelity_of

    settings = new_settings(Settings(task=task, n_trials=trials, max_epochs=epochs), space, [])
    found = build_task(settings)
    return task, found.space, found.max_epochs, fidelity_of(found)
