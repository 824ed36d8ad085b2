"""A report to look at."""

import numpy as np
import pytest
from chromium import PROGRAM, Page
from pulse_reports import RATE, facts, pulses, put

from dacse_cli.report import Entry, Span, build


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A page with a loud and a quiet side, a long file, guard decisions, a hostile name and a failure."""
    root = tmp_path_factory.mktemp("report")
    noise = np.random.default_rng(1).standard_normal(100 * RATE) * 0.01
    noise[70 * RATE : 80 * RATE] *= 20
    evil = root / "in" / "<img src=x onerror=alert(1)> {{data}} \u202e%23#.wav"
    spans = (Span(0, 74, "kept"), Span(74, 76, "repaired", "repeated codes"), Span(76, 100, "passed-through"))
    before, after = root / "in", root / "out"
    entries = [
        Entry(
            put(before / "pulses.wav", pulses(1000)),
            put(after / "pulses.wav", pulses(2500, level=0.05)),
            "done",
            seconds=4.0,
            elapsed=1.0,
            playable=True,
        ),
        Entry(
            put(before / "long.wav", noise),
            put(after / "long.wav", noise / 2),
            "done-warned",
            message="truncated",
            seconds=100.0,
            playable=True,
            spans=spans,
        ),
        Entry(put(evil, pulses(500)), put(after / "evil.wav", 0 * pulses(500)), "done", playable=True),
        Entry(str(before / "text.wav"), str(after / "text.wav"), "failed", "not-audio", "no audio"),
        Entry(put(before / "gone.wav", pulses(500)), str(after / "gone.wav"), "done", playable=True),
    ]

    def score(samples, rate):
        peak = float(np.abs(samples).max())
        return {name: 2.0 + peak * (2 if name == "dnsmos_sig" else 1) for name in SCORES}

    return build(entries, facts(model="nano"), root / "report", score=score)


SCORES = ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808")


@pytest.fixture
def tab():
    if PROGRAM is None:
        pytest.skip("needs a Chromium")
    with Page() as page:
        yield page
