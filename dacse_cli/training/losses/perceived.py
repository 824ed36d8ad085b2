"""Perceived disturbance after ITU-T P.862 (PESQ), wide band, as a loss with a gradient.

The model of hearing is the recommendation's: powers in 49 Bark bands, loudness by Zwicker's law, loudness
differences (symmetric) and additive ones (asymmetric), summed over bands and time by its norms. Parts without
a gradient or without meaning here are left out: time alignment, repeated bad sections. The tables are those
of the recommendation for 16 kHz. `tests/training/test_losses.py` compares it with the package `pesq`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WINDOW = 512
# fmt: off
BINS = (
    1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 3, 4, 5, 4, 5,
    6, 6, 7, 8, 9, 9, 12, 12, 15, 16, 18, 21, 25, 20,
)
"""Frequency bins of each band, from 0 Hz."""
BARK = (
    0.157344, 0.317994, 0.322441, 0.326934, 0.331474, 0.336061, 0.340697, 0.345381, 0.350114, 0.354897,
    0.359729, 0.364611, 0.369544, 0.374529, 0.379565, 0.384653, 0.389794, 0.394989, 0.400236, 0.405538,
    0.410894, 0.416306, 0.421773, 0.427297, 0.432877, 0.438514, 0.444209, 0.449962, 0.455774, 0.461645,
    0.467577, 0.473569, 0.479621, 0.485736, 0.491912, 0.498151, 0.504454, 0.510819, 0.517250, 0.523745,
    0.530308, 0.536934, 0.543629, 0.550390, 0.557220, 0.564119, 0.571085, 0.578125, 0.585232,
)
"""Width of each band, Bark."""
THRESHOLD = (
    51286152.0, 2454709.5, 70794.59375, 4897.788574, 1174.897705, 389.045166, 104.71286, 45.70882, 17.782795,
    9.772372, 4.897789, 3.090296, 1.905461, 1.258925, 0.977237, 0.724436, 0.562341, 0.457088, 0.389045,
    0.331131, 0.295121, 0.269153, 0.25704, 0.251189, 0.251189, 0.251189, 0.251189, 0.263027, 0.288403,
    0.30903, 0.338844, 0.371535, 0.398107, 0.436516, 0.467735, 0.489779, 0.501187, 0.501187, 0.512861,
    0.524807, 0.524807, 0.524807, 0.512861, 0.47863, 0.42658, 0.371535, 0.363078, 0.416869, 0.537032,
)
"""Hearing threshold of each band, as power."""
CORRECTION = (
    100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 50.0, 100.0, 100.0, 100.0, 100.0, 100.0,
    53.047077, 110.0, 117.991989, 65.0, 68.760147, 70.0, 71.428818, 75.0, 76.843384, 80.968781, 88.646126,
    63.864388, 68.155350, 72.547775, 75.584831, 58.379192, 80.950836, 64.135651, 54.384785, 73.821884,
    64.437073, 59.176456, 65.521278, 61.399822, 58.144047, 57.004543, 64.126297, 54.311001,
    61.114979, 55.077751, 56.849335, 55.628868, 53.137054, 54.985844, 79.546974,
)
"""Factor on the power of each band."""
# fmt: on
POWER_SCALE, LOUDNESS_SCALE, ZWICKER = 6.910853e-6, 0.1866055, 0.23
RECEIVER = ((2.740826, -5.4816519, 2.740826), (1.0, -1.9444777, 0.94597794))
"""Numerator and denominator of the wide band input filter."""
LEVEL, LEVEL_BAND = 1e7, (325.0, 3250.0)
"""Speech power to which both sides are scaled, and the band in Hz in which it is measured."""
SPEECH = 1e7
"""Audible power of a frame of the target that counts as speech."""
SPAN = 20
"""Frames of the intervals over which disturbance is aggregated, half overlapping."""


class PerceivedDisturbance(nn.Module):
    """Estimate and target [B, S] at 16 kHz -> disturbance [B], about 4.5 minus PESQ's raw score."""

    def __init__(self) -> None:
        super().__init__()
        bark, threshold = torch.tensor(BARK), torch.tensor(THRESHOLD)
        bands = torch.zeros(len(BINS), WINDOW // 2)
        first = 0
        for band, bins in enumerate(BINS):
            bands[band, first : first + bins] = CORRECTION[band] * POWER_SCALE
            first += bins
        bands[:, 0] = 0.0  # a constant is inaudible
        centre = bark.cumsum(0) - bark / 2
        self.register_buffer("bands", bands)
        self.register_buffer("bark", bark)
        self.register_buffer("threshold", threshold)
        self.register_buffer("exponent", ZWICKER * (6.0 / (centre + 2.0)).clamp(1.0, 2.0) ** 0.15)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """See the class."""
        heard, wanted = self._powers(estimate), self._powers(target)
        wanted, heard = self._equalised(heard, wanted)
        ours, theirs = self._loudness(heard), self._loudness(wanted)
        difference = ours - theirs
        masked = (difference.abs() - 0.25 * torch.minimum(ours, theirs)).clamp_min(0.0)
        added = ((heard + 50.0) / (wanted + 50.0)) ** 1.2
        added = torch.where(added < 3.0, torch.zeros_like(added), added.clamp_max(12.0))
        bark = self.get_buffer("bark")[1:]
        symmetric = (((masked[..., 1:] * bark).square()).sum(2) * bark.sum() + 1e-9).sqrt()
        asymmetric = ((masked * added)[..., 1:] * bark).sum(2)
        weight = ((self._audible(wanted, 1.0) + 1e5) / 1e7) ** 0.04
        gathered = [_gathered((part / weight).clamp(1e-6, 45.0)) for part in (symmetric, asymmetric)]
        return 0.1 * gathered[0] + 0.0309 * gathered[1]

    def _powers(self, rows: Tensor) -> Tensor:
        """Powers in Bark bands [B, T, 49], at the common level."""
        size = rows.shape[1]
        spectrum = torch.fft.rfft(rows)
        frequencies = torch.fft.rfftfreq(size, 1 / 16000, device=rows.device)
        inside = (frequencies > LEVEL_BAND[0]) & (frequencies < LEVEL_BAND[1])
        power = 2.0 * (spectrum[:, inside].abs().square()).sum(1) / size**2
        turn = torch.exp(-2j * torch.pi * frequencies / 16000)
        above, below = (a + b * turn + c * turn**2 for a, b, c in RECEIVER)
        shaped = torch.fft.irfft(spectrum * (above / below), size)
        shaped = shaped * (LEVEL / (power + 1e-9)).sqrt()[:, None]
        window = torch.hann_window(WINDOW, device=rows.device)
        spectra = torch.stft(shaped, WINDOW, WINDOW // 2, window=window, center=False, return_complex=True)
        bins = spectra.real.square() + spectra.imag.square()
        powers: Tensor = bins[:, : WINDOW // 2].transpose(1, 2) @ self.get_buffer("bands").T
        return powers

    def _equalised(self, heard: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """The estimate at the short-term level of the target, which has the estimate's long-term response."""
        spoken = (self._audible(wanted, 100.0) >= SPEECH).float()[..., None]
        threshold = self.get_buffer("threshold")
        means = [(part * (part > 100.0 * threshold) * spoken).mean(1) + 1000.0 for part in (heard, wanted)]
        wanted = wanted * (means[0] / means[1]).clamp(0.01, 100.0)[:, None]
        ratio = (self._audible(wanted, 1.0) + 5e3) / (self._audible(heard, 1.0) + 5e3)
        smooth = torch.cat([ratio[:, :1], 0.8 * ratio[:, 1:] + 0.2 * ratio[:, :-1]], dim=1)
        return wanted, heard * smooth.clamp(3e-4, 5.0)[..., None]

    def _audible(self, powers: Tensor, factor: float) -> Tensor:
        """Power of all bands above `factor` times the hearing threshold, [B, T]."""
        audible: Tensor = (powers * (powers > factor * self.get_buffer("threshold"))).sum(2)
        return audible

    def _loudness(self, powers: Tensor) -> Tensor:
        """Loudness of each band, sone per Bark."""
        threshold, exponent = self.get_buffer("threshold"), self.get_buffer("exponent")
        over = (0.5 + 0.5 * powers / threshold).clamp_min(1.0) ** exponent - 1.0
        loud: Tensor = LOUDNESS_SCALE * (2.0 * threshold) ** exponent * over
        return loud


def _gathered(disturbance: Tensor) -> Tensor:
    """Frames [B, T] -> [B]: the sixth norm over intervals, the second over these."""
    intervals = disturbance.unfold(1, min(SPAN, disturbance.shape[1]), SPAN // 2)
    return (intervals**6).mean(2).pow(1 / 6).square().mean(1).sqrt()
