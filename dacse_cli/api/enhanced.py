"""The result of the library: samples with their rate, to be saved or played in a notebook."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dacse_cli.api.sources import checked_rate
from dacse_cli.api.writing import whole_files
from dacse_cli.audio.info import AudioInfo
from dacse_cli.config import SoundOptions
from dacse_cli.pipeline.task.open import open_sink
from dacse_cli.pipeline.wire.guard_report import GuardReport

LONGEST_PLAYER = 600
"""Seconds; for a longer recording a notebook shows only its length, no player."""


@dataclass(frozen=True)
class Enhanced:
    """An enhanced recording, as long as its input, or a piece of one."""

    samples: NDArray[np.float32]
    """`[C, S]`, float32, full scale is 1."""
    sample_rate: int
    """Hz."""
    guard: GuardReport | None = None
    """How many chunks were kept, generated again or replaced by the input, and where; and passages in which a
    second opinion found other words. None if nothing was checked, and for all pieces but the last."""
    warnings: tuple[str, ...] = ()
    """The warnings that the command prints, one sentence each."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sample_rate", checked_rate(self.sample_rate))

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return float(self.samples.shape[1] / self.sample_rate)

    def save(self, target: str | PathLike[str]) -> Path:
        """Write a file in the format of its suffix, completely or not at all.

        Raises `InputError` for a suffix of no known format, `OutputError` if the file cannot be written.
        """
        C, S = self.samples.shape
        info = AudioInfo(S, self.sample_rate, C, "WAV", "PCM_16", 0)
        place = Path(target)
        sink = open_sink(place, info, SoundOptions())
        with whole_files(sink) as files:
            sink.write(self._at(sink.sample_rate))
            files += sink.finish(info.frames_at(sink.sample_rate))[0]
        return place

    def _at(self, rate: int) -> NDArray[np.float32]:
        """The samples at a rate that a format requires."""
        if rate == self.sample_rate:
            return self.samples
        from dacse_cli.audio.resample import resample

        return resample(self.samples, self.sample_rate, rate)

    def _repr_html_(self) -> str:
        """A player, which Jupyter shows if this is the last value of a cell."""
        C = self.samples.shape[0]
        words = f"{self.seconds:.1f} s, {C} channel{'s' * (C > 1)}, {self.sample_rate} Hz"
        if self.seconds > LONGEST_PLAYER:
            return f"<p>{words}</p>"
        import soundfile

        wav = io.BytesIO()
        soundfile.write(wav, np.clip(self.samples.T, -1, 1), self.sample_rate, "PCM_16", format="WAV")
        data = base64.b64encode(wav.getvalue()).decode()
        return f'<p>{words}</p><audio controls src="data:audio/wav;base64,{data}"></audio>'
