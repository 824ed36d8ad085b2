"""Numbers and names as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dacse_cli.pipeline.wire.events import Progress


def files_text(count: int) -> str:
    """`1 file`, `2 files`."""
    return f"{count} file" if count == 1 else f"{count} files"


def chunks_text(counts: Mapping[str, int]) -> str:
    """`38 kept, 1 repaired, 1 passed through unenhanced`."""
    passed = counts["passed_through"]
    some = [f"{counts['repaired']} repaired"] if counts["repaired"] else []
    some += [f"{passed} passed through unenhanced"] if passed else []
    return ", ".join([f"{counts['kept']} kept", *some])


def clock(seconds: float) -> str:
    """`0:07`, `12:30`, `3:04:05`."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def measured(numbers: Mapping[str, float]) -> str:
    """`loss 3.21  gradient 0.5`, at three digits."""
    return "  ".join(f"{name.replace('_', ' ')} {number:.3g}" for name, number in numbers.items())


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def speed(event: Progress, total: float) -> str:
    """Real-time factor and, where `total` is known (above 0), time left; empty in the first second."""
    if event.elapsed < 1 or event.seconds <= 0:
        return ""
    pace = event.seconds / event.elapsed
    left = max(0.0, total - event.seconds - event.resumed) / pace
    return f"  {pace:.2f} x real time" + (f"  {clock(left)} left" if total else "")
