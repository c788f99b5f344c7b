"""The console of a run, which outlives its display."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class RunConsole(Console):
    """Where its output is closed, as by ``| head -1``, it says so once and stays silent: the run goes on."""

    def on_broken_pipe(self) -> None:
        """Called by rich in place of the exception."""
        self.quiet = True
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, self.file.fileno())
        os.close(silence)
        if not self.stderr:
            print("automl: the output was closed; the run goes on", file=sys.stderr)
