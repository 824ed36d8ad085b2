"""Scenes -> one HTML file and one file of JSON lines. File names and messages never become markup.

The page cannot use the network: its policy allows only its own style and script, named by their hashes, and
pictures that are part of it. File names are passed as JSON and shown as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dacse_cli.report.entry import RunFacts
from dacse_cli.report.scene import Scene

FORMAT, VERSION = "dacse-report", 1
SCRIPTS = ("player.js", "dom.js", "panel.js", "page.js")
"""In order of dependency."""


def to_html(run: RunFacts, scenes: Sequence[Scene], folder: Path) -> str:
    """The page, with links relative to `folder`."""
    style, script = _asset("page.css"), _script()
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    data = {"run": run.to_json(), "files": [_row(scene, folder) for scene in scenes]}
    media = "\n".join(
        f'<script type="application/json" id="media-{index}">{_json(scene.media)}</script>'
        for index, scene in enumerate(scenes)
        if scene.media
    )
    parts = {
        "policy": policy,
        "style": style,
        "script": script,
        "data": _json(data),
        "media": media,
    }
    # in one pass, so that inserted text is not searched again
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("page.html"))


def to_jsonl(run: RunFacts, scenes: Sequence[Scene]) -> str:
    """The same in machine-readable form: a line about the run, then one per file."""
    about = {**run.to_json(), "dacse": run.version, "version": VERSION}
    lines: list[dict[str, Any]] = [{"type": "run", "format": FORMAT, **about}]
    for scene in scenes:
        lines.append({"type": "file", **scene.entry.to_json(), **scene.facts, "problem": scene.problem})
    return "".join(json.dumps(line) + "\n" for line in lines)


def _row(scene: Scene, folder: Path) -> dict[str, Any]:
    paths = (scene.entry.source, scene.entry.target)
    links = [None if "://" in path else link(Path(path), folder) for path in paths]
    return {**scene.entry.to_json(), **scene.facts, "problem": scene.problem, "links": links}


def link(target: Path, folder: Path) -> str:
    """The address of `target` for a page in `folder`; names that are not UTF-8 work, too.

    It is relative, so that target and page can be moved together.
    """
    try:
        relative = os.path.relpath(target.absolute(), folder.absolute())
    except ValueError:  # another drive
        return target.absolute().as_uri()
    address = quote(os.fsencode(relative.replace(os.sep, "/")))
    # a first part with a colon would be read as a scheme
    return address if address.startswith((".", "/")) else f"./{address}"


def _script() -> str:
    """All scripts in one private scope."""
    parts = "\n".join(_asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _asset(name: str) -> str:
    return (files("dacse_cli.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(data: object) -> str:
    """JSON that cannot close the HTML element around it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
