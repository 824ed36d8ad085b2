"""One file, measured, drawn and packed: everything the page shows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError
from dacse_cli.report import packing, preview, stretch, waveform
from dacse_cli.report.budget import Budget
from dacse_cli.report.entry import Entry

Samples = NDArray[np.float32]
Score = Callable[[Samples, int], dict[str, float]]
"""Scores of one mono recording [S] at a rate, by name; empty where it has none."""


@dataclass(frozen=True)
class Scene:
    """A file on the page: `facts` for its row and for report.jsonl, `media` for pictures and sound."""

    entry: Entry
    facts: dict[str, Any] = field(default_factory=dict)
    media: dict[str, Any] | None = None
    problem: str = ""
    """Why it has no player."""


def scene(entry: Entry, budget: Budget, score: Score | None) -> Scene:
    """Draw one file. A file that can no longer be read gets a row without a player; nothing is raised."""
    if not entry.playable:
        return Scene(entry)
    try:
        return _drawn(entry, budget, score)
    except InputError as error:
        return Scene(entry, problem=error.message)


def _drawn(entry: Entry, budget: Budget, score: Score | None) -> Scene:
    paths = (Path(entry.source), Path(entry.target))
    surveys = [stretch.survey(path) for path in paths]
    whole = max(survey.seconds for survey in surveys)
    limit = budget.seconds(max(preview.preview_rate(survey.rate) for survey in surveys))
    start, seconds = 0.0, whole
    if whole > limit:
        marks = tuple(span.start for span in entry.spans if span.verdict != "kept")
        start, seconds = stretch.choose_start(surveys[1].energy, limit, marks), limit
    sides = [stretch.read_mono(path, start, seconds) for path in paths]
    facts: dict[str, Any] = {
        "seconds": round(whole, 3),
        "preview": {"start": round(start, 3), "seconds": round(seconds, 3), "whole": seconds >= whole},
        **packing.levels(sides),
        "rates": [rate for _, rate in sides],
    }
    if score is not None and all(scores := [_scores(score, *side) for side in sides]):
        facts["scores"] = scores
    media = packing.pack(sides, budget)
    for side, found in zip(media["sides"], surveys, strict=True):
        side["overview"] = waveform.envelope(found.low, found.high, 400)
    return Scene(entry, facts, media)


def _scores(score: Score, samples: Samples, rate: int) -> dict[str, float]:
    return {name: round(value, 3) for name, value in score(samples, rate).items()}
