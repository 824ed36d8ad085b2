"""How loud a mono stretch is (ITU-R BS.1770-4) and which gains make two sides equally loud.

The filter is applied as a weight on the spectrum of each block, so this needs numpy only; the loudness
that is written into files is measured by pyloudnorm elsewhere. The two differ by less than 0.1 LU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK_SECONDS, HOP_SECONDS = 0.4, 0.1
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0
OFFSET = -0.691
"""dB; makes a full-scale 1 kHz sine on one channel -3.01 LUFS."""
COMFORT = -20.0
"""LUFS at which previews are played where their peaks allow it."""

# BS.1770-4, tables 1 and 2, for 48 kHz: numerator and denominator of the shelf and of the high-pass
_SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))


def weights(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power gain of the K filter at `frequencies` in Hz, [F]."""
    z = np.exp(-2j * np.pi * np.minimum(frequencies, 24_000.0) / 48_000.0)
    gain = np.ones_like(frequencies)
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        response = np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z)
        gain = gain * np.abs(response) ** 2
    return gain


def integrated(samples: NDArray[np.float32], rate: int) -> float | None:
    """LUFS of `samples` [S]; None where all of it is below the absolute gate. Short ones are one block."""
    size, hop = round(BLOCK_SECONDS * rate), round(HOP_SECONDS * rate)
    if samples.size < size:
        samples = np.pad(samples, (0, size - samples.size))
    blocks = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    gain = weights(np.arange(size // 2 + 1, dtype=np.float64) * rate / size)
    # Parseval: every bin but the first (and an even block's last) stands for two
    both = np.full(gain.size, 2.0)
    both[0] = 1.0
    if size % 2 == 0:
        both[-1] = 1.0
    power = np.array([np.sum(np.abs(np.fft.rfft(block)) ** 2 * gain * both) for block in blocks]) / size**2
    return _gated(power)


def _gated(power: NDArray[np.float64]) -> float | None:
    level = OFFSET + 10 * np.log10(np.maximum(power, 1e-12))
    heard = power[level > ABSOLUTE_GATE]
    if not heard.size:
        return None
    gate = OFFSET + 10 * np.log10(heard.mean()) + RELATIVE_GATE
    kept = power[(level > ABSOLUTE_GATE) & (level > gate)]
    return float(OFFSET + 10 * np.log10(kept.mean()))


def matching_gains(loudness: tuple[float | None, float | None], peaks: tuple[float, float]) -> list[float]:
    """Gains in dB that bring both sides to one loudness, `COMFORT` or what their peaks allow.

    A side without a loudness is played as it is.
    """
    limits = [
        level - 20 * np.log10(peak)
        for level, peak in zip(loudness, peaks, strict=True)
        if level is not None and peak > 0
    ]
    goal = min([COMFORT, *limits])
    return [0.0 if level is None else float(goal - level) for level in loudness]
