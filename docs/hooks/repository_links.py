"""MkDocs hook: a link from docs/ to a file elsewhere in the repository leads to a copy of that file in the site.

So the same relative link works in the repository and in the site. Markdown and source files become pages, everything
else (tables, figures) is copied as it is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
COPIES = "repository"  # folder of the copies in the site
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=(?:#[^)\s]*)?\))")
LANGUAGES = {".py": "python", ".sh": "sh", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".cff": "yaml", "": "sh"}
UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a copy of every linked file, and of those that the copies link to."""
    waiting = [DOCS / file.src_uri for file in files.documentation_pages()]
    waiting += [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]  # in the navigation
    copied = set()
    while waiting:
        page = waiting.pop()
        if not page.is_relative_to(DOCS) and page not in copied:
            copied.add(page)
            files.append(_copy(page, config))
        if page.suffix == ".md":
            targets = (_resolved(page, target) for target in LINK.findall(page.read_text(encoding="utf-8")))
            waiting += [file for file in targets if file and not file.is_relative_to(DOCS) and file not in copied]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the page's links to the copies, and those of the copies to the pages."""
    uri = page.file.src_uri
    here = ROOT / uri.removeprefix(f"{COPIES}/") if uri.startswith(f"{COPIES}/") else DOCS / uri

    def replaced(link: re.Match[str]) -> str:
        file = _resolved(here, link[0])
        if file is None:
            return link[0]
        return Path(os.path.relpath(_uri(file), Path(uri).parent)).as_posix()

    return LINK.sub(replaced, markdown)


def _resolved(page: Path, target: str) -> Path | None:
    """The file of the repository that a link leads to, if there is one."""
    file = (page.parent / target).resolve()
    return file if file.is_relative_to(ROOT) and file.is_file() else None


def _uri(file: Path) -> str:
    """Where a file of the repository is found in the site's sources."""
    if file.is_relative_to(DOCS):
        return file.relative_to(DOCS).as_posix()
    uri = f"{COPIES}/{file.relative_to(ROOT).as_posix()}"
    return f"{uri}.md" if file.suffix in LANGUAGES else uri


def _copy(file: Path, config: MkDocsConfig) -> File:
    if file.suffix == ".md":
        text = file.read_text(encoding="utf-8")
        return File.generated(config, _uri(file), content=text if file.parent == ROOT else UNSEARCHED + text)
    if file.suffix in LANGUAGES:
        fence, language = "~" * 8, LANGUAGES[file.suffix]
        source = f"# {file.relative_to(ROOT)}\n\n{fence} {language}\n{file.read_text(encoding='utf-8')}{fence}\n"
        return File.generated(config, _uri(file), content=UNSEARCHED + source)
    return File.generated(config, _uri(file), abs_src_path=str(file))
