"""Numbers and names as people read them."""

from __future__ import annotations

from dacse_cli.pipeline.events import Progress


def files_text(count: int) -> str:
    """`1 file`, `2 files`."""
    return f"{count} file" if count == 1 else f"{count} files"


def clock(seconds: float) -> str:
    """`0:07`, `12:30`, `3:04:05`."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def speed(event: Progress, total: float) -> str:
    """Real-time factor and time left, as soon as there is something to judge by."""
    if event.elapsed < 1 or event.seconds <= 0:
        return ""
    pace = event.seconds / event.elapsed
    left = max(0.0, total - event.seconds) / pace
    return f"  {pace:.2f} x real time  {clock(left)} left"
