"""A few kills of small runs; what 200 of all kinds have shown is in results/."""

import pandas as pd
import pytest

from automl.errors import UserError
from benchmarks.experiments import kills


@pytest.mark.experiment
def test_a_killed_run_ends_as_the_uninterrupted_one(tmp_path):
    page = tmp_path / "resume.md"
    page.write_text(kills.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    kills.main(kills=2, seed=0, kind=["function, 2 workers"], out=tmp_path / "kills.csv", page=page)
    [row] = pd.read_csv(tmp_path / "kills.csv").to_dict("records")
    assert row["kills"] >= 2
    assert (row["told"], row["lost"], row["failed"], row["same"]) == (20 * row["runs"], 0, 0, row["runs"])
    line = (tmp_path / "kills.md").read_text().splitlines()[-1]
    assert line.startswith(f"| function, 2 workers | {row['runs']} | {row['kills']} | ")
    assert line in page.read_text(encoding="utf-8")


def test_missing_and_changed_outcomes_are_losses():
    before = [(0, (1.0,)), (1, (2.0,))]
    assert kills.n_lost(before, [*before, (2, (3.0,))]) == 0
    assert kills.n_lost(before, [(0, (1.0,)), (1, (3.0,)), (2, (3.0,))]) == 1
    assert kills.n_lost(before, []) == 2


def test_an_unknown_kind_is_one_line(tmp_path):
    with pytest.raises(UserError, match="unknown kind 'films'; choose one of: function; "):
        kills.main(kind=["films"], out=tmp_path / "kills.csv", page=None)
