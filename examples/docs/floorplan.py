"""Picture and table of the architecture page: the rooms on their floors, and their imports, from the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import rooms
from drawing import AFTER, BEFORE, INK, LINE, SOFT, box, svg, text
from layers import Layers, rows_of

FLOORS = {
    4: "commands",
    3: "library, server",
    2: "whole runs",
    1: "parts of runs",
    0: "kinds, weights",
    -1: "disk, protocols",
    -2: "errors, numbers",
}
"""The floors of `rooms.LEVEL` in words."""
PAGE = Path(__file__).parent / "pages" / "architecture.md"
START, END = "<!-- rooms: written by generate.py -->", "<!-- end of rooms -->"
OPENED = {"pipeline": rooms.PIPELINE, "training": None}
"""Rooms whose inside is drawn too, with their floors where they have any."""
BOX, GAP = 30, 34
"""Height of a box, free height between rows."""
MARGIN, WORDS = 20, 120
"""Free space at the edges, and width of the column of the floors' names."""


def rooms_picture() -> str:
    """All rooms, and below them the inside of two."""
    graph = rooms.direct(rooms.between_rooms())
    left, top = MARGIN + WORDS, 54
    parts, width, bottom = _plan(graph, rooms.LEVEL, "", AFTER, left, top)
    parts = [
        text(MARGIN, 28, "The rooms of dacse_cli; an arrow is an import", size=14),
        *_floors(graph, top, WORDS + width),
        *parts,
    ]
    right = left + width
    left, top = MARGIN, bottom + 44
    for own, floors in OPENED.items():
        inner = rooms.direct(rooms.inside(own))
        more, width, low = _plan(inner, floors or dict.fromkeys(inner, 0), own, BEFORE, left, top + 18)
        parts += [text(left, top, f"inside {own}", BEFORE, size=14), *more]
        right, bottom = max(right, left + width), max(bottom, low)
        left += width + 60
    notes = (
        "Left out are imports that follow from others: who imports lm also imports what lm imports.",
        "Grey: a single module. The registry loads models by name, which is no import.",
    )
    parts += [text(MARGIN, bottom + 30 + 18 * n, note, SOFT, size=12) for n, note in enumerate(notes)]
    return svg(round(right + MARGIN), round(bottom + 66), "The rooms of dacse_cli and their imports", parts)


def page() -> str:
    """The architecture page, with its table of rooms as the packages' docstrings have it now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    rows = []
    for name, level in sorted(rooms.LEVEL.items(), key=lambda item: (-item[1], item[0])):
        shown = f"{name}/" if rooms.is_package(name) else f"{name}.py"
        rows.append(f"| {FLOORS[level]} | `{shown}` | {_cell(rooms.summary(name))} |")
    table = "\n".join(["| floor | room | does |", "|---|---|---|", *rows])
    return f"{before}{START}\n\n{table}\n\n{END}{after}"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").removesuffix(".")


def _floors(graph: rooms.Graph, top: float, width: float) -> list[str]:
    """The names of the floors, with a line between two."""
    rows = rows_of(graph, rooms.LEVEL)
    parts = []
    for number, row in enumerate(rows):
        level, y = rooms.LEVEL[row[0]], top + number * (BOX + GAP)
        if number and rooms.LEVEL[rows[number - 1][0]] == level:
            continue
        if number:
            line = f"M{MARGIN} {y - GAP / 2:g}h{width:.0f}"
            parts.append(f'<path d="{line}" stroke="{LINE}" stroke-dasharray="2 4"/>')
        parts.append(text(MARGIN, y + 20, FLOORS[level], SOFT, size=12))
    return parts


def _plan(
    graph: rooms.Graph, floor: Mapping[str, int], within: str, colour: str, left: float, top: float
) -> tuple[list[str], float, float]:
    """A graph drawn at a place: its parts, its width, and where it ends below.

    Its names are those of rooms, or with `within` of what is inside one.
    """
    rows = rows_of(graph, floor)
    widths = {name: 8 * len(name) + 20 for name in graph}
    plan = Layers(rows, graph, {name: width + 16 for name, width in widths.items()})
    y = [top + number * (BOX + GAP) for number in range(len(rows))]
    parts = []
    for way in plan.ways.values():
        parts.append(_arrow([(left + plan.x[name], y[plan.row_of[name]]) for name in way], colour))
    for name in sorted(graph):
        fill = colour if rooms.is_package(f"{within}.{name}".lstrip(".")) else SOFT
        middle, above, wide = round(left + plan.x[name]), y[plan.row_of[name]], widths[name]
        parts.append(box(middle - wide / 2, above, wide, BOX, "#fbfaf8"))
        parts.append(box(middle - wide / 2, above, wide, BOX, fill, opacity=0.16))
        parts.append(text(middle, above + 20, name, INK, "middle"))
    return parts, plan.width, y[-1] + BOX


def _arrow(points: Sequence[tuple[float, float]], colour: str) -> str:
    """A curve from below the first box through the bends to the last box."""
    (x, y), *others = points
    y += BOX
    path = f"M{x:.0f} {y:.0f}"
    for number, (to_x, to_y) in enumerate(others):
        last = number == len(others) - 1
        middle, end = (y + to_y) / 2, to_y - 5 * last
        path += f"C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {end:.0f}"
        if not last:
            path += f"V{to_y + BOX:.0f}"
        x, y = to_x, to_y + BOX
    tip = f"M{x - 3.5:.1f} {to_y - 7:.0f}L{x:.0f} {to_y:.0f}L{x + 3.5:.1f} {to_y - 7:.0f}z"
    look = f'fill="none" stroke="{colour}" stroke-opacity="0.65"'
    return f'<path d="{path}" {look}/><path d="{tip}" fill="{colour}"/>'
