"""Observers of a run: ``--verbose`` and ``--metrics-port``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from automl.cli.terminal import show_line

if TYPE_CHECKING:
    from rich.console import Console

    from automl.study.run_log import Listener


@contextmanager
def observers(console: Console, *, verbose: bool, metrics_port: int | None) -> Iterator[list[Listener]]:
    """The listeners to a run's events."""
    found: list[Listener] = []
    if verbose:
        found.append(lambda event, facts: show_line(console, in_words(event, facts)))
    if metrics_port is None:
        yield found
        return
    from automl.integrations.run_metrics import RunMetrics

    metrics = RunMetrics()
    with metrics.served(metrics_port) as address:
        show_line(console, f"metrics for Prometheus: {address}")
        yield [metrics, *found]  # events are counted before they are printed


def in_words(event: str, facts: Mapping[str, Any]) -> str:
    """An event in a line, with the local time."""
    return " ".join([f"{datetime.now():%H:%M:%S}", f"{event:7}", *(f"{name}={value}" for name, value in facts.items())])
