"""The documentation: Python blocks run, commands have the options they are given, links resolve, the site builds."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import processes
import pytest
import typer
from made_once import made_once
from sklearn.datasets import load_diabetes

from automl.cli import COMMANDS
from benchmarks.experiments import tuned

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
SPAN = re.compile(r"(?<!`)`((?:automl|python -m) [^`]+)`(?!`)")


def blocks(language):
    for page in PAGES:
        for n, (found, content) in enumerate(FENCE.findall(page.read_text())):
            if found == language:
                yield pytest.param(content, id=f"{page.relative_to(ROOT)}-{n}")


def commands():
    """Every command of ours in a shell block, or behind a dollar in terminal output."""
    for page in PAGES:
        for language, content in FENCE.findall(page.read_text()):
            for line in content.splitlines():
                typed = line if language == "sh" else line.removeprefix("$ ") if line.startswith("$ ") else ""
                yield from (part.strip() for part in typed.split("&&") if is_ours(part))


def mentions():
    """Every command of ours in the text, such as `automl serve --host`; it may lack what the command requires."""
    for page in PAGES:
        for span in SPAN.findall(FENCE.sub("", page.read_text())):
            if is_ours(span) and "COMMAND" not in span:
                yield " ".join(span.split())


def is_ours(line):
    return re.match(r"\s*(\w+=\S+ )?(automl|python -m (automl|benchmarks)\S*)\s", line + " ") is not None


def parsed(line):
    """The command that a line calls, its name, and the line's arguments."""
    words = shlex.split(line.replace("<run>", "run"), comments=True)
    while "=" in words[0]:  # a variable of the environment
        del words[0]
    name, *arguments = words[2:] if words[:2] == ["python", "-m"] else words
    if name == "automl":
        name, *arguments = arguments
        assert name in COMMANDS
    module = importlib.import_module(f"automl.cli.{name.removeprefix('automl.')}" if "benchmarks" not in name else name)
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer()
        app.command()(module.main)
    command = typer.main.get_command(app)
    if hasattr(command, "commands") and arguments:
        command, arguments = command.commands[arguments[0]], arguments[1:]
    return command, name, arguments


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with small versions of the files and runs that the pages mention: a copy, since tests write to it."""
    return made_once("docs", small_versions, tmp_path_factory)


def small_versions(folder):
    """Write the files, and run the commands."""
    frame = load_diabetes(as_frame=True).frame
    frame.to_csv(folder / "houses.csv", index=False)
    for name in ("new.csv", "new_houses.csv", "new_patients.csv"):
        frame[:3].to_csv(folder / name, index=False)
    articles = "".join(f"{'goal match' if i % 2 else 'vote law'} word{i},{'ab'[i % 2]}\n" for i in range(60))
    (folder / "articles.csv").write_text("text,group\n" + articles)
    words = [first + second for first in "bdfgklmn" for second in ("ad", "in", "ot", "up", "eg", "am")]
    (folder / "words.csv").write_text("word,phones\n" + "".join(f"{w},{' '.join(w).upper()}\n" for w in words))
    for name, data in {
        "run": ["houses.csv", "--target", "target", "--model", "linear"],
        "articles": ["articles.csv", "--text", "text", "--target", "group", "--model", "linear"],
        "words": ["words.csv", "--source", "word", "--into", "phones", "--model", "rnn"],
    }.items():
        more = [
            "--trials", 1, "--epochs", 1, "--final-seeds", 1, "--no-learn", "--prior", "none", "--workers", 1,
            "--out", f"runs/{name}",
        ]  # fmt: skip
        processes.command("run", "--data", *data, *more, cwd=folder)
    shutil.copytree(folder / "runs" / "run", folder / "runs" / "patients")


@pytest.mark.slow
@pytest.mark.parametrize("block", list(blocks("python")))
def test_python_blocks_run(block, place):
    code = re.sub(r"time_limit=\d+", "time_limit=4", block.replace("runs/<run>", "runs/run"))
    shown = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, timeout=300)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_commands_have_the_options_they_are_given(line):
    command, name, arguments = parsed(line)
    command.make_context(name, arguments)


@pytest.mark.parametrize("line", sorted({line for line in mentions() if not {"--help", "--version"} & {*line.split()}}))
def test_commands_in_the_text_exist_with_their_options(line):
    command, _, arguments = parsed(line)
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    assert {word for word in arguments if word.startswith("--")} <= known


@pytest.mark.parametrize("script", [each for each in blocks("sh") if "SBATCH" in each.values[0]])
def test_scripts_for_a_scheduler_have_no_errors_of_syntax(script):
    shown = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")


def anchors(file):
    """The anchors of a page's headings, as the repository and the site make them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", file.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    for target, _, heading in re.findall(r"\]\(([^)#]*)(#([^)]*))?\)", FENCE.sub("", page.read_text())):
        if "://" in target:
            continue
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            assert heading in anchors(file), f"{target}#{heading}"


