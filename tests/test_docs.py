"""What README and the pages tell to type: python blocks run, and every command has the options that it is given."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
from sklearn.datasets import load_diabetes

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language):
    for page in PAGES:
        for n, (found, content) in enumerate(re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.S | re.M)):
            if found == language:
                yield pytest.param(content, id=f"{page.name}-{n}")


def commands():
    """Each `python -m` of ours in a block of shell, or behind a dollar in what a terminal shows."""
    for page in PAGES:
        for language, content in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.S | re.M):
            for line in content.splitlines():
                told = line if language == "sh" else line.removeprefix("$ ") if line.startswith("$ ") else ""
                for part in told.split("&&"):
                    if part.strip().startswith("python -m "):
                        yield part.strip()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the files and the runs that the pages speak of, small ones."""
    folder = tmp_path_factory.mktemp("docs")
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
        command = [
            sys.executable, "-m", "automl.run", "--data", *data, "--trials", "1", "--epochs", "1", "--final-seeds", "1",
            "--no-learn", "--prior", "none", "--out", f"runs/{name}",
        ]  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    shutil.copytree(folder / "runs" / "run", folder / "runs" / "patients")
    return folder


@pytest.mark.parametrize("block", list(blocks("python")))
def test_python_blocks_run(block, place):
    code = block.replace("runs/<run>", "runs/run")
    shown = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, timeout=300)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_commands_know_the_options_that_they_are_given(line):
    _, _, module, *arguments = shlex.split(line.replace("<run>", "run"), comments=True)
    if not module.startswith(("automl", "benchmarks")):
        return  # another's
    found = importlib.import_module(module)
    if hasattr(found, "__path__"):
        found = importlib.import_module(f"{module}.__main__")
    if hasattr(found, "app"):
        command = typer.main.get_command(found.app)
    else:
        app = typer.Typer()
        app.command()(found.main)
        command = typer.main.get_command(app)
    arguments = ["NAME" if argument in ("TASK", "SUITE", "DATA") else argument for argument in arguments]
    context = command.make_context(module, arguments)
    if isinstance(command, click.Group):
        name, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert inner is not None
        inner.make_context(name, rest)


def test_links_lead_to_files_and_headings_that_are_there():
    for page in PAGES:
        for target, _, heading in re.findall(r"\]\(([^)#]*)(#([^)]*))?\)", page.read_text()):
            if "://" in target:
                continue
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name}: {target}"
            if heading:
                titles = re.findall(r"^#+ (.+)$", file.read_text(), re.M)
                anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
                assert heading in anchors, f"{page.name}: {target}#{heading}"
