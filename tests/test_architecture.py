"""The layers of the packages, and imports that wait until they are needed."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From top to bottom: a module may import modules of its own layer and of those below.
LAYERS = (
    "benchmarks",
    "automl.__main__", "automl.run", "automl.cli", "automl", "automl.api", "automl.estimators", "automl.continual",
    "automl.runs",
    "automl.tasks", "automl.training", "automl.deployment", "automl.integrations", "automl.models", "automl.tuning",
    "automl.analysis", "automl.data", "automl.study", "automl.space", "automl.metrics", "automl.task",
    "automl.devices", "automl.errors", "automl.wording", "automl.provenance",
    "strategies",
)  # fmt: skip
FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for package in ("strategies", "automl", "benchmarks")
    for file in sorted((ROOT / package).rglob("*.py"))
}


@cache
def imports(module: str) -> list[tuple[int, str]]:
    """(line, module) of every import of our own: at the top, in functions, for types alone, and by a registry."""
    found = []
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(node.lineno, name if name in FILES else node.module) for name in names]
        elif isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [(node.lineno, name) for name in registered(module, node.value)]
    return [(line, name) for line, name in found if name in FILES and name != module]


def registered(module: str, text: str) -> list[str]:
    """The module that a string such as "auto:Auto" refers to, by its full name or within the package."""
    match = re.fullmatch(r"([\w.]+):\w+", text)
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    return [name for name in (match[1], f"{package}.{match[1]}") if name in FILES] if match else []


def layer(module: str) -> int:
    parts = module.split(".")
    return LAYERS.index(".".join(parts[: 2 if parts[0] == "automl" else 1]))


def test_imports_go_down_only():
    upward = [
        f"{FILES[module].relative_to(ROOT)}:{line} imports {name}"
        for module in FILES
        for line, name in imports(module)
        if layer(name) < layer(module)
    ]
    assert upward == []


def test_imports_have_no_cycle():
    graph = {module: {name for _, name in imports(module)} for module in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]))


def test_what_a_registry_names_is_imported_by_it():
    """Each is a string that is resolved when it is needed; otherwise a cycle through one would not be seen."""
    named = {
        "strategies": "strategies.auto",
        "automl.data.ingest.kinds": "automl.data.ingest.table",
        "automl.models": "automl.models.cnn",
        "automl.models.learners": "automl.models.learners.forests",
        "automl.tasks.baselines": "automl.tasks.baselines.text",
        "automl.tasks.registry": "automl.tasks.tabular",
        "benchmarks.opponents": "benchmarks.opponents.raw_optuna",
    }
    assert {registry for registry, name in named.items() if name not in dict(map(reversed, imports(registry)))} == set()


def test_private_modules_of_the_strategies_are_used_outside_by_benchmarks_of_their_parts_alone():
    users = {
        ".".join(module.split(".")[:2])
        for module in FILES
        for _, name in imports(module)
        if name.startswith("strategies._") and not module.startswith("strategies")
    }
    assert users == {"benchmarks.opponents", "benchmarks.experiments", "benchmarks.suites"}


def test_strategies_are_independent_of_training_files_and_time():
    outside = {"torch", "pathlib", "os", "time", "typer", "rich", "pandas", "sqlalchemy"}
    for module, file in FILES.items():
        if module.startswith("strategies"):
            nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Import)]
            names = {alias.name.split(".")[0] for node in nodes for alias in node.names}
            names |= {
                (node.module or "").split(".")[0]
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.ImportFrom)
            }
            assert not names & outside, file


@pytest.mark.parametrize(
    "module", ["automl", "automl.cli", "automl.tasks.registry", "automl.space.parse", "strategies"]
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
        "automl.runs.configure", "automl.cli.dispatch", "automl.cli.pipeline", "automl.tuning.tuner",
        "automl.tuning.worker", "automl.deployment.several_targets", "benchmarks.runner.pool",
        "benchmarks.runner.simulate",
    ],
)  # fmt: skip
def test_what_searches_and_replays_leaves_torch_to_the_tasks_that_need_it(module):
    subprocess.run([sys.executable, "-c", f"import sys, {module}; assert 'torch' not in sys.modules"], check=True)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["run", "--list"]])
def test_help_and_list_import_nothing_heavy(arguments):
    code = (
        "import sys; from automl.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: pass\n"
        "heavy = set(sys.modules) & {'torch', 'optuna', 'skopt', 'hyperopt', 'pandas', 'sklearn', 'ConfigSpace'}\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_completion_and_help_show_the_public_names():
    code = (
        "import automl; assert dir(automl) == sorted(automl.__all__); assert 'sklearn' not in __import__('sys').modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_module_has_a_docstring():
    assert [module for module, file in FILES.items() if not ast.get_docstring(ast.parse(file.read_text()))] == []
