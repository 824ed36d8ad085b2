"""One file, measured, drawn and packed: everything the page shows of it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.loudness import FLOOR, loudness
from dacse_cli.errors import InputError
from dacse_cli.report import png, preview, spectrum, stretch, waveform
from dacse_cli.report.budget import Budget
from dacse_cli.report.entry import Entry
from dacse_cli.report.gains import matching_gains
from dacse_cli.report.stretch import Survey

Samples = NDArray[np.float32]
Score = Callable[[Samples, int], dict[str, float]]
"""Scores of one mono recording [S] at a rate, by name; empty where it has none."""


@dataclass(frozen=True)
class Scene:
    """What the page holds of one file: `facts` for its row and for machines, `media` to see and hear."""

    entry: Entry
    facts: dict[str, Any] = field(default_factory=dict)
    media: dict[str, Any] | None = None
    problem: str = ""
    """Why there is nothing to see or hear."""


def scene(entry: Entry, budget: Budget, score: Score | None) -> Scene:
    """Draw one file. A file that can no longer be read gets a row without a player, never an error."""
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
    levels = [_level(samples, rate) for samples, rate in sides]
    peaks = [float(np.abs(samples).max(initial=0.0)) for samples, _ in sides]
    facts: dict[str, Any] = {
        "seconds": round(whole, 3),
        "preview": {"start": round(start, 3), "seconds": round(seconds, 3), "whole": seconds >= whole},
        "loudness": [None if level is None else round(level, 2) for level in levels],
        "gains": [round(g, 2) for g in matching_gains((levels[0], levels[1]), (peaks[0], peaks[1]))],
        "rates": [rate for _, rate in sides],
    }
    if score is not None and all(scores := [_scores(score, *side) for side in sides]):
        facts["scores"] = scores
    return Scene(entry, facts, _media(sides, surveys, budget))


def _level(samples: Samples, rate: int) -> float | None:
    """LUFS; None for what is too quiet to have one."""
    level = loudness(samples, rate)
    return None if level <= FLOOR else level


def _scores(score: Score, samples: Samples, rate: int) -> dict[str, float]:
    return {name: round(value, 3) for name, value in score(samples, rate).items()}


def _media(sides: list[tuple[Samples, int]], surveys: list[Survey], budget: Budget) -> dict[str, Any]:
    top = min(24_000.0, max(rate for _, rate in sides) / 2)
    levels = [spectrum.power(samples, rate, budget.columns, budget.rows, top) for samples, rate in sides]
    loudest = max(float(np.quantile(level, 0.999)) for level in levels)
    packed = []
    for (samples, rate), level, found in zip(sides, levels, surveys, strict=True):
        picture = png.encode(spectrum.shades(level, loudest), spectrum.LEVELS)
        packed.append(
            {
                "audio": _base64(preview.encode(samples, rate)),
                "picture": _base64(picture),
                "wave": waveform.outline(samples, budget.columns),
                "overview": waveform.envelope(found.low, found.high, 400),
            }
        )
    return {"sides": packed, "ticks": spectrum.ticks(top)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
