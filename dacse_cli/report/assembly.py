"""`build`: the whole room in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dacse_cli.files.atomic import write_bytes_atomically
from dacse_cli.report.budget import share
from dacse_cli.report.entry import Entry, RunFacts
from dacse_cli.report.page import to_html, to_jsonl
from dacse_cli.report.scene import Score, scene

PAGE, LINES = "index.html", "report.jsonl"


def build(
    entries: Sequence[Entry],
    run: RunFacts,
    folder: Path,
    *,
    score: Score | None = None,
    on_file: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `index.html` and `report.jsonl` into `folder` and return the page.

    `score` rates a mono recording; the stretch that is shown is what it gets. `on_file(done, all)` is called
    after every file. Files that cannot be read any more are named in the page. Raises `OutputError`.
    """
    budget = share(sum(entry.playable for entry in entries))
    scenes = []
    for done, entry in enumerate(entries, 1):
        scenes.append(scene(entry, budget, score))
        if on_file is not None:
            on_file(done, len(entries))
    write_bytes_atomically(folder / LINES, to_jsonl(run, scenes).encode())
    page = folder / PAGE
    write_bytes_atomically(page, to_html(run, scenes, folder).encode())
    return page
