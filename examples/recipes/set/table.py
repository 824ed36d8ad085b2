"""Scores of several systems as one table and one plot, with 95 % intervals.

    dacse evaluate WORK/score/clean WORK/judged/* --noisy WORK/score/noisy --json > WORK/scores.json
    python table.py --scores WORK/scores.json --tokens WORK/judged/tokens.csv --out WORK/set

Writes OUT.md and OUT.svg, of either of the two or of both. Wrong codes come from `judge.py`; their interval
is a bootstrap over clips.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from dacse_cli.evaluation.bootstrap import estimate

COLUMNS = {  # of `dacse evaluate` -> heading, decimals, factor, whether more is better
    "dnsmos_ovrl": ("DNSMOS OVRL", 2, 1.0, True),
    "dnsmos_p808": ("P.808", 2, 1.0, True),
    "stoi": ("STOI", 3, 1.0, True),
    "wer": ("word error %", 1, 100.0, False),
    "speaker_similarity": ("voice", 2, 1.0, True),
}
TOKENS = {"error": "wrong codes %", "error_first": "in the first codebook %"}
PLOTTED = ("wer", "dnsmos_ovrl", "error_first")
INK, SOFT, BAR = "#3d3b45", "#c9c5bd", "#0f8378"
Means = dict[str, dict[str, tuple[float, float | None, float | None]]]
"""System -> column -> mean and ends of its interval."""


def of_sound(path: Path) -> Means:
    """Means of `dacse evaluate --json`."""
    report = json.loads(path.read_text())
    found: Means = {}
    for system, means in report["systems"].items():
        found[system] = {}
        for name, (_, _, factor, _) in COLUMNS.items():
            if name in means:
                ends = [means[name][end] for end in ("low", "high")]
                low, high = (None if end is None else factor * end for end in ends)
                found[system][name] = (factor * means[name]["mean"], low, high)
    return found


def of_tokens(path: Path) -> Means:
    """Means over the clips of `tokens.csv`, in per cent."""
    rows: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(path.read_text().splitlines()):
        rows.setdefault(row["system"], []).append(row)
    found: Means = {}
    for system, clips in rows.items():
        frames = np.array([float(clip["frames"]) for clip in clips])
        for name in TOKENS:
            errors = np.array([float(clip[name]) for clip in clips]) * frames
            got = estimate(100.0 * errors, frames, 2000, 0)
            if got is not None:
                found.setdefault(system, {})[name] = (got.mean, got.low, got.high)
    return found


def cell(value: tuple[float, float | None, float | None] | None, decimals: int) -> str:
    """`3.12 [3.05, 3.20]`, or a dash."""
    if value is None:
        return "-"
    mean, low, high = value
    ends = "" if low is None or high is None else f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    return f"{mean:.{decimals}f}{ends}"


def markdown(means: Means, systems: list[str]) -> str:
    """One line a system."""
    columns = {name: column for name, column in COLUMNS.items() if any(name in means[s] for s in systems)}
    heads = [name for name, *_ in columns.values()] + list(TOKENS.values())
    lines = ["| | " + " | ".join(heads) + " |", "|---" + "|---" * len(heads) + "|"]
    for system in systems:
        own = means[system]
        cells = [cell(own.get(name), decimals) for name, (_, decimals, _, _) in columns.items()]
        cells += [cell(own.get(name), 1) for name in TOKENS]
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot(means: Means, systems: list[str]) -> str:
    """Bars with intervals, a panel a column."""
    heads = {name: head for name, (head, *_) in COLUMNS.items()} | TOKENS
    wide, high, left = 250, 24 * len(systems), 170
    parts = []
    plotted = PLOTTED if any("wer" in means[system] for system in systems) else tuple(TOKENS)
    for panel, name in enumerate(plotted):
        x0 = left + panel * (wide + 30)
        top = max((means[s][name][2] or means[s][name][0] for s in systems if name in means[s]), default=1.0)
        parts.append(_text(x0, 28, heads[name]))
        for place, system in enumerate(systems):
            y = 44 + 24 * place
            if panel == 0:
                parts.append(_text(left - 10, y + 13, system, "end"))
            if name not in means[system]:
                continue
            mean, low, upper = means[system][name]
            parts.append(_rect(x0, y, wide * mean / top, 16, BAR, 0.75))
            if low is not None and upper is not None:
                parts.append(_rect(x0 + wide * low / top, y + 7, wide * (upper - low) / top, 2, INK, 1.0))
    size = f"{left + len(plotted) * (wide + 30)} {high + 60}"
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" '
        f'font-family="system-ui, DejaVu Sans, sans-serif" font-size="13">\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{INK}" text-anchor="{anchor}">{escape(text)}</text>'


def _rect(x: float, y: float, w: float, h: float, colour: str, opacity: float) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:g}" width="{w:.1f}" height="{h:g}" fill="{colour}" opacity="{opacity:g}"/>'
    )


def main() -> None:
    """Read, merge, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--tokens", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    means: Means = of_sound(given.scores) if given.scores else {}
    for system, own in (of_tokens(given.tokens) if given.tokens else {}).items():
        means.setdefault(system, {}).update(own)
    systems: list[Any] = list(means)
    given.out.with_suffix(".md").write_text(markdown(means, systems))
    given.out.with_suffix(".svg").write_text(plot(means, systems))


if __name__ == "__main__":
    main()
