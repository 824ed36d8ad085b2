"""The page: its own assets and the report's player in one document without external files."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from importlib.resources import files

PLAYER = ("player.js", "dom.js", "panel.js")
"""Scripts of the report, in order of dependency."""
NOTHING = '{"run":{},"files":[]}'
"""Passed to the report's scripts in place of the data of a report."""


def page(model: str) -> tuple[str, str]:
    """The document, and the Content-Security-Policy that allows only what it needs."""
    style = _asset("report", "page.css") + _asset("serve", "serve.css")
    scripts = [*(_asset("report", name) for name in PLAYER), _asset("serve", "serve.js")]
    script = '(() => {\n"use strict";\n' + "\n".join(scripts) + "})();\n"
    policy = (
        f"default-src 'none'; img-src data:; connect-src 'self'; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    parts = {"style": style, "script": script, "data": NOTHING, "model": html.escape(model)}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("serve", "serve.html")), policy


def _asset(room: str, name: str) -> str:
    return (files(f"dacse_cli.{room}") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
