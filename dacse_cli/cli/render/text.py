"""Numbers and names in a readable form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dacse_cli.files.names import shown

if TYPE_CHECKING:
    from dacse_cli.pipeline.run.forecast import Forecast
    from dacse_cli.pipeline.wire.events import Planned, Progress

SKIPPED = {
    "already-done": "already done",
    "exists": "with an output of unknown options",
    "edited": "with an output that was changed",
    "other-input": "with an output of another input",
}
"""Why files were skipped, by reason code, as the end of `3 files ...`."""


def files_text(count: int) -> str:
    """`1 file`, `2 files`."""
    return f"{count} file" if count == 1 else f"{count} files"


def planned(event: Planned) -> str:
    """`5 files, 1:40 of audio`; `continuing: 1 of 6 files is done; 5 to do, 1:40 of audio`."""
    audio = "" if event.seconds is None else f", {clock(event.seconds)} of audio"
    if event.done:
        is_done = "is done" if event.done == 1 else "are done"
        return f"continuing: {event.done} of {event.found} files {is_done}; {event.files} to do{audio}"
    if event.found > event.files:
        return f"{event.files} of {files_text(event.found)}{audio}"
    return files_text(event.files) + audio


def forecast_text(rows: Sequence[Forecast]) -> str:
    """The last line of a dry run: how much there is to do, and how long it takes."""
    todo = [row for row in rows if not row.skipped]
    if not todo:
        return f"nothing to do: {files_text(len(rows))} named, none to be made"
    seconds, chunks = sum(row.seconds for row in todo), sum(row.chunks for row in todo)
    known = [row.expected_seconds for row in todo if row.expected_seconds is not None]
    if len(known) == len(todo):
        time = clock(sum(known))
    elif not seconds:
        time = "unknown for token files"
    elif known:
        time = f"{clock(sum(known))}, and that of token files"
    else:
        time = "unknown before a first run of 5 seconds or more"
    size = sum(row.output_bytes for row in todo)
    return (
        f"{files_text(len(todo))}, {clock(seconds)} of audio, "
        + (f"{chunks} chunks, " if chunks else "")
        + f"at most {size / 1e6:.1f} MB; expected time: {time}"
    )


def skipped_text(reasons: Mapping[str, int]) -> str:
    """`6, already done`; `6: 5 already done, 1 changed since it was made`."""
    words = [(SKIPPED.get(reason, reason), count) for reason, count in reasons.items()]
    if len(words) == 1:
        return f"{words[0][1]}, {words[0][0]}"
    return f"{sum(reasons.values())}: " + ", ".join(f"{count} {word}" for word, count in words)


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


_UNITS = {"sample_rate": "Hz", "original_sample_rate": "Hz", "bytes": "bytes", "peak_dbfs": "dBFS"}


def fact_text(name: str, value: Any) -> tuple[str, str]:
    """A fact of a file as a row of a table: (`sample rate`, `48,000 Hz`), (`length`, `3:20`)."""
    if name == "seconds":
        return "length", clock(value) if value >= 60 else f"{value:.3f} s"
    if name == "format":
        return name, shown(value.removesuffix(" MPEG_LAYER_III").replace("_", " "))
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else shown(str(value))
    unit = _UNITS.get(name, "")
    label = {"peak_dbfs": "peak", "bytes": "size"}.get(name, name.replace("_", " "))
    return label, f"{text} {unit}".rstrip()


def measured(numbers: Mapping[str, float]) -> str:
    """`loss 3.21  gradient 0.5`, with three significant digits."""
    return "  ".join(f"{name.replace('_', ' ')} {number:.3g}" for name, number in numbers.items())


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def remaining(done: float, left: float, elapsed: float) -> str:
    """Time left by the pace of `done` pieces in `elapsed` seconds; empty in the first second."""
    return f"  {clock(left * elapsed / done)} left" if done > 0 and elapsed >= 1 else ""


def speed(event: Progress, total: float) -> str:
    """Real-time factor and, if `total` is known (above 0), time left; empty in the first second."""
    if event.elapsed < 1 or event.seconds <= 0:
        return ""
    pace = event.seconds / event.elapsed
    left = max(0.0, total - event.seconds - event.resumed) / pace
    return f"  {pace:.2f} x real time" + (f"  {clock(left)} left" if total else "")
