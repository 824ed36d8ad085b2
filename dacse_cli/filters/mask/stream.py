"""One recording through the mask network, piece by piece, in constant memory.

Frames go through the network in groups of `GROUP`, counted from the start of the recording, so that the
result does not depend on the sizes of the pieces that were pushed.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dacse_cli.filters.mask.analysis import Analysis, Features, Synthesis
from dacse_cli.filters.mask.apply import apply_masks
from dacse_cli.filters.mask.network import MaskNetwork, NetworkStream
from dacse_cli.interfaces import Samples

GROUP = 125
"""Frames computed at once, 2 s."""


class MaskStream:
    """A `FilterStream` over one `MaskNetwork`."""

    def __init__(self, network: MaskNetwork, channels: int, rate: int) -> None:
        config = network.config
        self._taps = config.filter_taps
        self._before, self._after = -min(config.filter_taps), max(config.filter_taps)
        self._analysis = Analysis(channels, rate)
        self._guide_analysis = Analysis(channels, rate) if config.guides else None
        self._features = Features(channels, config.guides)
        self._network = NetworkStream(network, channels)
        self._synthesis = Synthesis(channels, rate)
        self._group = GROUP * self._analysis.hop
        self._samples = torch.zeros(1 + config.guides, channels, 0)  # not yet analysed
        self._spectra = torch.zeros(channels, self._before, self._analysis.hop + 1, dtype=torch.complex64)
        self._masks: list[Tensor] = []  # of the first frames in `_spectra`
        self._left = 0  # input samples that have not been output

    @torch.inference_mode()
    def push(self, dry: Samples, guides: Samples | None = None) -> Samples:
        """Samples `[C, n]`, and a guide `[1, C, n]` or none -> samples `[C, m]` that are final now."""
        self._left += dry.shape[1]
        rows = [dry[None]]
        if self._guide_analysis is not None:
            rows.append(np.zeros_like(rows[0]) if guides is None else guides)
            self._guided = guides is not None
        pushed = torch.from_numpy(np.concatenate(rows).astype(np.float32, copy=False))
        self._samples = torch.cat([self._samples, pushed], dim=2)
        parts = [torch.zeros(dry.shape[0], 0)]
        while self._samples.shape[2] >= self._group:
            group, self._samples = self._samples[..., : self._group], self._samples[..., self._group :]
            parts.append(self._advance(group, ended=False))
        return self._give(parts)

    @torch.inference_mode()
    def finish(self) -> Samples:
        """The rest."""
        if self._left == 0:
            return np.zeros((self._samples.shape[1], 0), np.float32)
        return self._give([self._advance(self._samples, ended=True)])

    def _give(self, parts: list[Tensor]) -> Samples:
        joined = torch.cat(parts, dim=1)[:, : self._left]
        self._left -= joined.shape[1]
        return joined.numpy()

    def _advance(self, samples: Tensor, *, ended: bool) -> Tensor:
        """Samples `[1 + guides, C, n]` -> filtered samples."""
        spectra = self._analyse(self._analysis, samples[0], ended)
        guide = None
        if self._guide_analysis is not None:
            guide = self._analyse(self._guide_analysis, samples[1], ended) if self._guided else None
        features, given = self._features.push(spectra, guide)
        masks = self._network.push(features)
        if ended:
            last, late = self._features.finish()
            masks = torch.cat([masks, self._network.push(last), self._network.finish()], dim=1)
            given = torch.cat([given, late], dim=1)
        return self._synthesis.push(self._filtered(masks, given, ended))

    @staticmethod
    def _analyse(analysis: Analysis, samples: Tensor, ended: bool) -> Tensor:
        spectra = analysis.push(samples)
        return torch.cat([spectra, analysis.finish()], dim=1) if ended else spectra

    def _filtered(self, masks: Tensor, spectra: Tensor, ended: bool) -> Tensor:
        """The filtered frames whose masks and neighbouring frames are complete."""
        held = torch.cat([self._spectra, spectra], dim=1)
        if ended:
            held = F.pad(held, (0, 0, 0, self._after))
        known = torch.cat([*self._masks, masks], dim=1)
        T = max(0, min(known.shape[1], held.shape[1] - self._before - self._after))
        self._spectra, self._masks = held[:, T:], [known[:, T:]]
        if T == 0:
            return held[:, :0]
        return apply_masks(known[:, :T], held[:, : self._before + T + self._after], self._taps, self._before)
