"""Samples -> spectra -> what the network reads, and filtered spectra -> samples, at any sample rate.

Independent of the network. A frame covers 32 ms under a square-root Hann window, every 16 ms
(rounded to a length whose transform is fast), so that bins lie about 31.25 Hz apart at every rate and the
network sees 0 to 8 kHz of any recording. Everything is a stream; what is computed does not depend on how the
recording was divided into pieces.

The network does not see levels: spectra are divided by the recording's own level, an average over the past
(8 s) and the next 0.5 s, so that a recording at -50 dB is treated like one at -20 dB.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import lfilter
from torch import Tensor

from dacse_cli.filters.mask.config import BINS, HOP_SECONDS

LEVEL_SECONDS = 8.0
"""Time constant, in seconds, of the average that gives the level."""
LEVEL_FUTURE = 30
"""Frames after the current one that are included in its level."""
SILENCE = 1e-4
"""Lowest level, in units of a 512-sample window's spectrum: about -100 dB of full scale."""
POWER = 0.3
"""Exponent that compresses magnitudes; closer to loudness than amplitude is."""
FLOOR_PAST, FLOOR_FUTURE, FLOOR_MEAN = 94, 30, 2
"""Frames before and after over which the noise floor is the lowest magnitude, and frames to each side over
which magnitudes are averaged first."""


def hop_length(rate: int) -> int:
    """Samples between frames: the number nearest to 16 ms without prime factors above 11."""
    target = rate * HOP_SECONDS
    near = range(max(2, int(target * 0.95)), int(target * 1.05) + 3)
    return min((n for n in near if _is_smooth(n)), key=lambda n: abs(n - target))


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5, 7, 11):
        while number % prime == 0:
            number //= prime
    return number == 1


