"""A run as one self-contained HTML page to see and hear: before and after, side by side.

    entry      the report's data about a file and about the run
    budget     how much of each file fits into the page
    stretch    which part of a long file is shown
    spectrum   samples -> picture;  waveform, png, preview: the other things a page can hold
    packing    versions of one stretch -> pictures, previews, levels, and the gains that make them equal
    scene      one file, measured and drawn
    page       scenes -> HTML and JSON lines, with addresses of the recordings
    assembly   the way in

Independent of models, journal and metrics: scores come from a function that is passed in.
"""

from __future__ import annotations

from dacse_cli.report.assembly import build
from dacse_cli.report.entry import Entry, RunFacts, Span

__all__ = ["Entry", "RunFacts", "Span", "build"]
