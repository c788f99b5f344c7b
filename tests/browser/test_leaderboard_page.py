"""The leaderboard in a real browser: plots, sorting, controls, hover, hostile names, narrow and wide windows."""

import html
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.pages.page import PLOTLY, render
from benchmarks.pages.plots import plotly_source
from benchmarks.scoring.leaderboard import reliability, sections

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
TASKS = [*(f"a-task-with-a-rather-long-name-{i}" for i in range(11)), EVIL]
QUALITIES = {
    "random": 0.5, "good": 0.02, "grid": 3.0, EVIL: 0.3, **{f"strategy-{i}": 0.2 + 0.02 * i for i in range(10)}
}  # fmt: skip


def runs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    parts = []
    for strategy, quality in QUALITIES.items():
        n_trials = 40 if strategy == "random" else 20
        for task in TASKS:
            for seed in range(3):
                numbers = np.arange(1, n_trials + 1)
                loss = (quality + (1 - quality) / numbers**2) * (1 + 0.1 * rng.random(n_trials))
                parts.append(
                    pd.DataFrame(
                        {
                            "suite": "s", "task": task, "strategy": strategy, "seed": seed, "n_trials": n_trials,
                            "n_workers": 1, "kind": "mixed", "trial": numbers - 1, "loss": loss, "worth": loss,
                            "test": loss + 0.1, "epochs": 1, "max_epochs": 1, "at_epochs": numbers,
                            "at_seconds": 10.0 * numbers, "failed": False, "crash": None, "strategy_seconds": 0.01,
                            "unit": task, "split": "development", "is_default": numbers == 1, "commit": "abc",
                            "repeats": np.nan,
                            "retrained": np.where((numbers == 1) | (numbers == n_trials), loss, np.nan),
                            "returned": np.nan,
                        }
                    )
                )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    table = runs()
    index = pd.MultiIndex.from_product([["s"], TASKS], names=["suite", "task"])
    constants = pd.DataFrame({"best": 0.0, "reference": 1.0, "seconds": 10.0}, index=index)
    costs = pd.DataFrame({"strategy": "good", "n_dimensions": 8, "n_trials": [10, 50], "seconds": [0.01, 0.02]})
    made = {
        "versions": [f"commit abc; python {EVIL}"],
        "crashes": [["s", EVIL, "good", 0, f"ValueError: {EVIL}{'x' * 300}"]],
        "runs": [("s", 1, EVIL, 12, 3, 20, 36, 0)],
        "reliability": reliability(table),
        "failed": [(f"s/{EVIL}", 20, f"ValueError: {EVIL}")],
        "beaten": [(f"s/{EVIL}", "-0.010", EVIL)],
        "mixed": [(EVIL, "abc (s); def (s)")],
    }
    file = tmp_path_factory.mktemp("page") / "leaderboard.html"
    file.write_text(render(sections(table, constants), costs, made), encoding="utf-8")
    file.with_name(PLOTLY).write_text(plotly_source(), encoding="utf-8")
    return file