def test_each_promise_about_security_names_tests_that_exist():
    table = (ROOT / "SECURITY.md").read_text().partition("## Promises")[2]
    promises = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(\S+)::(\w+)`", tests) for _, tests in promises]
    assert len(named) > 10
    assert all(named)
    for file, test in (pair for pairs in named for pair in pairs):
        assert f"\ndef {test}(" in (ROOT / "tests" / "test_automl" / file).read_text(), test


def test_the_tree_in_the_readme_is_the_tree_on_disk():
    [tree] = [content for _, content in FENCE.findall((ROOT / "README.md").read_text()) if "strategies/  " in content]
    named = {True: set(), False: set()}  # within automl/, or at the top
    for line in tree.splitlines():
        names = re.match(r" *((?:\S+(?: {1,2}(?=\S+\.py))?)+)", line)[1].split()
        named[line.startswith(" ")].update(names)
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    top = {f"{path.split('/')[0]}/" for path in tracked if "/" in path and not path.startswith(".")}
    inner = [path.split("/", 2) for path in tracked if path.startswith("automl/")]
    inside = {f"{parts[1]}/" if len(parts) > 2 else parts[1] for parts in inner} - {"__init__.py", "__main__.py"}
    assert (named[False], named[True]) == (top, inside)


def answers(text):
    """What to use after 20 and after 50 trainings, in the table whose first column has the kinds of spaces in bold."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| **")]
    return {row[0].partition(":")[0]: [each.removesuffix(" |") for each in row[1:3]] for row in rows}


def test_numbers_in_tables_are_those_of_the_results():
    leaderboard = (ROOT / "results" / "leaderboard.md").read_text()
    summary = (ROOT / "docs" / "benchmarks" / "results.md").read_text()
    block = summary.partition("<!-- leaderboard -->")[2].partition("<!-- /leaderboard -->")[0]
    rows = [line for line in block.splitlines() if line.startswith("| ")]
    assert rows
    assert [row for row in rows if row not in leaderboard] == []
    readme = (ROOT / "README.md").read_text().partition("<!-- advice -->")[2].partition("<!-- /advice -->")[0]
    assert len(answers(readme)) > 5
    assert answers(readme) == answers(leaderboard)
    page = (ROOT / "docs" / "benchmarks" / "built-in-tasks.md").read_text()
    assert "\n".join(tuned.grid(pd.read_csv(ROOT / "results" / "tuned.csv"))) in page


def test_the_first_page_of_the_leaderboard_is_short():
    assert (ROOT / "results" / "leaderboard.md").stat().st_size < 8_000


def test_the_other_pages_of_the_leaderboard_are_at_most_40_kb():
    sizes = {file.name: file.stat().st_size for file in (ROOT / "results").glob("leaderboard-*.md")}
    assert len(sizes) > 5
    assert {name: size for name, size in sizes.items() if size > 40_000} == {}


def test_the_readme_opens_the_door_in_few_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    reference = (site / "reference" / "command-line.html").read_text()
    assert all(f"automl {name}" in reference for name in COMMANDS)
    assert "--no-refit" in reference
    assert (site / "repository" / "results" / "tuned.csv").read_bytes() == (ROOT / "results" / "tuned.csv").read_bytes()
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', (site / "index.html").read_text())
    assert loaded == []  # everything comes from the site itself
