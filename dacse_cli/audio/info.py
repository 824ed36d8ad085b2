"""What is known of a recording, as plain facts that go through JSON.

Imports neither numpy nor soundfile: the process that plans a run has neither.
"""

from __future__ import annotations

from dataclasses import dataclass


def resampled_length(frames: int, source_rate: int, target_rate: int) -> int:
    """Samples of a recording of `frames` samples after a change of rate: ceil(frames * target / source)."""
    return -(-frames * target_rate // source_rate)


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The header of a recording."""

    frames: int
    """Samples per channel that the bytes of the file can hold."""
    sample_rate: int
    channels: int
    container: str
    """libsndfile's name: `WAV`, `FLAC`, `OGG`, ..."""
    subtype: str
    """libsndfile's name: `PCM_16`, `VORBIS`, ..."""
    size_bytes: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate

    def frames_at(self, rate: int) -> int:
        """Samples per channel after a change to `rate`."""
        return resampled_length(self.frames, self.sample_rate, rate)


@dataclass(frozen=True)
class AudioScan:
    """What decoding the whole recording has shown."""

    info: AudioInfo
    frames: int
    """Samples per channel that could be decoded."""
    peak: float
    """Largest absolute value among the finite samples."""
    bad_samples: int
    """Samples, over all channels, that are NaN, infinite or beyond float32."""
    duplicates: tuple[int, ...]
    """For each channel the first channel with identical samples, itself if there is none before it."""
    silent: tuple[bool, ...]
    """For each channel whether every sample is exactly zero."""
    warning: str | None
    """One line when the file is not whole, else None."""
