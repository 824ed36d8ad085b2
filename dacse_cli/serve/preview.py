"""The first seconds of a recording in every strength, for the report's player."""

from __future__ import annotations

from typing import Any

import numpy as np

from dacse_cli.audio.recording import open_recording
from dacse_cli.config import PROFILES, SoundOptions
from dacse_cli.report.budget import share
from dacse_cli.report.packing import Side, levels, pack
from dacse_cli.serve.recordings import Recording

PREVIEW_SECONDS = 10.0
STRENGTHS = tuple(PROFILES)


def make_preview(recording: Recording) -> dict[str, Any]:
    """`names`, `file` and `media` for the player, from what has been enhanced so far. Raises `InputError`."""
    from dacse_cli.api.rendering import render

    rate, channels = recording.sample_rate, recording.channels
    wanted = round(PREVIEW_SECONDS * rate)
    enhanced = np.fromfile(recording.enhanced_path, np.float32, wanted * channels).reshape(-1, channels).T
    with open_recording(recording.source) as reader:
        original = np.nan_to_num(reader.read(enhanced.shape[1]))
    made = [render(original, enhanced, rate, SoundOptions(profile=strength)) for strength in STRENGTHS]
    sides: list[Side] = [(version.mean(axis=0, dtype=np.float32), rate) for version in (original, *made)]
    seconds = enhanced.shape[1] / rate
    stretch = {"start": 0.0, "seconds": seconds, "whole": enhanced.shape[1] >= recording.frames}
    return {
        "names": ["Before", *(strength.capitalize() for strength in STRENGTHS)],
        "file": {"preview": stretch, "spans": [], **levels(sides)},
        "media": pack(sides, share(10)),
    }
