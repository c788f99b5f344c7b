"""The real commands, each in a process of its own."""

import subprocess
import sys


def command(name, *arguments, code=0):
    """Run ``automl NAME``, which must end with the code. Gives what it prints, and its errors."""
    shown = subprocess.run(
        [sys.executable, "-m", "automl", name, *map(str, arguments)], capture_output=True, text=True, timeout=300
    )
    assert shown.returncode == code, shown.stdout + shown.stderr
    return shown.stdout, shown.stderr
