"""MkDocs hook: the command-line reference, made from the commands themselves when the site is built."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGE = "reference/command-line.md"
COMMANDS = "<!-- commands -->"  # replaced by the commands of automl,
BENCHMARKS = "<!-- benchmarks -->"  # and by those of the benchmarks


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill the two marked places of the page."""
    if page.file.src_uri != PAGE:
        return markdown
    assert COMMANDS in markdown
    assert BENCHMARKS in markdown
    commands = "\n".join(_automl())
    return markdown.replace(COMMANDS, commands).replace(BENCHMARKS, "\n".join(_benchmarks()))


def _automl() -> Iterator[str]:
    sys.path.insert(0, str(ROOT))
    for name in import_module("automl.cli").COMMANDS:
        yield from _described(typer.main.get_command(import_module(f"automl.cli.{name}").app), f"automl {name}")


def _benchmarks() -> Iterator[str]:
    files = [ROOT / "benchmarks/run.py", ROOT / "benchmarks/report.py"]
    files += sorted((ROOT / "benchmarks/experiments").glob("[a-z]*.py"))
    for file in files:
        if "\ndef main(" not in file.read_text(encoding="utf-8"):
            continue  # a part of another
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        app = typer.Typer(add_completion=False)
        app.command()(import_module(module).main)
        yield from _described(typer.main.get_command(app), f"python -m {module}")


def _described(command: Any, name: str) -> Iterator[str]:
    """A heading, what the command does, and its arguments and options; each command of a group by itself."""
    context = command.make_context(name, [], resilient_parsing=True)
    if hasattr(command, "commands"):
        for inner_name, inner in command.commands.items():
            yield from _described(inner, f"{name} {inner_name}")
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ["", f"### `{name.removeprefix('python -m ')}`", "", _text(command.help), ""]
    yield from ["```text", f"{name} {usage}", "```", ""]
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            default = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panels.setdefault(getattr(parameter, "rich_help_panel", None) or default, []).append(record)
    for panel, records in panels.items():
        yield from [f"| {panel} | |", "|---|---|"]
        yield from (f"| `{_cell(option)}` | {_text(_cell(told))} |" for option, told in records)
        yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _text(text: str | None) -> str:
    """Help as Markdown: placeholders such as <task> and marks are no HTML."""
    return re.sub(r"([\[\]*_`])", r"\\\1", (text or "").strip()).replace("<", "&lt;")
