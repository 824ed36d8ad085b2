"""A run as one page to see and hear: before and after, side by side, in a file that needs nothing else.

    entry      what the report is told of a file and of the run
    budget     how much of each file fits into the page
    stretch    which part of a long file is shown
    gains      what makes both sides equally loud
    spectrum   samples -> picture;  waveform, png, preview: the other things a page can hold
    packing    versions of one stretch -> pictures, previews, levels
    scene      one file, measured and drawn
    page       scenes -> HTML and JSON lines;  links: addresses of the recordings
    assembly   the way in

Knows files and numbers; knows no model, no journal and no metric: scores come from a function it is given.
"""

from __future__ import annotations

from dacse_cli.report.assembly import build
from dacse_cli.report.entry import Entry, RunFacts, Span

__all__ = ["Entry", "RunFacts", "Span", "build"]
