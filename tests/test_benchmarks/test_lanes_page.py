"""The tables of lanes on their page of the documentation."""

import pandas as pd
import pytest

from automl.errors import UserError
from benchmarks.pages.lanes import (
    PAGE,
    of_jobs,
    of_models,
    of_padding,
    of_processes,
    of_searches,
    of_seeds,
)
from benchmarks.pages.markdown import put

SPEEDS = pd.DataFrame(
    {
        "model": "cnn", "weights": 7234, "lanes": [0, 4, 0, 0], "processes": [1, 1, 2, 4],
        "trainings_an_hour": [1000, 2000, 1900, 1800], "times_alone": [1.0, 2.0, 1.9, 1.8],
        "peak_mb": [300.0, 320.0, 600.0, 1200.0],
    }
)  # fmt: skip


def test_a_model_has_a_row_with_its_best_number_of_processes():
    assert of_models(SPEEDS)[2:] == ["| `cnn` | 7,234 | 1,000 |  | 2.00 |  |  |  | 1.90 | 300 | 320 |"]


def test_processes_have_a_column_each_if_they_were_measured():
    assert of_processes(SPEEDS) == [
        "| network | 1 process | 2 processes | 4 processes |", "|---|---|---|---|", "| `cnn` | 1,000 | 1,900 | 1,800 |",
    ]  # fmt: skip
    assert of_processes(SPEEDS[:2]) == ["Several processes were not measured."]


def test_seeds_are_compared_one_by_one():
    assert of_seeds(pd.DataFrame({"seed": [0, 1], "alone": [0.9, 0.8], "lane": [0.9, 0.82]}))[2:] == [
        "| alone | 0.8500 | 0.0707 |  |",
        "| as a lane | 0.8600 | 0.0566 | +0.0100 ± 0.0100 |",
    ]


def test_searches_are_compared_seed_by_seed():
    table = pd.DataFrame(
        {
            "task": "t", "strategy": "bo", "lanes": [1, 1, 4, 4], "seed": [0, 1, 0, 1], "trainings": 10.0,
            "regret_over_time": [0.5, 0.3, 0.4, 0.1], "regret_at_the_end": 0.1,
        }
    )  # fmt: skip
    assert of_searches(table)[2:] == [
        "| `t` | `bo` | 1 | 10 | 0.400 |  | 0.100 |",
        "| `t` | `bo` | 4 | 10 | 0.250 | -0.150 ± 0.050 | 0.100 |",
    ]


def test_jobs_are_compared_by_medians_with_the_first():
    parts = {"search": 20.0, "final": 5.0, "test": 0.9, "others": 0.25}
    rows = [{"which": "before", "options": "-x", "seconds": seconds, **parts} for seconds in (30.0, 40.0, 90.0)]
    rows.append({"which": "after", "options": "-x", "seconds": 20.0, **parts})
    assert of_jobs(pd.DataFrame(rows))[2:] == [
        "| before | `-x` | 40.0 (1.00) | 20.0 (1.00) | 5.0 (1.00) | 0.9000 | 0.25 |",
        "| after | `-x` | 20.0 (2.00) | 20.0 (1.00) | 5.0 (1.00) | 0.9000 | 0.25 |",
    ]


def test_the_page_has_a_block_for_each_table(tmp_path):
    page = tmp_path / "lanes.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("models", "processes", "seeds", "searches", "main-job", "padding"):
        put(page, name, [f"| {name} |"])
    assert page.read_text(encoding="utf-8").count("| padding |") == 1
    with pytest.raises(UserError, match="no block for the weather"):
        put(page, "weather", [])


def test_padding_has_a_row_for_each_way():
    row = {"task": "t", "population": "all at once", "padded_to": "none", "lanes": 1.5, "seconds": 2, "times_alone": 1}
    assert of_padding(pd.DataFrame([row]))[2:] == ["| `t` | all at once | none | 1.50 | 2.00 | 1.00 |"]
