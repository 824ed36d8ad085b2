"""From one sample rate to another: exact in length, without delay, the same in one piece or in many."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from dacse_cli.audio.info import resampled_length

__all__ = ["StreamResampler", "resample", "resampled_length"]

# 20 bits, what librosa and with it the published code use: so the codec gets the samples it was trained on.
_QUALITY = "HQ"


class StreamResampler:
    """Samples `[C, n]` at `source_rate` in, samples `[C, m]` at `target_rate` out, in constant memory.

    Sample k of the output lies at time k / target_rate of the input, and n samples in are
    `resampled_length(n)` samples out once `finish` has been called. Equal rates pass through untouched.
    """

    def __init__(self, source_rate: int, target_rate: int, channels: int) -> None:
        self._rates = source_rate, target_rate
        self._channels = channels
        self._taken = self._given = 0
        self._soxr = (
            None
            if source_rate == target_rate
            else soxr.ResampleStream(source_rate, target_rate, channels, dtype="float32", quality=_QUALITY)
        )

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The output that `samples` `[C, n]` complete, `[C, m]`; m may be 0."""
        self._taken += samples.shape[1]
        return self._process(samples)

    def finish(self) -> NDArray[np.float32]:
        """The rest of the output, `[C, m]`; nothing may be pushed afterwards."""
        source_rate, target_rate = self._rates
        missing = resampled_length(self._taken, source_rate, target_rate) - self._given
        # soxr rounds the length down: silence behind the end makes it compute the last sample, too
        silence = np.zeros((self._channels, source_rate // target_rate + 1), np.float32)
        rest = self._process(silence, last=True) if self._soxr else silence
        return np.ascontiguousarray(rest[:, :missing])

    def _process(self, samples: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        if self._soxr is None:
            out = samples
        else:
            frames = np.ascontiguousarray(samples.T, dtype=np.float32)
            out = np.ascontiguousarray(self._soxr.resample_chunk(frames, last=last).T)
        self._given += out.shape[1]
        return out


def resample(samples: NDArray[np.float32], source_rate: int, target_rate: int) -> NDArray[np.float32]:
    """`samples` `[C, S]` at `target_rate`, `[C, ceil(S * target_rate / source_rate)]`, in one call."""
    stream = StreamResampler(source_rate, target_rate, samples.shape[0])
    return np.concatenate([stream.push(samples), stream.finish()], axis=1)
