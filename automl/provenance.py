"""Package versions and the commit, recorded with results."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "automl", "torch", "numpy", "scikit-optimize", "optuna", "hyperopt", "deap", "cmaes", "ConfigSpace", "scipy",
    "scikit-learn", "lightgbm", "pandas",
)  # fmt: skip


def versions(*more: str) -> dict[str, str]:
    """The versions of the installed packages that affect the results of our strategies and models, and of ``more``."""
    found = {"python": platform.python_version()}
    for package in (*PACKAGES, *more):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of this code's checkout, with a ``+`` if files outside results/ and docs/ were changed; None outside a
    checkout."""
    here = Path(__file__).resolve().parents[1]
    try:
        if Path(_git(here, "rev-parse", "--show-toplevel")).resolve() != here:
            return None
        changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results", ":!docs")
        return _git(here, "rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
