"""The page for browsers: what the service predicts, and how to call it. It loads nothing from elsewhere."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em }}
pre {{ background: #f4f4f4; padding: 1em; overflow: auto }}</style></head>
<body><h1>{title}</h1>
<p>Predicts <b>{target}</b>.{about} Send examples as JSON:</p>
<pre>curl -X POST {url}predict -H 'Content-Type: application/json'{token} \\
  -d '{{"examples": [...]}}'</pre>
<p>The schema of an example:</p>
<pre>{schema}</pre>
<ul><li><a href="openapi.json">openapi.json</a>: the schema of requests and answers</li>
<li><a href="health">health</a>: the model and its scores</li></ul>
</body></html>
"""


def page(title: str, target: str, url: str, schema: Mapping[str, Any], about: str, *, has_token: bool) -> str:
    """The page as HTML. ``schema``: the JSON schema of an example. ``about``: a sentence on predictions, or empty."""
    token = " -H 'Authorization: Bearer TOKEN'" if has_token else ""
    shown = json.dumps(schema, indent=2, ensure_ascii=False)
    return PAGE.format(
        title=html.escape(title), target=html.escape(target), url=html.escape(url), token=token,
        schema=html.escape(shown), about=html.escape(f" {about}".rstrip()),
    )  # fmt: skip
