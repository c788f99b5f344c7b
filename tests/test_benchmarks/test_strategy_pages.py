"""Every strategy has a page, and its measurements are written into it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.errors import UserError
from benchmarks.pages import strategy_pages
from benchmarks.pages.strategy_pages import HOW, NOTHING, block, check, missing, pages
from benchmarks.scoring.leaderboard import sections
from strategies import STRATEGIES, WRAPPERS

DOCS = Path(__file__).parents[2] / "docs" / "strategies"
COSTS = pd.DataFrame(
    [("tpe", 2, 10, 0.002), ("tpe", 2, 50, 0.003), ("tpe", 10, 10, 0.25), ("ga", 2, 10, 1.0)],
    columns=["strategy", "n_dimensions", "n_trials", "seconds"],
)


def runs(strategy, regret, n_tasks=14):
    """Two seeds of twenty trials with constant regret."""
    rows = [
        {
            "suite": "s", "task": f"t{task:02d}", "strategy": strategy, "seed": seed, "n_trials": 20, "n_workers": 1,
            "kind": "numeric", "trial": trial, "loss": regret + task / 500, "worth": regret + task / 500,
            "test": np.nan, "repeats": np.nan,
            "epochs": 1, "max_epochs": 1, "at_epochs": trial + 1, "at_seconds": 10.0 * (trial + 1), "failed": False,
            "crash": None, "error": None, "strategy_seconds": 0.01, "unit": f"t{task:02d}", "split": "development",
            "is_default": trial == 0, "retrained": np.nan, "returned": np.nan, "commit": "abc",
        }
        for task in range(n_tasks)
        for seed in range(2)
        for trial in range(20)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def found(n_tasks=14, **regrets):
    table = pd.concat([runs(name.replace("_", "+"), regret, n_tasks) for name, regret in regrets.items()])
    index = pd.MultiIndex.from_frame(table[["suite", "task"]].drop_duplicates())
    return sections(table, pd.DataFrame({"best": 0.0, "reference": 1.0, "seconds": 10.0}, index=index))


def test_every_strategy_and_wrapper_has_a_page():
    assert missing(DOCS) == [], f"write docs/strategies/NAME.md for {', '.join(missing(DOCS))}, as the others are"
    check(DOCS)


@pytest.mark.parametrize("name", [*STRATEGIES, *WRAPPERS])
def test_a_page_explains_when_to_use_the_strategy_and_cites_its_source(name):
    if name in missing(DOCS):
        pytest.skip("reported by the test above")
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {'+' if name in WRAPPERS else ''}{name}: ")
    assert all(f"\n## {part}" in text for part in ("When to use it\n", "Limitations\n", "Paper"))
    module = {**STRATEGIES, **WRAPPERS}[name][0].partition(":")[0]
    assert f"(../../strategies/{module}.py)" in text
    assert (DOCS / f"../../strategies/{module}.py").exists()
    assert f"]({name}.md)" in (DOCS / "index.md").read_text(encoding="utf-8")


def test_costs_and_ranks_are_listed_with_the_leader_in_bold():
    text = block("tpe", found(tpe=0.1, ga=0.3, random=0.5), COSTS)
    assert text.startswith(HOW)
    assert "| hyperparameters | after 10 trials | after 50 trials |" in text
    assert "| 2 | 2 ms | 3 ms |" in text
    assert "| 10 | 250 ms |  |" in text
    assert "| s, all tasks: 14 tasks, 2 seeds | **0.113 (1 of 3)** | **0.113 (1 of 3)** |" in text
    assert "| s, all tasks: 14 tasks, 2 seeds | 0.313 (2 of 3) | 0.313 (2 of 3) |" in block(
        "ga", found(tpe=0.1, ga=0.3, random=0.5), COSTS
    )


def test_without_a_test_nothing_is_in_bold():
    text = block("tpe", found(3, tpe=0.1, ga=0.3), COSTS)
    assert "(1 of 2)" in text
    assert "|**" not in text.replace(" ", "")


def test_a_wrapper_page_lists_all_strategies_it_was_run_with():
    text = block("asha", found(tpe=0.1, tpe_asha=0.2, ga_asha=0.3), COSTS)
    assert "2 seeds, tpe+asha | 0.213 (2 of 3)" in text
    assert "2 seeds, ga+asha | 0.313 (3 of 3)" in text
    assert "(1 of 3)" not in text
    assert "tpe+asha" not in block("tpe", found(tpe=0.1, tpe_asha=0.2), COSTS)


def test_a_strategy_without_runs_is_marked_as_such():
    assert block("cmaes", found(tpe=0.1, ga=0.3), COSTS).endswith(NOTHING)


def test_only_the_marked_block_of_a_page_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(strategy_pages, "STRATEGIES", {"tpe": None})
    monkeypatch.setattr(strategy_pages, "WRAPPERS", {})
    with pytest.raises(UserError, match=r"has no page tpe\.md; create it with the lines <!-- standing -->"):
        check(tmp_path)
    page = tmp_path / "tpe.md"
    page.write_text("no place")
    with pytest.raises(UserError, match="has no block for the standing; add the lines"):
        check(tmp_path)
    page.write_text("before\n<!-- standing -->\nold\n<!-- /standing -->\nafter\n")
    (text,) = pages(tmp_path, found(tpe=0.1, ga=0.3), COSTS).values()
    assert text.startswith(f"before\n<!-- standing -->\n{HOW}")
    assert text.endswith("|\n<!-- /standing -->\nafter\n")
    assert "\nold\n" not in text
