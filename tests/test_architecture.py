"""Who may import whom: strategies <- automl <- benchmarks; and what must not be imported before it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RANK = {"strategies": 0, "automl": 1, "benchmarks": 2}
SOURCES = [file for package in RANK for file in sorted((ROOT / package).rglob("*.py"))]


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_packages_import_only_to_their_left(file):
    own = RANK[file.relative_to(ROOT).parts[0]]
    assert [name for name in imported(file) if RANK.get(name, -1) > own] == []


@pytest.mark.parametrize(
    "file", [file for file in SOURCES if file.parts[-2] == "strategies"], ids=lambda file: file.name
)
def test_strategies_know_no_training_no_files_and_no_clock(file):
    assert not imported(file) & {"torch", "pathlib", "os", "time", "typer", "rich", "pandas", "sqlalchemy"}


@pytest.mark.parametrize(
    "module", ["automl", "automl.run", "automl.tasks.registry", "strategies", "automl.space.parse"]
)
def test_importing_is_cheap(module):
    code = (
        f"import sys, {module}; heavy = set(sys.modules) & "
        "{'torch', 'torchvision', 'optuna', 'skopt', 'hyperopt', 'deap', 'pandas', 'plotly', 'sklearn', 'ConfigSpace'};"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "module",
    [
        "automl.runs.configure",
        "automl.cli.pipeline",
        "automl.tuning.tuner",
        "automl.tuning.worker",
        "benchmarks.runner.pool",
        "benchmarks.runner.simulate",
    ],
)
def test_what_searches_and_replays_leaves_torch_to_the_tasks_that_need_it(module):
    subprocess.run([sys.executable, "-c", f"import sys, {module}; assert 'torch' not in sys.modules"], check=True)


@pytest.mark.parametrize("flag", ["--help", "--list"])
def test_help_and_list_import_nothing_heavy(flag):
    code = (
        "import sys; from automl.run import app\n"
        f"try: app(['{flag}'])\n"
        "except SystemExit: pass\n"
        "heavy = set(sys.modules) & {'torch', 'optuna', 'skopt', 'hyperopt', 'pandas', 'sklearn', 'ConfigSpace'}\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_module_says_what_it_is():
    assert [str(file) for file in SOURCES if not ast.get_docstring(ast.parse(file.read_text()))] == []
