"""The report in a real browser: plots are drawn, strange texts do not run, nothing sticks out on a narrow screen."""

import json
import math
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from automl.api import tune
from automl.study.facts import Objective, facts_of_search
from automl.study.snapshot import read_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
SPACE = {
    "lr": {"float": [1.0e-5, 1.0], "log": True, "default": 1.0e-3},
    "layers": {"int": [1, 4], "default": 2},
    "optimizer": {"choice": ["sgd", "adamw", EVIL], "default": "adamw"},
    f"a_long_name_{'x' * 60}": {"float": [0, 1]},
}


def training(config):
    if config["layers"] == 4:
        raise RuntimeError(EVIL + "x" * 300)
    for epoch in range(4):
        yield (math.log10(config["lr"]) + 2) ** 2 / 5 + math.exp(-epoch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "run"
    result = tune(training, SPACE, strategy="tpe", n_trials=20, max_epochs=4, study=folder)
    final = {
        "metric": "loss", "split": "test", "chosen": [0.1, 0.1, 0.2], "default": [0.3, 0.2, 0.3], "kept": "chosen",
        "baseline": None, "seeds": [1, 2, 3], "any_seed": [], "errors": [], "contenders": [],
    }  # fmt: skip
    summary = facts_of_search(
        result.study, Objective(EVIL, "loss", False), strategy="tpe", seed=0, stop_reason=result.stop_reason,
        seconds=result.seconds,
    )  # fmt: skip
    summary |= {"budget_epochs": 80, "started": time.time(), "final": final, "versions": {}, "commit": None}
    (folder / "summary.json").write_text(json.dumps(summary))
    subprocess.run(
        [sys.executable, "-m", "automl", "report", str(folder)], check=True, capture_output=True, timeout=120
    )
    return folder


def browse(page: Path, scratch: Path, *arguments: str) -> str:
    """What headless Chromium prints when it has opened a page."""
    assert CHROMIUM is not None
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = "--disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=8000"
    profile = f"--user-data-dir={scratch / 'profile'}"
    command = [CHROMIUM, *quiet.split(), *more.split(), profile, *arguments, page.resolve().as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_every_plot_is_drawn_and_nothing_strange_runs(folder, tmp_path):
    dom = browse(folder / "report.html", tmp_path, "--window-size=1280,1000", "--dump-dom")
    study, _ = read_run(folder)
    n_places = len(re.findall(r"data-figure=", dom.partition("<script")[0]))
    assert n_places == 2 + len(study.space)
    assert len(re.findall(r'class="[^"]*\bsvg-container\b', dom)) == n_places
    assert len(re.findall(r'class="updatemenu-button"', dom)) == 4
    assert dom.count('class="point"') >= len(study.trials)
    assert "owned" not in re.search(r"<title>(.*?)</title>", dom).group(1).replace("title='owned'", "")
    assert not re.search(r"<img[^>]+onerror", re.sub(r"<script.*?</script>", "", dom, flags=re.S))


@pytest.mark.parametrize("width", [500, 1600])
def test_nothing_sticks_out_of_the_window(folder, tmp_path, width):
    probe = "<script>window.addEventListener('load', function () { var root = document.documentElement;"
    probe += "document.body.dataset.widths = root.scrollWidth + ' of ' + root.clientWidth; });</script></body>"
    page = tmp_path / "probed.html"
    page.write_text((folder / "report.html").read_text(encoding="utf-8").replace("</body>", probe), encoding="utf-8")
    dom = browse(page, tmp_path, f"--window-size={width},1000", "--dump-dom")
    assert f'data-widths="{width} of {width}"' in dom


def test_a_picture_of_the_page_is_not_empty(folder, tmp_path):
    picture = tmp_path / "page.png"
    browse(folder / "report.html", tmp_path, "--window-size=800,1200", f"--screenshot={picture}")
    header = picture.read_bytes()[:24]
    assert struct.unpack(">II", header[16:24]) == (800, 1200)
    assert picture.stat().st_size > 30_000  # an empty page is a few kilobytes


def test_the_search_curve_is_saved_as_a_png(folder, tmp_path):
    pytest.importorskip("kaleido")
    command = [sys.executable, "-m", "automl", "report", str(folder), "--png", str(tmp_path / "curve.png")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    picture = (tmp_path / "curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000
