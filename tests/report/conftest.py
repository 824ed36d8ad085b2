"""Recordings made for reports: pulses whose place in time can be read from the sound."""

import numpy as np
import pytest
import soundfile
from chromium import PROGRAM, Page

from dacse_cli.report import Entry, RunFacts, Span, build

RATE = 16_000
PULSES = np.cumsum(np.random.default_rng(7).uniform(0.07, 0.19, 40))
"""Seconds; no two gaps are alike, so that a place is known by its neighbours."""


def pulses(hertz, seconds=4.0, level=0.5):
    """Bursts of 12 ms at `PULSES`."""
    time = np.arange(int(seconds * RATE)) / RATE
    gate = np.zeros_like(time)
    for at in PULSES[seconds > PULSES + 0.05]:
        gate[(time >= at) & (time < at + 0.012)] = level
    return gate * np.sin(2 * np.pi * hertz * time)


def put(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return str(path)


def facts(**more):
    return RunFacts("dacse enhance in out", "0.0", "today", 4.0, 8.0, {"done": 2, "failed": 1}, more)


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
        return {name: 2.0 + float(np.abs(samples).max()) for name in SCORES}

    return build(entries, facts(model="nano"), root / "report", score=score)


SCORES = ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808")


@pytest.fixture
def tab():
    if PROGRAM is None:
        pytest.skip("needs a Chromium")
    with Page() as page:
        yield page