class Analysis:
    """Samples `[N, n]` -> spectra complex64 `[N, T, hop + 1]`; S samples make ceil(S / hop) + 1 frames."""

    def __init__(self, rows: int, rate: int) -> None:
        self.hop = hop_length(rate)
        self._window = torch.hann_window(2 * self.hop).sqrt()
        self._held = torch.zeros(rows, self.hop)
        self._scale = 512 / (2 * self.hop)

    def push(self, samples: Tensor) -> Tensor:
        """The spectra that are complete."""
        return self._frames(torch.cat([self._held, samples], dim=1))

    def finish(self) -> Tensor:
        """The spectra of the last samples and the zeros after them."""
        missing = -(self._held.shape[1] - self.hop) % self.hop
        return self._frames(F.pad(self._held, (0, missing + self.hop)))

    def _frames(self, held: Tensor) -> Tensor:
        T = max(0, held.shape[1] // self.hop - 1)
        self._held = held[:, T * self.hop :]
        if T == 0:
            return torch.zeros(len(held), 0, self.hop + 1, dtype=torch.complex64)
        frames = held.unfold(1, 2 * self.hop, self.hop)[:, :T] * (self._window * self._scale)
        spectra: Tensor = torch.fft.rfft(frames, dim=2)
        return spectra


class Synthesis:
    """Spectra `[N, T, hop + 1]` -> samples `[N, S]`, aligned with the input, on the same device."""

    def __init__(self, rows: int, rate: int, device: torch.device | str = "cpu") -> None:
        self._hop = hop_length(rate)
        self._window = torch.hann_window(2 * self._hop, device=device).sqrt()
        self._scale = 2 * self._hop / 512
        self._tail: Tensor | None = None

    def push(self, spectra: Tensor) -> Tensor:
        """The samples `[N, m]` that are final."""
        N, T, _ = spectra.shape
        if T == 0:
            return torch.zeros(N, 0, device=spectra.device)
        frames = torch.fft.irfft(spectra, 2 * self._hop, dim=2) * (self._window * self._scale)
        first, second = frames[..., : self._hop], frames[..., self._hop :]
        if self._tail is None:
            joined = first[:, 1:] + second[:, :-1]
        else:
            joined = first + torch.cat([self._tail[:, None], second[:, :-1]], dim=1)
        self._tail = second[:, -1]
        return torch.as_tensor(joined).reshape(N, -1)


class Features:
    """Spectra -> the network's input `[N, T, BINS, E]`, and the spectra of the same frames.

    Per bin: real and imaginary part with compressed magnitude, the compressed magnitude itself, and the noise
    floor: its lowest value over the last 1.5 s and the next 0.5 s. With a guide two more: the guide's
    compressed magnitude, and 1 if there is a guide. The output is delayed by `future` frames.
    """

    future = LEVEL_FUTURE + FLOOR_FUTURE + FLOOR_MEAN
    past = FLOOR_PAST + FLOOR_MEAN

    def __init__(self, rows: int, guides: int = 0) -> None:
        self._guides = guides
        self._decay = float(np.exp(-HOP_SECONDS / LEVEL_SECONDS))
        self._sums = np.zeros((2, rows, 1))  # decaying sums of powers and of their weights, times the decay
        self._spectra: list[Tensor] = []
        self._levels: list[Tensor] = []
        self._guide: list[Tensor] = []
        self._next = 0  # frames of the buffers that have been output

    def push(self, spectra: Tensor, guide: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spectra `[N, t, F]` of the recording and of its guide -> features and spectra of T frames."""
        self._spectra.append(spectra)
        self._levels.append(self._level(spectra))
        if self._guides:
            self._guide.append(_guide_features(spectra, guide))
        return self._take(ended=False)

    def finish(self) -> tuple[Tensor, Tensor]:
        """Features and spectra of the last frames."""
        return self._take(ended=True)

    def _level(self, spectra: Tensor) -> Tensor:
        """Level `[N, t]`, each from all frames up to its own."""
        powers = _core(spectra).abs().square().sum(dim=2).div(BINS).double().numpy()
        weights = np.ones_like(powers)
        sums = []
        for index, values in enumerate((powers, weights)):
            summed, self._sums[index] = lfilter(
                [1.0], [1.0, -self._decay], values, axis=1, zi=self._sums[index]
            )
            sums.append(summed)
        return torch.from_numpy(np.sqrt(sums[0] / sums[1])).float() + SILENCE

    def _take(self, *, ended: bool) -> tuple[Tensor, Tensor]:
        spectra, levels = torch.cat(self._spectra, dim=1), torch.cat(self._levels, dim=1)
        frames = spectra.shape[1]
        ready = max(self._next, frames if ended else frames - self.future)
        known = frames if ended else max(0, frames - LEVEL_FUTURE)  # frames whose level is final
        later = torch.arange(known).add(LEVEL_FUTURE).clamp(max=frames - 1)
        own = _compressed(_core(spectra[:, :known]), levels[:, later])
        floor = _floor(own[..., 2])
        parts = [own, floor[..., None]]
        if self._guides:
            guide = torch.cat(self._guide, dim=1)
            scaled = guide[:, :known, :, :1] / levels[:, later, None, None]
            parts += [
                scaled.square().add(1e-8).pow(POWER / 2) * guide[:, :known, :, 1:],
                guide[:, :known, :, 1:],
            ]
        features = torch.cat(parts, dim=3)[:, self._next : ready]
        given = spectra[:, self._next : ready]
        keep = max(0, ready - self.past)
        self._spectra, self._levels = [spectra[:, keep:]], [levels[:, keep:]]
        if self._guides:
            self._guide = [guide[:, keep:]]
        self._next = ready - keep
        return features, given


def _core(spectra: Tensor) -> Tensor:
    """The bins that the network sees; zeros where the rate ends below 8 kHz."""
    core = spectra[..., :BINS]
    return F.pad(core, (0, BINS - core.shape[-1]))


def _compressed(spectra: Tensor, levels: Tensor) -> Tensor:
    """Spectra `[N, T, BINS]` over levels `[N, T]` -> real, imaginary part, magnitude `[N, T, BINS, 3]`."""
    scaled = spectra / levels[..., None]
    power = scaled.real.square() + scaled.imag.square() + 1e-8
    ratio = power.pow((POWER - 1) / 2)
    return torch.stack([scaled.real * ratio, scaled.imag * ratio, power.pow(POWER / 2)], dim=3)


def _floor(magnitudes: Tensor) -> Tensor:
    """Magnitudes `[N, T, BINS]` -> the lowest of their means around each frame, without padding."""
    if magnitudes.shape[1] == 0:
        return magnitudes
    by_bin = magnitudes.transpose(1, 2)
    means = F.avg_pool1d(by_bin, 2 * FLOOR_MEAN + 1, 1, FLOOR_MEAN, count_include_pad=False)
    padded = F.pad(-means, (FLOOR_PAST, FLOOR_FUTURE), value=-torch.inf)
    return -F.max_pool1d(padded, FLOOR_PAST + FLOOR_FUTURE + 1, 1).transpose(1, 2)


def _guide_features(spectra: Tensor, guide: Tensor | None) -> Tensor:
    """Magnitude of the guide, and whether there is one: `[N, t, BINS, 2]`."""
    core = torch.zeros_like(_core(spectra)) if guide is None else _core(guide)
    present = torch.full_like(core.real, float(guide is not None))
    return torch.stack([core.abs(), present], dim=3)
