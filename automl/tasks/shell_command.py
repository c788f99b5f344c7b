"""A shell command as a task, for programs in any language."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from automl.errors import MAX_CHARACTERS, UserError, abridged
from automl.task import Epoch, TrainingFailed
from automl.tasks.function import epoch_of
from automl.tasks.shell_quotes import quoted_positions
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

LONGEST_LINE = 1_048_576  # characters that are read as one line
OWN_PLACEHOLDERS = ("seed", "epochs", "dir", "config")
# {name}, but not the shell's ${name}; or, as the first alternative, {{...}}, which escapes {...}. Braces with blanks or
# quotes inside belong to other languages, such as awk.
PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}|(?<!\$)\{([^{}\s'\",;$]+)\}")


@dataclass(frozen=True)
class CommandTask:
    """A shell command with placeholders, which prints its losses: one number per line, or JSON lines with ``loss``.

    ``{lr}`` and the like are the config's values (empty if inactive), ``{config}`` the whole config as JSON; there are
    also ``{seed}``, ``{epochs}`` and ``{dir}``, the trial's own folder, which is kept. Values are quoted for the shell,
    so that a placeholder must not stand within quotes, unless it is a number or a plain word.
    """

    command: str
    space: ConfigurationSpace
    max_epochs: int = 1
    name: str = "command"
    maximize: bool = False
    keeps_files: ClassVar[bool] = True  # files that a command wrote belong to the user
    counts_anew: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in OWN_PLACEHOLDERS:
            if name in self.space and f"{{{name}}}" in self.command:
                raise UserError(f"the hyperparameter {name!r} has the name of a placeholder; rename it")
        known = [*self.space, *OWN_PLACEHOLDERS]
        for name in self._placeholders:
            if name not in known:
                raise UserError(
                    f"unknown placeholder {{{name}}} in the command; known: {', '.join(known)}; "
                    f"write {{{{{name}}}}} if the braces are the shell's"
                )
        if not set(self._placeholders) & {*self.space, "config"}:
            raise UserError(f"the command uses no hyperparameter; insert e.g. {{{next(iter(self.space))}}}")
        self._check_quotes()

    def _check_quotes(self) -> None:
        """A value that the shell must have in quotes cannot stand in others: its quotes would be text, or end them."""
        plain = {"seed", "epochs"} | {
            dim.name
            for dim in Encoding(self.space).dimensions
            if dim.name not in self.space.conditional_hyperparameters and all(map(_is_plain, dim.values))
        }
        quoted = quoted_positions(self.command)
        for match in PLACEHOLDER.finditer(self.command):
            name = match[1]
            if name and name not in plain and match.start() in quoted:
                raise UserError(
                    f"the placeholder {{{name}}} stands within quotes in the command; close them before it, as in "
                    f"--{name} {{{name}}} or 'a'{{{name}}}'b': values are quoted where the shell needs it"
                )

    @property
    def resumable(self) -> bool:
        """Whether the command can continue: it must use both the folder and the epochs."""
        return {"dir", "epochs"} <= set(self._placeholders)

    @property
    def takes_seed(self) -> bool:
        """Whether another seed can give another loss."""
        return "seed" in self._placeholders

    @property
    def metric(self) -> str:
        """The metric's name: value or loss."""
        return "value" if self.maximize else "loss"

    @property
    def uses_folder(self) -> bool:
        """Whether a trial needs a folder of its own."""
        return "dir" in self._placeholders

    @property
    def _placeholders(self) -> list[str]:
        return [name for name in PLACEHOLDER.findall(self.command) if name]

    def train(
        self, config: Mapping[str, Any], *, seed: int, epochs: int, checkpoint: Path | None, device: str
    ) -> Iterator[Epoch]:
        own = {"seed": seed, "epochs": epochs, "dir": checkpoint or ".", "config": json.dumps(dict(config))}
        values = dict.fromkeys(self.space, "") | dict(config) | own
        line = PLACEHOLDER.sub(
            lambda match: shlex.quote(str(values[match[1]])) if match[1] else match[0][1:-1], self.command
        )
        number, start, output = 0, time.perf_counter(), deque[str](maxlen=3)
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                line,
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                errors="replace",
            )
            assert process.stdout is not None
            try:
                for text in _lines(process.stdout):
                    parsed = self._parsed(text)
                    if parsed is None:
                        output.append(abridged(text))
                        continue
                    number += 1
                    seconds = time.perf_counter() - start
                    yield epoch_of(number, float(parsed[self.metric]), parsed, seconds, self.maximize)
                    start = time.perf_counter()
            finally:
                process.stdout.close()
                if process.poll() is None and not _ends_soon(process):
                    _kill_tree(process.pid)
                process.wait()
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - MAX_CHARACTERS))
            output.extend(errors.read().decode(errors="replace").splitlines())
        last_lines = " | ".join(filter(None, map(str.strip, output)))
        reason = f": {last_lines}" if last_lines else ""
        if process.returncode != 0:
            raise TrainingFailed(f"the command failed with exit status {process.returncode}{reason}")
        if number == 0:
            raise TrainingFailed(f"the command printed no loss (one number per line, or JSON lines){reason}")

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        return {}

    def _parsed(self, text: str) -> dict[str, Any] | None:
        """The loss (or value) and metrics in a line of output; None if there is none."""
        try:
            content = json.loads(text)
        except ValueError:
            try:
                content = float(text)  # also parses nan and inf in any spelling
            except ValueError:
                return None
        if isinstance(content, dict):
            return content if _is_number(content.get(self.metric)) else None
        return {self.metric: content} if _is_number(content) else None


def _lines(output: IO[str]) -> Iterator[str]:
    """The lines of a stream. One that is longer than LONGEST_LINE loses its middle, which may not fit in memory."""
    while line := output.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            end = line
            while not end.endswith("\n") and (piece := output.readline(LONGEST_LINE)):
                end = (end + piece)[-LONGEST_LINE:]
            line = f"{line} ... {end}"
        yield line


def _is_plain(value: object) -> bool:
    return shlex.quote(str(value)) == str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _ends_soon(process: subprocess.Popen[str]) -> bool:
    """Whether it exits by itself now that its output is closed, as at the end of a normal run."""
    try:
        process.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill_tree(pid: int) -> None:
    import psutil

    try:
        root = psutil.Process(pid)
        family = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
