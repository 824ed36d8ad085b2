"""`build`: the whole package in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dacse_cli.errors import UsageError
from dacse_cli.files.atomic import write_bytes_atomically
from dacse_cli.files.problems import reason
from dacse_cli.files.regular import read_bytes
from dacse_cli.report.budget import share
from dacse_cli.report.entry import Entry, RunFacts
from dacse_cli.report.page import to_html, to_jsonl
from dacse_cli.report.scene import Score, scene

PAGE, LINES = "index.html", "report.jsonl"
_HEAD = 8192
"""Bytes of a file that identify a report."""


def refuse_foreign(folder: Path) -> None:
    """Raise `UsageError` where a report would replace a file in `folder` that is not from a report."""
    for name, mark in ((PAGE, b"<title>dacse report</title>"), (LINES, b'"format": "dacse-report"')):
        path = folder / name
        try:
            start = read_bytes(path, _HEAD)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"{path} is in the way of the report: {reason(error)}") from error
        if start and mark not in start:
            raise UsageError(
                f"{path} is not a report of dacse, and is not replaced",
                hint="Give the report another folder, or move the file away.",
            )


def build(
    entries: Sequence[Entry],
    run: RunFacts,
    folder: Path,
    *,
    score: Score | None = None,
    on_file: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `index.html` and `report.jsonl` into `folder` and return the page.

    `score` rates a mono recording, here the stretch that is shown. `on_file(done, all)` is called after every
    file. Files that can no longer be read are named in the page. Raises `OutputError`, and `UsageError` if
    a file of one of these names exists that is not from a report.
    """
    budget = share(sum(entry.playable for entry in entries))
    scenes = []
    for done, entry in enumerate(entries, 1):
        scenes.append(scene(entry, budget, score))
        if on_file is not None:
            on_file(done, len(entries))
    refuse_foreign(folder)
    write_bytes_atomically(folder / LINES, to_jsonl(run, scenes).encode())
    page = folder / PAGE
    write_bytes_atomically(page, to_html(run, scenes, folder).encode())
    return page
