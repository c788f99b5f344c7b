"""Commands and their output in documentation pages: ``python -m benchmarks.experiments.transcripts PAGE``.

Runs the commands of a page in an empty folder, one after the other, and replaces the output that the page shows. These
are the lines after ``$ `` in code blocks without a language, and Python blocks that such a block with output follows. A
later block without commands continues the output of the last command. ``...`` in a block stands for lines that are left
out. ``<!-- setup: COMMAND -->`` is a command that the page does not show; ``$ROOT`` is the folder of the repository.

Sentences are not changed: numbers in them that the new output no longer has are listed.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = "..."
SETUP = re.compile(r"<!-- setup: (.+) -->")
NUMBER = re.compile(r"\d(?:[\d.,]*\d)?")
SIMILAR = 0.6  # of two lines without their numbers, from which one can replace the other
SKIPPED = 0.1  # cost of a new line between two that are shown, if the page leaves nothing out there


@dataclass
class Shown:
    """Lines of the page without a gap: from line ``start`` up to ``end``."""

    start: int
    end: int
    is_after_gap: bool = False  # lines are left out before it


@dataclass
class Step:
    """A command with the parts of its output that the page shows."""

    command: str
    is_python: bool = False
    shown: list[Shown] = field(default_factory=list)
    ends_with_gap: bool = False


def main(
    pages: Annotated[list[Path], typer.Argument(help="Markdown files.")],
    folder: Annotated[
        Path | None, typer.Option(help="Folder to run the commands in.", show_default="a temporary one")
    ] = None,
) -> None:
    """Run the commands of documentation pages and replace the output that these show."""
    for page in pages:
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as temporary:
            place = folder or Path(temporary) / "work"
            place.mkdir(parents=True, exist_ok=True)
            new = refreshed(text, partial(_output, folder=place))
        write_atomic(page, new)
        print(page)
        for line in outdated(text, new):
            print(f"check: {line}")


def refreshed(text: str, run: Callable[[Step], Sequence[str]]) -> str:
    """The page with new output. ``run`` executes a command and returns the lines that it prints.

    Raises UserError if lines of the old output have no counterpart in the new one.
    """
    lines = text.splitlines()
    replaced: list[tuple[Shown, Sequence[str]]] = []
    for step in steps(lines):
        output = run(step)
        replaced += zip(step.shown, chosen(step, lines, output), strict=True)
    for shown, new in reversed(replaced):
        lines[shown.start : shown.end] = new
    return "\n".join(lines) + "\n"


def steps(lines: Sequence[str]) -> list[Step]:
    """The commands of a page, in order."""
    found: list[Step] = []
    python: Step | None = None  # the Python block just before
    for language, start, end in _blocks(lines):
        if language == "setup":
            found.append(Step(lines[start].strip()[len("<!-- setup: ") : -len(" -->")]))
        elif language == "python":
            python = Step("\n".join(lines[start:end]), is_python=True)
            continue
        elif not language:
            if python is not None and not lines[start].startswith("$ "):
                found.append(python)
            _add_output(found, lines, start, end)
        python = None
    return found


def _blocks(lines: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """The language, first line and end of each code block, and the lines with a setup."""
    start, language = None, ""
    for i, line in enumerate(lines):
        if line.startswith("```"):
            if start is None:
                start, language = i + 1, line[3:].strip()
            else:
                yield language, start, i
                start = None
        elif start is None and SETUP.fullmatch(line.strip()):
            yield "setup", i, i + 1


def _add_output(found: list[Step], lines: Sequence[str], start: int, end: int) -> None:
    """Add the commands of a block, and its output to them or to the last command before it."""
    is_new = True  # whether the next line begins a new part
    for i in range(start, end):
        if lines[i].startswith("$ "):
            found.append(Step(lines[i][2:].split("      # ")[0]))
            is_new = True
        elif not found:
            raise UserError(f"the output in line {i + 1} needs a command before it")
        elif lines[i] == LEFT_OUT:
            found[-1].ends_with_gap = is_new = True
        elif is_new:
            found[-1].shown.append(Shown(i, i + 1, is_after_gap=found[-1].ends_with_gap))
            found[-1].ends_with_gap = is_new = False
        else:
            found[-1].shown[-1].end = i + 1


def chosen(step: Step, lines: Sequence[str], output: Sequence[str]) -> list[Sequence[str]]:
    """The lines of the new output for each part that the page shows, found by the lines of the old output.

    Raises UserError if there are none for a part next to a gap.
    """
    old = [line for shown in step.shown for line in lines[shown.start : shown.end]]
    places = np.cumsum([0, *(shown.end - shown.start for shown in step.shown)])[:-1]  # of the parts in ``old``
    is_free = np.zeros(len(old) + 1, bool)
    is_free[[place for place, shown in zip(places, step.shown, strict=True) if shown.is_after_gap]] = True
    is_free[-1] = step.ends_with_gap
    matches = aligned(old, output, is_free)
    bounds: list[list[int]] = []
    for i, (place, shown) in enumerate(zip(places, step.shown, strict=True)):
        found = [match for match in matches[place : place + shown.end - shown.start] if match is not None]
        last = bounds[-1][1] if bounds else 0
        gap_follows = step.shown[i + 1].is_after_gap if i + 1 < len(step.shown) else step.ends_with_gap
        if not found and (shown.is_after_gap or gap_follows):
            first = lines[shown.start]
            raise UserError(f"{step.command!r} no longer prints lines like {first!r}; edit the page, then repeat")
        bounds.append([found[0], found[-1] + 1] if found else [last, last])
        if not shown.is_after_gap:  # it begins where the part before it ends
            if i:
                bounds[i - 1][1] = bounds[i][0]
            else:
                bounds[0][0] = 0
    if bounds and not step.ends_with_gap:
        bounds[-1][1] = len(output)
    return [output[start:end] for start, end in bounds]


def aligned(old: Sequence[str], new: Sequence[str], is_free: NDArray[np.bool_]) -> list[int | None]:
    """For each old line, the index of the similar new line that replaces it, in the same order; None without one.

    Global alignment by dynamic programming (Needleman and Wunsch 1970) of lines without their numbers. ``is_free``,
    (old + 1,): whether new lines before an old line, or after the last one, may be left out at no cost.
    """
    similarity = _similarities(old, new)
    best = np.zeros((len(old) + 1, len(new) + 1))
    move = np.zeros(best.shape, int)  # 0: both lines; 1: the new line is left out; 2: the old line has no counterpart
    move[0, 1:], move[1:, 0] = 1, 2
    best[0, 1:] = -SKIPPED * (not is_free[0]) * np.arange(1, len(new) + 1)
    for i in range(1, len(old) + 1):
        for j in range(1, len(new) + 1):
            both = best[i - 1, j - 1] + similarity[i - 1, j - 1] if similarity[i - 1, j - 1] >= SIMILAR else -np.inf
            options = (both, best[i, j - 1] - SKIPPED * (not is_free[i]), best[i - 1, j])
            move[i, j] = int(np.argmax(options))
            best[i, j] = options[move[i, j]]
    matches: list[int | None] = [None] * len(old)
    i, j = len(old), len(new)
    while i or j:
        if move[i, j] == 0:
            i, j = i - 1, j - 1
            matches[i] = j
        elif move[i, j] == 1:
            j -= 1
        else:
            i -= 1
    return matches


def _similarities(old: Sequence[str], new: Sequence[str]) -> NDArray[np.float64]:
    """Similarity in [0, 1] of each old line to each new one, (old, new); numbers do not count."""
    shapes = [[re.sub(r"\s+", " ", NUMBER.sub("#", line)) for line in side] for side in (old, new)]
    matcher = difflib.SequenceMatcher(autojunk=False)
    found = np.zeros((len(old), len(new)))
    for j, b in enumerate(shapes[1]):
        matcher.set_seq2(b)
        for i, a in enumerate(shapes[0]):
            matcher.set_seq1(a)
            found[i, j] = matcher.ratio() if matcher.quick_ratio() >= SIMILAR else 0.0
    return found


def outdated(old: str, new: str) -> list[str]:
    """The lines of text with a number that was in the old output but is not in the new one."""
    before, text = _numbers_and_text(old)
    after, _ = _numbers_and_text(new)
    return [line for line in text if set(NUMBER.findall(line)) & (before - after)]


def _numbers_and_text(page: str) -> tuple[set[str], list[str]]:
    """The numbers in the shown output, and the lines outside code blocks."""
    lines = page.splitlines()
    shown = [line for step in steps(lines) for part in step.shown for line in lines[part.start : part.end]]
    in_block = {i for language, start, end in _blocks(lines) if language != "setup" for i in range(start, end)}
    return {n for line in shown for n in NUMBER.findall(line)}, [x for i, x in enumerate(lines) if i not in in_block]


def _output(step: Step, folder: Path) -> list[str]:
    """Run a command in a folder and return the lines that it prints, with those of its errors."""
    print(f"$ {step.command.splitlines()[0]}", end="", flush=True)
    start = time.perf_counter()
    command = [sys.executable, "-c", step.command] if step.is_python else ["bash", "-c", step.command]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    own = {"PATH": path, "ROOT": str(ROOT), "AUTOML_PAST_STUDIES": str(folder / ".past-studies"), "COLUMNS": "80"}
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    print(f"  ({time.perf_counter() - start:.0f} s, exit code {done.returncode})", flush=True)
    return [line.rstrip() for line in done.stdout.rstrip().splitlines()]


if __name__ == "__main__":
    run_command(main)
