"""The report of a run: its wording in each case, escaped user texts, and valid HTML."""

import json
import math
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import yaml

from automl.analysis import figures, slices
from automl.analysis.card_memory import memory_curve
from automl.analysis.columns import ColumnImportances, ranked
from automl.analysis.explanation import Explanation, _about_failures, explain
from automl.analysis.formatting import at_resolution, failed_in_words, resolution, shown_range
from automl.analysis.plot_style import is_best
from automl.analysis.report import write_report
from automl.analysis.sentences import commonest_error, contenders_in_words, headline
from automl.analysis.tables import compare_configs, facts, final_rows
from automl.api import tune
from automl.cli.report import save_png
from automl.runs.run_files import write_best
from automl.space.parse import load_space
from automl.study.facts import Objective, facts_of_search, of_trial
from automl.study.snapshot import read_run
from automl.study.study import Study, counts_in_words
from automl.tuning.result import Result
from benchmarks.opponents.auto_variants import Genetic, Repeats
from strategies.base import Outcome, Proposal
from strategies.encoding import Encoding
from strategies.random_search import RandomSearch

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
SPACE = {
    "lr": {"float": [1.0e-5, 1.0], "log": True, "default": 1.0e-3},
    "layers": {"int": [1, 4], "default": 2},
    "optimizer": {"choice": ["sgd", "adamw", EVIL], "default": "adamw"},
    "momentum": {"float": [0.0, 0.99], "when": {"optimizer": "sgd"}},
    "nesterov": {"choice": [True, False]},
    "dropout": {"float": [0.0, 0.5], "step": 0.05},
    "name": {"constant": "x"},
    "<b>bold</b>": {"float": [0, 1]},
}


class Impatient(RandomSearch):
    def should_stop(self, proposal, losses):
        return len(losses) == 2 and losses[-1] > 1.0


def training(config, epochs=4):
    if config["layers"] == 4:
        raise RuntimeError(f"diverged {EVIL}")
    if config["lr"] > 0.5:
        yield math.nan
        return
    for epoch in range(epochs):
        yield (math.log10(config["lr"]) + 2) ** 2 / 5 + config["dropout"] + math.exp(-epoch)


def summarised(
    result: Result, *, metric="loss", maximize=False, final=None, task="training", strategy="random", why=""
):
    objective = Objective(task, metric, maximize)
    found = facts_of_search(
        result.study, objective, strategy=strategy, seed=3, stop_reason=result.stop_reason, seconds=result.seconds
    )
    return found | {
        "why": why,
        "budget_epochs": 100,
        "strategy_seconds": 0.25,
        "final": final,
        "versions": {"automl": "0.1.0", "numpy": "2.1"},
        "commit": "abc123",
        "started": "2025-01-02T03:04:05+00:00",
    }


def final_of(chosen, default, split="test", metric="loss"):
    return {
        "metric": metric, "split": split, "chosen": chosen, "default": default, "kept": "chosen", "baseline": None,
        "seeds": [1, 2, 3][: max(len(chosen), len(default))], "any_seed": [], "errors": [], "contenders": [],
    }  # fmt: skip


