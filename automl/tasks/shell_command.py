"""A shell command as a task, for programs in any language."""

from __future__ import annotations

import json
import math
import os
import re
import selectors
import shlex
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from automl.errors import MAX_CHARACTERS, UserError, abridged
from automl.task import Epoch, TrainingFailed
from automl.tasks.function import epoch_of
from automl.tasks.shell_quotes import quoted_positions
from automl.tuning.descendants import kill_marked, new_mark
from strategies.encoding import Encoding

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

GRACE = 1.0  # seconds that the output may stay open after the end of the shell
POLL = 0.1  # seconds between looks at the shell while there is no output
MARK = "AUTOML_COMMAND"  # the variable that identifies the processes of a command
LAST_LINES = 3  # of the output, which are in the message of a failure
MAX_LINE_BYTES = 1_048_576  # read as one line
OWN_PLACEHOLDERS = ("seed", "epochs", "dir", "config")
TRACEBACK = "Traceback (most recent call last)"
OPTION = r"(?<!\S)--[A-Za-z][\w.-]*(?:=|[ \t]+)\{{{}\}}(?!\S)"  # with the placeholder of this name as its value
# {name}, but not the shell's ${name}; or, as the first alternative, {{...}}, which escapes {...}. Braces with blanks or
# quotes inside belong to other languages, such as awk.
PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}|(?<!\$)\{([^{}\s'\",;$]+)\}")


@dataclass(frozen=True)
class CommandTask:
    """A shell command with placeholders, which prints its losses: one number per line, or JSON lines with ``loss``.

    ``{lr}`` and the like are the config's values, ``{config}`` the whole config as JSON; there are also ``{seed}``,
    ``{epochs}`` and ``{dir}``, the trial's own folder, which is kept. An option with the value of an inactive
    hyperparameter, as in ``--lr {lr}`` or ``--lr={lr}``, is left out; elsewhere the value is empty. Values are quoted
    for the shell, so a placeholder must not stand within quotes, unless its value is a number or a plain word.
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
        for name in self.space:
            if f"{{{name}}}" in self.command and not PLACEHOLDER.fullmatch(f"{{{name}}}"):
                raise UserError(
                    f"{{{name}}} cannot be a placeholder, as the name has blanks, quotes or one of {{}},;$; rename the "
                    "hyperparameter, or insert {config}, the whole config as JSON"
                )
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
        """Raise UserError if a value that needs shell quotes stands within others, which its own would close."""
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
    def doubt(self) -> str | None:
        """A warning about hyperparameters that the command does not use; None if it uses all."""
        used = self._placeholders
        unused = [name for name in (self.space.meta or {}).get("order", self.space) if name not in used]
        if not unused or "config" in used:
            return None
        return f"the command does not use {', '.join(map(repr, unused))}: insert {{{unused[0]}}}, or shorten the space"

    @property
    def resumable(self) -> bool:
        """Whether the command can continue: it must use both the folder and the epochs."""
        return {"dir", "epochs"} <= set(self._placeholders)

    @property
    def is_length_known(self) -> bool:
        """Whether a full training is known to have several epochs; without ``--epochs`` it counts as one."""
        return self.max_epochs > 1

    @property
    def takes_seed(self) -> bool:
        """Whether the loss can depend on the seed."""
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
        command = self.command
        for name in self.space:
            if name not in config:
                command = re.sub(OPTION.format(re.escape(name)), "", command)
        line = PLACEHOLDER.sub(
            lambda match: shlex.quote(str(values[match[1]])) if match[1] else match[0][1:-1], command
        )
        number, start, output = 0, time.perf_counter(), deque[str](maxlen=LAST_LINES)
        with_objects, hint = False, ""
        mark = new_mark()
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                line,
                shell=True,  # the user's own command  # nosec B602
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env=os.environ | {MARK: mark},
            )
            try:
                for read in _lines(process):
                    parsed, is_object = self._parsed(read), read.lstrip().startswith(b"{")
                    if parsed is None and is_object:
                        hint = hint or self._hint(read)
                    # Beside JSON lines, a number is something else, such as a count or the seconds.
                    if parsed is None or (with_objects and not is_object):
                        output.append(abridged(read.decode(errors="replace")))
                        continue
                    with_objects = is_object
                    number += 1
                    seconds = time.perf_counter() - start
                    yield epoch_of(number, float(parsed[self.metric]), parsed, seconds, self.maximize)
                    start = time.perf_counter()
            finally:
                _end(process, mark)
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - MAX_CHARACTERS))
            stderr = errors.read().decode(errors="replace").splitlines()
        if exception := _exception(stderr):
            output.clear()
        stderr = exception or stderr
        if process.returncode != 0:
            reason = _last([*output, *stderr], ": ")
            raise TrainingFailed(f"the command failed with exit status {process.returncode}{reason}")
        if number == 0:
            lines = f'one number per line, or JSON lines such as {{"{self.metric}": 0.5}}'
            reason = _last(output, ": ") + _last(stderr, "; on standard error: ")
            raise TrainingFailed(f"the command printed no {self.metric} to standard output ({lines}){hint}{reason}")

    def _hint(self, read: bytes) -> str:
        """What is wrong with a line of JSON without a loss; empty if it is not JSON."""
        try:
            content = json.loads(read)
        except ValueError:
            return ""
        if isinstance(content, dict) and self.metric in content:
            return f"; its {self.metric} is {content[self.metric]!r}, not a number"
        if self.maximize:
            return "; rename the score to 'value', or leave --maximize out to minimize 'loss'"
        return "; rename it to 'loss', or give --maximize to maximize 'value'"

    def test(self, checkpoint: Path, device: str) -> Mapping[str, float]:
        return {}

    def _parsed(self, read: bytes) -> dict[str, Any] | None:
        """The loss (or value) and metrics in a line of output; None if there is none. TrainingFailed if it is too long
        to tell."""
        if len(read) > MAX_LINE_BYTES:
            if read.lstrip().startswith(b"{"):  # may be an epoch, without which the others would be counted wrongly
                raise TrainingFailed("a line of output that begins with { is longer than 1 MiB; print fewer metrics")
            return None
        text = read.decode(errors="replace")
        try:
            content = json.loads(text)
        except ValueError:
            try:
                content = float(text)  # also parses nan and inf in any spelling
            except (ValueError, OverflowError):
                return None
        if isinstance(content, dict):
            return content if _is_number(content.get(self.metric)) else None
        return {self.metric: content} if _is_number(content) else None


def _last(lines: Sequence[str], prefix: str) -> str:
    """The last lines as one, after the prefix; empty if they are blank."""
    text = " | ".join(filter(None, map(str.strip, list(lines)[-LAST_LINES:])))
    return f"{prefix}{text}" if text else ""


def _exception(errors: Sequence[str]) -> list[str]:
    """The lines of the last exception that Python wrote, without its traceback; empty if there is none."""
    starts = [place for place, line in enumerate(errors) if line.startswith(TRACEBACK)]
    return [line for line in errors[starts[-1] + 1 :] if line.strip() and not line.startswith(" ")] if starts else []


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """The lines of its output as they come, until the output ends.

    If a child in the background holds the output open, until GRACE seconds after the end of the shell. A line that is
    longer than MAX_LINE_BYTES may lose its middle, which may not fit in memory, but remains longer than that.
    """
    assert process.stdout is not None
    rest, end, half = b"", math.inf, MAX_LINE_BYTES // 2
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < end:
            if end == math.inf and process.poll() is not None:
                end = time.monotonic() + GRACE
            if not selector.select(POLL):
                continue
            piece = os.read(process.stdout.fileno(), 65_536)
            if not piece:
                break
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
            if len(rest) > MAX_LINE_BYTES:
                rest = rest[:half] + b" ... " + rest[-half:]
    if rest:
        yield rest


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Close its output, and kill what does not end then: the shell and its descendants, including detached ones."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        is_open = not selector.select(0) or bool(os.read(process.stdout.fileno(), 1))
    process.stdout.close()
    try:
        process.wait(GRACE / 2)  # on its own, as at the end of a normal run
    except subprocess.TimeoutExpired:
        is_open = True
    if is_open:
        kill_marked(MARK, mark)
    process.wait()


def _is_plain(value: object) -> bool:
    return shlex.quote(str(value)) == str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