def browse(page: Path, scratch: Path, *arguments: str, script: str = "") -> str:
    """The output of headless Chromium for a page, after running ``script`` in it."""
    assert CHROMIUM is not None
    if script:
        probe = f"<script>window.addEventListener('load', function () {{ {script} }});</script></body>"
        text = page.read_text(encoding="utf-8").replace("</body>", probe)
        page = page.with_name("probed.html")
        page.write_text(text, encoding="utf-8")
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = "--disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=8000"
    profile = f"--user-data-dir={scratch / 'profile'}"
    command = [CHROMIUM, *quiet.split(), *more.split(), profile, *arguments, page.resolve().as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


# Figures are drawn when they come into view, which a newly started browser may detect late.
DRAW = "window.dispatchEvent(new Event('beforeprint'));"


def answer(page: Path, scratch: Path, script: str, *arguments: str):
    """The ``answer`` set by a script that runs after all figures of the page were drawn."""
    tries = f"try {{ {script} }} catch (error) {{ answer = {{thrown: String(error.stack)}}; }}"
    keep = "document.body.dataset.answer = JSON.stringify(answer);"
    script = f"{DRAW} setTimeout(function () {{ var answer; {tries} {keep} }}, 1000);"
    dom = browse(page, scratch, "--dump-dom", *(arguments or ["--window-size=1280,12000"]), script=script)
    kept = re.search(r'data-answer="([^"]*)"', dom)
    assert kept is not None, "the page was dumped before the script had run"
    found = json.loads(html.unescape(kept.group(1)))
    assert not isinstance(found, dict) or "thrown" not in found, found["thrown"]
    return found


def test_every_plot_is_drawn_and_no_injected_script_runs(page, tmp_path):
    dom = browse(page, tmp_path, "--window-size=1280,12000", "--dump-dom", script=DRAW)
    n_places = len(re.findall(r"data-figure=", dom.partition('<script type="application/json"')[0]))
    assert n_places == 2 * 4 + 1  # the suite, the kind of space, the overhead
    assert len(re.findall(r'class="[^"]*\bsvg-container\b', dom)) == n_places
    assert "owned" not in re.search(r"<title>(.*?)</title>", dom).group(1)
    assert not re.search(r"<img[^>]+onerror", re.sub(r"<script.*?</script>", "", dom, flags=re.S))


def test_the_conclusions_come_first(page):
    text = " ".join(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8").partition("<header")[2]).split())
    conclusions = ("Which strategy to use?", "good : very likely (&gt;99%)", "Verdicts")
    details = ("How to read this", "good has the lowest expected regret")
    places = [text.index(words) for words in (*conclusions, *details)]
    assert places == sorted(places)


def test_a_click_on_a_header_sorts_the_table_and_a_second_click_reverses_it(page, tmp_path):
    script = """
        var table = document.querySelector("table.sortable"), button = table.querySelectorAll("thead button")[COLUMN];
        function name(row) { return row.cells[0].textContent; }
        function names() { return Array.from(table.tBodies[0].rows).map(name); }
        function order() { return button.parentElement.getAttribute("aria-sort"); }
        button.click(); var up = names(), first = order(); button.click();
        answer = {up: up, down: names(), first: first, second: order()};
    """
    by_regret = answer(page, tmp_path, script.replace("COLUMN", "1"))
    assert by_regret["up"][0] == "good"
    assert by_regret["up"][-1] == "grid"
    assert by_regret["down"] == by_regret["up"][::-1]
    assert (by_regret["first"], by_regret["second"]) == ("ascending", "descending")
    by_name = answer(page, tmp_path, script.replace("COLUMN", "0"))
    assert by_name["up"] == sorted(by_name["up"])
    by_rank = answer(page, tmp_path, script.replace("COLUMN", "3"))
    assert {*by_rank["up"][-2:]} == {*by_rank["down"][-2:]} == {"random x2", "default"}  # no rank: last in both orders


def test_hovering_over_a_curve_shows_its_interval(page, tmp_path):
    script = """
        var place = document.querySelector("[data-figure=curves]");
        var number = place.data.findIndex(function (trace) { return trace.name === "good" && !trace.meta.band; });
        Plotly.Fx.hover(place, [{curveNumber: number, pointNumber: 4}]);
        answer = place.querySelector(".hoverlayer").textContent;
    """
    label = answer(page, tmp_path, script)
    assert "good" in label
    assert re.search(r"these tasks: [\d.]+ to [\d.]+", label)
    assert re.search(r"tasks like these: [\d.]+ to [\d.]+", label)


def test_controls_change_what_is_drawn(page, tmp_path):
    script = """
        var section = document.querySelector("[data-section]"), place = section.querySelector("[data-figure=curves]");
        function choose(kind, value) {
            section.querySelector('[data-choose=' + kind + '] button[data-value=' + value + ']').click();
        }
        function titles() { return [place.layout.xaxis.title.text, place.layout.yaxis.title.text]; }
        function bands() { return place.data.filter(function (t) { return t.meta.band && t.visible; }).length; }
        answer = {before: titles(), bands: [bands()]};
        choose("clock", "seconds"); choose("measure", "rank");
        answer.after = titles();
        choose("bands", "all"); answer.bands.push(bands());
        choose("bands", "none"); answer.bands.push(bands());
        answer.words = Array.from(section.querySelectorAll("ul.findings")).map(function (list) { return list.hidden; });
        var chip = section.querySelector(".chips button[data-strategy=good]");
        chip.click();
        var lines = place.data.filter(function (t) { return !t.meta.band; });
        answer.hidden = lines.filter(function (t) { return !t.visible; }).map(function (t) { return t.name; });
        chip.click();
        answer.shown = place.data.every(function (t) { return t.visible || t.meta.band; });
    """
    found = answer(page, tmp_path, script)
    assert found["before"][0].startswith("budget (full trainings)")
    assert found["before"][1] == "mean regret"
    assert found["after"][0].startswith("budget (time")
    assert found["after"][1].startswith("mean rank")
    assert found["bands"] == [4, len(QUALITIES), 0]  # the best three and random search; ranks have no references
    assert found["words"] == [True, False]
    assert found["hidden"] == ["good"]
    assert found["shown"]


@pytest.mark.parametrize("width", [500, 1600])
def test_nothing_overflows_the_window(page, tmp_path, width):
    script = "var root = document.documentElement; answer = [root.scrollWidth, root.clientWidth];"
    assert answer(page, tmp_path, script, f"--window-size={width},12000") == [width, width]


@pytest.mark.parametrize(("width", "scheme"), [(500, 1), (1600, 0)])
def test_a_screenshot_of_the_page_is_not_empty(page, tmp_path, width, scheme):
    picture = tmp_path / "page.png"
    look = f"--blink-settings=preferredColorScheme={scheme}"
    browse(page, tmp_path, f"--window-size={width},1400", look, f"--screenshot={picture}")
    header = picture.read_bytes()[:24]
    assert struct.unpack(">II", header[16:24]) == (width, 1400)
    assert picture.stat().st_size > 30_000  # an empty page is a few kilobytes