def test_of_a_final_in_which_all_failed_no_contender_was_the_best():
    contenders = [{"trial": number, "validation": [None], "any_seed": False} for number in (4, 6)]
    final = final_of([None], [None]) | {"trial": 6, "contenders": contenders}
    assert contenders_in_words({"final": final}) == (
        "Every training of the final's 2 contenders failed: the chosen config, of trial 6, is the best of the search."
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A finished run with conditions, failures, trials that were stopped early, and strange texts."""
    folder = tmp_path_factory.mktemp("report") / "run"
    result = tune(training, SPACE, strategy=Impatient, n_trials=30, seed=3, max_epochs=4, study=folder)
    (folder / "summary.json").write_text(json.dumps(summarised(result, task=EVIL)))
    return folder


@pytest.fixture(scope="module")
def run(folder):
    return read_run(folder)


@pytest.fixture(scope="module")
def told(run) -> Explanation:
    return explain(*run)


@pytest.fixture(scope="module")
def page(folder, run, told) -> str:
    write_report(folder / "report.html", *run, told)
    return (folder / "report.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Everything that a page would load or run, the words that it shows, and its sections."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.scripts: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self._inside = ""
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag, attrs):
        self._inside = tag
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.ids += [value for name, value in attrs if name == "id" and tag == "section"]
        if tag == "link":
            self.loads.append("link")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words += data


def words_of(tmp_path: Path, result: Result, **summary) -> str:
    write_report(tmp_path / "report.html", result.study, summarised(result, **summary))
    return Page((tmp_path / "report.html").read_text(encoding="utf-8")).words


def test_nothing_is_loaded_from_anywhere(page):
    read = Page(page)
    assert read.loads == []
    assert read.handlers == []
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in page


def test_sections_come_in_their_order(page):
    expected = ["search", "configs", "curves", "importance", "slices", "failures", "run"]
    assert [name for name in Page(page).ids if name in expected] == expected


def test_strange_texts_are_shown_and_not_run(page):
    read = Page(page)
    assert len(read.scripts) == 3  # the figures' data, plotly.js, the drawing
    assert read.scripts[1].lstrip().startswith("/**\n* plotly.js")
    assert f"diverged {EVIL}" in read.words
    assert "<b>bold</b>" in read.words
    drawn = json.loads(read.scripts[0])
    texts = [text for trace in drawn["search"]["data"] for text in trace.get("hovertext", [])]
    assert any("&lt;script&gt;" in text for text in texts)
    assert not any("<script" in text or "<img" in text or "<b>bold" in text for text in texts)
    assert not any("<" in tick for figure in drawn.values() for tick in figure["layout"]["xaxis"].get("ticktext", []))


def test_columns_of_a_table_have_a_section_whatever_their_names(run, told, tmp_path):
    study, summary = run
    model = {"kind": "table", "said": "a small one", "metric": "rmse", "test": {}, "temperature": 1.0}
    summary = {**summary, "model": model}

    def page_with(columns):
        write_report(tmp_path / "report.html", study, summary, told, columns=columns)
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    names = [EVIL, *(f"column {i}" for i in range(40))]
    each = ranked({name: [50.0 - i, 50.1 - i] for i, name in enumerate(names)})
    read = page_with(ColumnImportances("rmse", each, None, 51.0, 88, 88, 5))
    assert read.ids.index("columns") + 1 == read.ids.index("importance")
    assert f"The model clearly relies on {EVIL[:39]}\u2026, then on column 0, column 1" in read.words
    assert "Drawn are 30 of 41 columns." in read.words
    [bars] = json.loads(read.scripts[0])["columns"]["data"]
    assert (len(bars["x"]), bars["x"][-1]) == (30, 50.05)
    assert "<script" not in bars["hovertext"][-1]
    assert len(read.scripts) == 3
    assert "Not computed yet for the model in use" in page_with(None).words
    reason = ColumnImportances("rmse", reason="the run kept no test set")
    assert "Which columns matter is not known: the run kept no test set." in page_with(reason).words


def test_data_are_json_without_nan(page):
    def refuse(constant):
        raise AssertionError(constant)

    json.loads(Page(page).scripts[0], parse_constant=refuse)


def test_figures_are_valid_for_plotly(run):
    study, summary = run
    drawn = [figures.search_curve(study, summary), figures.learning_curves(study, summary)]
    for figure in [*drawn, *slices.by_hyperparameter(study, summary).values()]:
        go.Figure(figure)  # raises on an unknown property


def test_search_curve_can_be_read_over_trials_and_over_seconds(run):
    study, summary = run
    curve = figures.search_curve(study, summary)
    by_trial, by_seconds = curve["layout"]["updatemenus"][0]["buttons"]
    assert by_trial["args"][0]["x"] == [trace["x"] for trace in curve["data"]]
    place = [trace["name"] for trace in curve["data"]].index("random")
    numbers, seconds = by_trial["args"][0]["x"][place], by_seconds["args"][0]["x"][place]
    assert seconds == [study.trials[number].at for number in numbers]
    steps = next(trace for trace in curve["data"] if trace["name"] == "best so far")
    assert steps["y"][-1] == pytest.approx(summary["best"]["loss"])
    failed = next(trace for trace in curve["data"] if trace["name"] == "failed")
    assert len(failed["x"]) == summary["n_failed"] > 0


def test_slices_leave_out_what_cannot_vary_and_follow_the_scale(run):
    drawn = slices.by_hyperparameter(*run)
    assert list(drawn) == [name for name in SPACE if name != "name"]
    assert drawn["lr"]["layout"]["xaxis"]["type"] == "log"
    assert drawn["nesterov"]["layout"]["xaxis"]["ticktext"] == ["true", "false"]
    assert "ticktext" not in drawn["dropout"]["layout"]["xaxis"]  # eleven values: an axis of numbers
    assert len(drawn["momentum"]["data"][0]["x"]) < len(drawn["lr"]["data"][0]["x"])


def test_configs_side_by_side(run):
    study, summary = run
    rows = {row["name"]: row for row in compare_configs(study, summary)}
    assert rows["lr"]["default"] == "0.001"
    assert rows["lr"]["changed"]
    assert rows["lr"]["range"] == "1e-05 to 1, log"
    assert rows["momentum"]["default"] == "-"
    assert not rows["name"]["changed"]
    assert rows["name"]["range"] == "fixed"


def test_what_neither_config_has_is_folded_away(tmp_path):
    space = {
        "kind": {"choice": ["a", "b"]},
        "x": {"float": [0, 1], "when": {"kind": "a"}},
        "y": {"float": [2, 3], "when": {"kind": "b"}},
    }
    words = words_of(tmp_path, tune(lambda c: c.get("x", 9), space, strategy="random", n_trials=4))
    assert "1 hyperparameter that neither of the two has y: 2 to 3" in words


def test_failures_are_listed(page, run):
    summary = run[1]
    words = Page(page).words
    assert f"{summary['n_failed']} of {summary['n_trials']} trials failed." in words
    assert "the loss is nan at epoch 1" in words
    assert "abc123" in words
    assert "numpy 2.1" in words


def test_a_single_trial(tmp_path):
    words = words_of(tmp_path, tune(lambda c: c["x"], {"x": {"float": [0, 1]}}, strategy="random", n_trials=1))
    assert "training, 1 trial with random" in words
    assert "Loss 0.500 with the default config; nothing else was tried." in words
    assert "Too few trials: 1 was trained long enough to be compared, 10 are needed." in words
    assert "Failures None." in words
    assert "no trial was scored after more than one epoch" in words


def test_all_trials_failed(tmp_path):
    with pytest.warns(UserWarning, match="no trial succeeded"):
        result = tune(lambda c: 1 / 0, {"x": {"float": [0, 1]}}, strategy="random", n_trials=3)
    words = words_of(tmp_path, result)
    assert "No trial succeeded: all of 3 failed." in words
    assert re.search(r"The most common reason \(3 trials\): \S*test_report\.py, line \d+: ZeroDivisionError", words)
    assert "No config was chosen" in words


def test_a_single_failed_trial_is_singular(tmp_path):
    def train(config):
        raise RuntimeError("no luck")

    with pytest.warns(UserWarning, match="no trial succeeded"):
        result = tune(train, {"x": {"float": [0, 1]}}, strategy="random", n_trials=1)
    words = words_of(tmp_path, result)
    assert "The only trial failed." in words
    assert "1 of 1 trial failed with: RuntimeError: no luck." in words


def test_a_score_to_be_maximised(tmp_path):
    result = tune(lambda c: 2 - c["x"] ** 2, {"x": {"float": [-1, 1], "default": 1.0}}, n_trials=12, maximize=True)
    summary = summarised(result, metric="value", maximize=True)
    assert summary["best"]["metrics"]["value"] > 1.9
    text = headline(result.study, summary)
    assert re.fullmatch(r"Value (1\.9\d\d|2\.000), against 1\.000 of the default config\.", text["lead"])
    curve = figures.search_curve(result.study, summary)
    assert curve["layout"]["yaxis"]["title"]["text"] == "value, higher is better"
    steps = next(trace["y"] for trace in curve["data"] if trace["name"] == "best so far")
    assert steps == sorted(steps)


def test_the_default_may_fail_and_the_run_may_end_early(tmp_path):
    def picky(config):
        if config["x"] == 0.5:
            raise ValueError("not this one")
        return config["x"]

    result = tune(picky, {"x": {"float": [0, 1]}}, strategy="random", n_trials=50, target=0.3)
    words = words_of(tmp_path, result)
    assert "The default config failed in the search." in words
    assert "The run ended early: target of 0.3 reached." in words


@pytest.mark.parametrize(
    ("final", "verdict", "note"),
    [
        (final_of([0.10, 0.12, 0.11], [0.20, 0.21, 0.22]), "Better than the default with each of 3", "On the test set"),
        (
            final_of([0.10, 0.12, 0.25], [0.20, 0.21, 0.22]),
            "No clear gain over the default",
            "loss 0.157\xa0±\xa00.081",
        ),
        (final_of([0.30, 0.31, 0.32], [0.20, 0.21, 0.22]), "Worse than the default with each", "0.210\xa0±\xa00.010"),
        (final_of([0.1, 0.1], [0.1, 0.1], "validation"), "No gain over the default", "There is no test set."),
        (final_of([0.1], [0.2]), "One fresh seed cannot tell whether the chosen config is better", "On the test set"),
        (final_of([0.1, None, None], [0.2, 0.2, 0.2]), "Too few final trainings succeeded", "On the test set"),
        (final_of([None, None], [0.2, 0.2]), "The final trainings of the chosen config failed.", ""),
        (final_of([0.1, 0.2], [None, None]), "", "the default config failed there"),
        (None, "", "was not trained again with fresh seeds"),
    ],
)
def test_the_verdict_is_that_of_the_final_scores(tmp_path, run, told, final, verdict, note):
    study, summary = run
    summary = {**summary, "final": final}
    text = headline(study, summary)
    assert text["verdict"].startswith(verdict)
    assert bool(text["verdict"]) == bool(verdict)
    assert note in " ".join(text["notes"])
    write_report(tmp_path / "report.html", study, summary, told)  # every case has its page


def planned(summary, test):
    entries = [(7, "linear", 0.25), (3, "realmlp", 0.375), (3, "realmlp", 0.375)]  # a bagged member has one a fold
    card = {
        "metric": "accuracy",
        "said": "an ensemble of 2 models",
        "temperature": 1.0,
        "validation": 0.9,
        "test": test,
        "baseline": None,
        "members": [{"trial": n, "family": name, "weight": w, "score": 0.88} for n, name, w in entries],
    }
    return {**summary, "metric": "accuracy", "maximize": True, "settings": {"folds": 8}, "model": card}


@pytest.mark.parametrize(
    ("test", "lead", "note"),
    [
        ({"accuracy": 0.8765, "auc": 0.95}, "Accuracy 0.876 on the test set.", "did not see the test set"),
        ({}, "Accuracy 0.900 out of fold.", "There is no test set."),
    ],
)
def test_a_run_by_the_default_plan_shows_its_model(tmp_path, run, told, test, lead, note):
    study, summary = run
    about = {"facts": {"rows": "90, usable 88"}, "notes": ["column 'id' is left out"]}
    write_report(tmp_path / "report.html", study, planned(summary, test) | {"data": about}, told)
    words = Page((tmp_path / "report.html").read_text(encoding="utf-8")).words
    assert lead in words
    assert "90, usable 88" in words
    assert "Column 'id' is left out." in words
    assert "The model is an ensemble of 2 models." in words
    assert note in words
    assert re.search(r"realmlp ?3 ?75% ?0.880 ?linear ?7 ?25% ?0.880", words)
    assert bool(re.search(r"auc ?0.950", words)) == bool(test)
    alone = "est single configuration, not a member of the model"
    assert f"B{alone}, trial {summary['best']['trial']}." in words
    write_best(tmp_path / "best.yaml", planned(summary, test))
    assert f"; b{alone}\n" in (tmp_path / "best.yaml").read_text()
    assert "fresh seeds" not in words  # there is no final
    assert "Folds The accuracy of each trial over the folds" in words
    assert "after each epoch" not in words


def test_a_default_that_was_trained_short_is_not_compared_with_the_best(run):
    study, summary = run
    best = {**summary["best"], "epochs": summary["max_epochs"]}
    default = {**summary["default"], "epochs": summary["max_epochs"]}
    whole = {**summary, "best": best, "default": default}
    assert headline(study, whole)["lead"].endswith(" of the default config.")
    assert any(trace["name"].startswith("default (") for trace in figures.search_curve(study, whole)["data"])
    short = {**summary, "best": best, "default": {**default, "epochs": 1, "complete": False}}
    said = "In the search, the default config was trained for 1 of 4 epochs only, too short to compare"
    assert f"{said}." in headline(study, short)["notes"]
    assert "default" not in headline(study, short)["lead"]
    final = final_of([0.1, 0.1], [0.2, 0.2])
    assert f"{said}; the final compares both." in headline(study, {**short, "final": final})["notes"]
    assert not any(trace["name"].startswith("default (") for trace in figures.search_curve(study, short)["data"])
    stopped = {"epochs": 1, "complete": False}
    both = {**summary, "best": best | stopped, "default": default | stopped}
    assert "against" in headline(study, both)["lead"]


def sinking(config):
    for epoch in range(9):
        yield abs(config["x"] - 0.3) + (9 - epoch) / 9


@pytest.mark.parametrize(("n_trials", "whole"), [(30, True), (6, False)])
def test_each_hyperparameter_is_drawn_with_a_model_of_equally_long_trainings(n_trials, whole):
    space = {"x": {"float": [0, 1]}}
    result = tune(sinking, space, strategy="random+hyperband", n_trials=n_trials, max_epochs=9, seed=1)
    summary = summarised(result)
    told = explain(result.study, summary)
    drawn = slices.by_hyperparameter(result.study, summary, told.effects, told.compared)["x"]
    others, _, _, model = drawn["data"]
    assert told.compared.whole == whole
    if whole:
        assert len(others["x"]) == len(result.trials) - 1
        short = sum(trial.epochs < 9 for trial in result.trials)
        assert sum(symbol.endswith("-open") for symbol in others["marker"]["symbol"]) == short > 0
    else:
        n_epochs = told.compared.epochs
        assert n_epochs < 9
        those = [trial for trial in told.compared.trials if trial is not result.study.best]
        low, high = drawn["layout"]["yaxis"]["range"]
        assert others["y"] == pytest.approx(np.clip([trial.losses[n_epochs - 1] for trial in those], low, high))
    least = 1 / 9 + (9 - told.compared.epochs) / 9  # of x = 0.3 at that epoch
    assert min(model["y"]) == pytest.approx(least, abs=0.1)


def test_a_higher_accuracy_is_better(run):
    summary = run[1]
    final = final_of([0.9, 0.92, 0.91], [0.8, 0.81, 0.82], metric="accuracy")
    rows = final_rows({**summary, "maximize": True, "final": final})
    assert rows is not None
    assert [row["difference"] for row in rows["rows"]] == ["+0.100", "+0.110", "+0.090"]
    assert rows["mean"] == ["0.910", "0.810"]
    assert rows["difference"] == "+0.100"
    assert rows["chance"] == 4
    rows = final_rows({**summary, "maximize": False, "final": final})
    assert rows is not None
    assert all(row["gain"] < 0 for row in rows["rows"])


def test_extreme_values_do_not_hide_the_others():
    bulk = [0.1, 0.12, 0.15, 0.2, 0.22, 0.3]
    low, high = shown_range([*bulk, 1.0e6], maximize=False)
    assert 0 < low < 0.1
    assert 0.3 < high < 1
    low, high = shown_range([*(-b for b in bulk), -1.0e6], maximize=True)
    assert -1 < low < -0.3
    assert shown_range([*bulk, 1.0e6], maximize=False, default=1.0e6)[1] < 1
    assert shown_range(bulk, maximize=False, default=0.5)[1] > 0.5
    assert shown_range([], maximize=False) == (0.0, 1.0)
    low, high = shown_range([2.0, 2.0], maximize=True)
    assert low < 2.0 < high


def test_a_trial_beyond_the_range_is_drawn_at_the_edge():
    result = tune(lambda c: 1.0e9 if c["x"] > 0.9 else c["x"], {"x": {"float": [0, 1]}}, strategy="sobol", n_trials=20)
    curve = figures.search_curve(result.study, summarised(result))
    assert curve["layout"]["yaxis"]["range"][1] < 2
    assert any(trace["name"] == figures.OUT_OF_RANGE for trace in curve["data"])
    low, high = curve["layout"]["yaxis"]["range"]
    heights = slices.by_hyperparameter(result.study, summarised(result))["x"]["data"][0]["y"]
    assert all(low <= height <= high for height in heights)


class Mixed(Genetic, Repeats):
    """A strategy with arms, which trains its best configs again."""


def test_each_trial_says_which_arm_proposed_it_and_what_it_repeats(tmp_path, caplog):
    calls = []

    def noisy(config, epochs=4):
        calls.append(1)
        for epoch in range(epochs):
            yield (config["x"] - 0.3) ** 2 + len(calls) * 1e-4 + math.exp(-epoch)

    with caplog.at_level("INFO", "automl"):
        result = tune(noisy, {"x": {"float": [0, 1]}}, strategy=Mixed, n_trials=50, max_epochs=4)
    search = figures.search_curve(result.study, summarised(result))
    texts = {int(re.match(r"<b>trial (\d+)", t)[1]): t for trace in search["data"] for t in trace.get("hovertext", [])}
    frame = result.to_frame().set_index("trial")
    assert set(frame["arm"].dropna()) == {"bo", "ga"}
    for number, arm in frame["arm"].dropna().items():
        assert f"proposed by {arm}, whose share was" in texts[number]
    again = frame["repeats"].dropna().astype(int)
    assert len(again)
    for number, first in again.items():
        assert f"trained once more<br>the config of trial {first}, among the best, with another seed" in texts[number]
        assert re.search(rf"trial +{number}  complete .*  repeats trial {first}", caplog.text)
    assert "proposed by" not in texts[0]
    assert "random: bo and ga" in words_of(tmp_path, result, why="bo and ga")


def test_a_built_in_task(tmp_path):
    result = tune("digits-cnn", strategy="random", n_trials=2, max_epochs=2, study=tmp_path / "run")
    words = words_of(tmp_path, result, metric="accuracy", maximize=True, task="digits-cnn")
    assert re.search(r"Accuracy 0\.\d{3} on validation", words)
    assert "The accuracy of each trial after each epoch" in words


def report(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "automl", "report", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_command_writes_the_report_anew(folder, page, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)  # with SQLite's write-ahead log, as this process still has the study open
    (copy / "report.html").unlink()
    done = report(copy)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(copy / "report.html")
    assert (copy / "report.html").read_text(encoding="utf-8") == page
    assert not list(copy.glob(".report.html*"))


@pytest.mark.parametrize(
    ("files", "message"),
    [([], "has no study.db"), (["study.db", "broken"], "is damaged")],
)
def test_what_is_no_run_is_one_line_and_exit_2(folder, tmp_path, files, message):
    for name in files:
        if name == "broken":
            (tmp_path / "summary.json").write_text("{")
        else:
            shutil.copy(folder / name, tmp_path / name)
    done = report(tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_run_from_python_has_the_files_that_a_command_line_run_has(tmp_path):
    folder = tmp_path / "run"
    result = tune(lambda config: config["x"], {"x": {"float": [0, 1]}}, strategy="random", n_trials=3, study=folder)
    assert json.loads((folder / "summary.json").read_text())["best"]["config"] == result.best_config
    assert yaml.safe_load((folder / "best.yaml").read_text()) == result.best_config
    assert len((folder / "trials.csv").read_text().splitlines()) == 4
    for is_killed in (False, True):
        if is_killed:
            (folder / "summary.json").unlink()
        assert report(folder).returncode == 0
        assert "3 trials with random" in Page((folder / "report.html").read_text(encoding="utf-8")).words


def test_a_png_without_kaleido_says_what_to_install(run, tmp_path, monkeypatch):
    from automl.errors import UserError

    monkeypatch.setattr("automl.cli.report.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install kaleido"):
        save_png(tmp_path / "curve.png", *run)


def test_a_run_that_was_interrupted_at_once_has_a_report_too(tmp_path, run):
    study = Study(run[0].space, 4)
    summary = summarised(Result(study, "interrupted", 0.1, "training", "random", "loss", False, 3))
    write_report(tmp_path / "report.html", study, summary)
    words = Page((tmp_path / "report.html").read_text(encoding="utf-8")).words
    assert "No trial was finished." in words
    assert "The run ended early: interrupted." in words


@pytest.mark.parametrize(
    ("numbers", "maximize", "shown"),
    [
        ([21743.13, 21743.52, 21744.9], False, ["21,743.13", "21,743.52", "21,744.90"]),
        ([0.9512, 0.9433, 0.1], True, ["0.9512", "0.9433", "0.1000"]),
        ([1e-7, 3e-7, 2e-6], False, ["1.000e-07", "3.000e-07", "2.000e-06"]),
        ([5.0, 5.0, 5.0], False, ["5.000", "5.000", "5.000"]),
        ([123456.0, 0.001, 9.0], False, ["123,456", "0.001000", "9.000"]),
    ],
)
def test_numbers_keep_the_digits_that_change(numbers, maximize, shown):
    step = resolution(numbers, maximize)
    assert [at_resolution(number, step) for number in numbers] == shown


# --- memory of graphics cards -----------------------------------------------------------------------------------------


def test_the_memory_of_the_cards_is_shown_where_there_were_any(run, told, tmp_path):
    study, summary = run
    span = {"card": 0, "start": 1.0, "end": 3.0, "peak": 2 * 2**30, "total": 8 * 2**30}
    spans = [span, span | {"start": 2.0, "end": 4.0}, span | {"card": 1}]
    figure = memory_curve(spans)
    go.Figure(figure)  # raises on an unknown property
    assert figure["data"][0]["y"] == [0, 2, 4, 2, 0]
    assert figure["data"][0]["text"][2] == "2 trainings"
    assert [trace["name"] for trace in figure["data"]][1::2] == ["cuda:0 has 8.0 GiB", "cuda:1 has 8.0 GiB"]
    for memory, there in ((spans, True), (None, False)):
        write_report(tmp_path / "report.html", study, {**summary, "memory": memory}, told)
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
        assert ("memory" in page.ids) == there


def test_the_config_shown_is_that_of_the_model_where_it_is_not_the_best_one(run, tmp_path):
    study, summary = run
    kept = next(t for t in study.trials.values() if t.state == "complete" and t.number != summary["best"]["trial"])
    entry = of_trial(kept)
    summary = summary | {"kept_trial": entry}
    write_best(tmp_path / "best.yaml", summary)
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == kept.config
    assert f": trial {kept.number}, loss" in (tmp_path / "best.yaml").read_text()
    assert {t.number for t in study.trials.values() if is_best(t, summary)} == {kept.number}, "the star"
    rows = {row["name"]: row["chosen"] for row in compare_configs(study, summary)}
    assert rows["lr"] == f"{kept.config['lr']:.4g}"


def test_trials_without_the_time_they_need_are_too_slow_or_unfinished():
    study = Study(load_space({"x": {"float": [0, 1]}}), 8)
    errors = (None, "too slow: 8 folds would take 73.4 s, longer than the 30 s of a configuration", None)
    for number, error in enumerate(errors):
        proposal = Proposal(number, {"x": number / 4}, 8)
        study.asked(proposal, 0.0)
        if number < 2:
            losses = () if error else (1.0,) * 8
            study.told(Outcome(proposal, losses, 1.0, error=error), 0.0, 1.0)
    counts = "3 trials (1 complete, 1 unfinished, 1 too slow)"
    assert counts_in_words(study.counts, study.n_too_slow, ended=True) == counts
    summary = Result(study, "time limit of 60 s", 60.0, "table", "auto", "loss", False, 0).summary()
    assert (summary["n_trials"], summary["n_unfinished"]) == (2, 1)
    assert (summary["n_failed"], summary["n_too_slow"]) == (1, 1)
    summary |= {"epochs_trained": 9, "budget_epochs": None, "seconds": 60.0, "strategy_seconds": 0.0, "commit": None}
    told = dict(facts(study, summary | {"versions": {}}))
    assert told["trials"] == "3: 1 trained to the end, 1 too slow, 1 unfinished"
    (about,) = [said for said in explain(study, summary).words if "slow" in said]
    assert (
        about
        == "1 of 2 trials was too slow, as in: 8 folds would take 73.4 s, longer than the 30 s of a configuration."
    )
    assert failed_in_words(3, 1, 9) == "3 of 9 trials failed, 1 as too slow"
    assert "failed" not in {trace["name"] for trace in figures.search_curve(study, summary)["data"]}


def test_a_trial_without_time_left_is_no_headline(run):
    study, summary = Study(load_space({"x": {"float": [0, 1]}}), 8), run[1]
    for number, error in enumerate(
        (None, "too slow: 8 folds would take 0.163 s, longer than the 0.0971 s left of the time for the search")
    ):
        proposal = Proposal(number, {"x": number / 4}, 8)
        study.asked(proposal, 0.0)
        study.told(Outcome(proposal, () if error else (1.0,) * 8, 1.0, error=error), 0.0, 1.0)
    summary |= Result(study, "time limit of 60 s", 60.0, "table", "auto", "loss", False, 0).summary()
    assert not any("slow" in note for note in headline(study, summary)["notes"])
    assert "1 of 2 trials had no time left." in explain(study, summary).words


def test_errors_that_differ_by_their_numbers_alone_are_one_reason():
    study = Study(load_space({"x": {"float": [0, 1]}}), 1)
    errors = [
        "no GPU",
        "too slow: 334 rounds would take 6.72 s",
        "too slow: 90 rounds would take 5 s",
        "no GPU",
        "too slow: 7",
    ]
    for number, error in enumerate([*errors, "too slow: 12 rounds would take 8.1 s"]):
        proposal = Proposal(number, {"x": number / 8}, 1)
        study.asked(proposal, 0.0)
        study.told(Outcome(proposal, (), 1.0, error=error), 0.0, 1.0)
    assert commonest_error(study) == [
        "The most common reason (3 trials), for example: too slow: 334 rounds would take 6.72 s"
    ]
    said = "6 of 6 trials failed, 4 as too slow, 3 of them with, for example: too slow: 334 rounds would take 6.72 s."
    assert said in [*_about_failures(study, Encoding(study.space), list(study.trials.values()), 0)]
