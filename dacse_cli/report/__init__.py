"""The report of a run: one self-contained HTML page to see and hear each file before and after.

    entry      the report's data about a file and about the run
    budget     how much of each file fits into the page
    stretch    which part of a long file is shown
    spectrum   samples -> picture;  waveform, png, preview: the other things a page can hold
    packing    versions of one stretch -> pictures, previews, levels, and gains for equal loudness
    scene      one file, measured and drawn
    page       scenes -> HTML and JSON lines, with links to the recordings
    assembly   `build`: all of this in one call

Independent of models, journal and metrics: scores come from a function that is passed in.
"""

from __future__ import annotations

from dacse_cli.report.assembly import build
from dacse_cli.report.entry import Entry, RunFacts, Span

__all__ = ["Entry", "RunFacts", "Span", "build"]
