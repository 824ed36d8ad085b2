"""Log-spectral distance to the clean spectrogram, with equal weight for every frequency."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dacse_cli.evaluation.metric import (
    Clip,
    Column,
    Metric,
    Samples,
    Score,
    Scorer,
    ScoringOptions,
    UnscorableError,
)

WINDOW_SECONDS = 2048 / 44_100
FLOOR_DB = -80.0
"""Below the loudest point of the clean spectrogram; what is fainter counts as equally faint.
Without it the metric measures digital silence and the edge of a codec's band, not speech."""
FRAMES_AT_ONCE = 1024


def window_size(rate: int) -> int:
    """Samples per window: the power of two nearest to `WINDOW_SECONDS` (2048 at 44.1 and 48 kHz)."""
    return 1 << max(4, round(math.log2(WINDOW_SECONDS * rate)))


def _power(samples: Samples, size: int, start: int, stop: int) -> npt.NDArray[np.float64]:
    """Power spectra [T, F] of frames `start` to `stop`, a quarter window apart, Hann window."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 4][start:stop]
    return np.abs(np.fft.rfft(frames * np.hanning(size), axis=-1)) ** 2


def log_spectral_distance(samples: Samples, clean: Samples, rate: int) -> float:
    """Mean over frames of the root mean square over frequencies of the level difference, in dB.

    Both [S], equally long; a recording shorter than a window is padded with zeros. Raises
    `UnscorableError` where `clean` is silent.
    """
    size = window_size(rate)
    if clean.size < size:
        samples, clean = (np.pad(x, (0, size - x.size)) for x in (samples, clean))
    count = (clean.size - size) // (size // 4) + 1
    blocks = [(a, min(a + FRAMES_AT_ONCE, count)) for a in range(0, count, FRAMES_AT_ONCE)]
    loudest = max(float(_power(clean, size, a, b).max()) for a, b in blocks)
    if loudest == 0:
        raise UnscorableError("the clean recording is silent")
    floor = loudest * 10 ** (FLOOR_DB / 10)
    total = 0.0
    for a, b in blocks:
        levels = [10 * np.log10(np.maximum(_power(x, size, a, b), floor)) for x in (samples, clean)]
        total += float(np.sqrt(np.mean((levels[0] - levels[1]) ** 2, axis=-1)).sum())
    return total / count


def _load(options: ScoringOptions) -> Scorer:
    def score(clip: Clip) -> tuple[Score, ...]:
        return (Score(log_spectral_distance(clip.samples, clip.clean, clip.rate)),)

    return score


METRIC = Metric(
    name="lsd",
    columns=(Column("lsd", "dB", higher_is_better=False),),
    method="log-spectral distance at the clean recording's rate, 46 ms windows, floor 80 dB below the peak",
    load=_load,
    rate=None,
)
