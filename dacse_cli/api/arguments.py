"""The arguments that calls of the library share."""

from __future__ import annotations

from typing import Literal, TypedDict


class SoundArguments(TypedDict, total=False):
    """What any call may say about the sound; names and meanings are those of the command line."""

    channels: Literal["keep", "mono"]
    rate: int | None
    mix: float
    guard: Literal["normal", "strict", "off"]
    profile: Literal["gentle", "normal", "strong"]
    loudness: float | Literal["match"] | None
    """LUFS, or the input's."""
    limiter: bool
    """Whether peaks are turned down so that `loudness` is reached."""
    true_peak: float
    """dBTP that `loudness` does not exceed."""
    method: Literal["auto", "generate", "filter", "mask"]
