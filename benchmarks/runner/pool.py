"""Runs of the comparison in separate processes, so that a crash only affects one run."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from typing import Any

from automl.errors import UserError
from benchmarks.runner.costs import strategy_seconds
from benchmarks.runner.plan import TaskSource
from benchmarks.runner.simulate import Run, simulate

Done = tuple[Run, list[dict[str, Any]], str | None]


def execute(run: Run, source: TaskSource, live_overhead: bool) -> Done:
    """Execute one run: its rows, or the traceback of its crash."""
    task = source.task(run.task)
    seconds = None if live_overhead else strategy_seconds(run.strategy, len(task.space))
    try:
        return run, simulate(run, task, seconds), None
    except UserError:
        raise
    except (Exception, SystemExit):
        return run, [], traceback.format_exc()


def execute_all(runs: Sequence[Run], source: TaskSource, live_overhead: bool, jobs: int) -> Iterator[Done]:
    """Execute all runs on ``jobs`` processes, yielding each when it completes."""
    left = list(runs)
    while left:
        for done in _until_a_death(left, source, live_overhead, jobs):
            left.remove(done[0])
            yield done
        # A process died, which breaks the pool. The run that caused it dies again when executed alone.
        for run in left[:jobs]:
            alone = list(_until_a_death([run], source, live_overhead, 1))
            left.remove(run)
            yield alone[0] if alone else (run, [], "the process of the run died: out of memory, or a library's crash")


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _until_a_death(runs: Sequence[Run], source: TaskSource, live_overhead: bool, jobs: int) -> Iterator[Done]:
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_end_with_parent)
    futures: list[Future[Done]] = [pool.submit(execute, run, source, live_overhead) for run in runs]
    try:
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        return
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in active_children():  # runs in progress are abandoned
            process.kill()
