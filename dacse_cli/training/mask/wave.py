"""The network from samples to samples, all frames at once, for training.

Computes the same as `filters.mask.stream`, for whole rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dacse_cli.filters.mask.analysis import Analysis, Features, Synthesis
from dacse_cli.filters.mask.apply import apply_masks
from dacse_cli.filters.mask.config import MaskConfig
from dacse_cli.filters.mask.network import MaskNetwork
from dacse_cli.training.mask.recipe import RATE
from dacse_cli.training.runs.machine import Machine


class WaveFilter(nn.Module):
    """Noisy rows [B, S] at 16 kHz -> filtered rows [B, S]."""

    def __init__(self, config: MaskConfig, machine: Machine, bf16: bool) -> None:
        super().__init__()
        self.network = MaskNetwork(config)
        self._call: Callable[[Tensor], Tensor] = self.network
        self._machine, self._bf16 = machine, bf16

    def compile(self) -> None:
        """Compile the network: 1.3 times faster on a CPU, after a minute of compiling."""
        self._call = torch.compile(self.network, dynamic=False)

    def forward(self, noisy: Tensor, guides: Mapping[int, Tensor] | None = None) -> Tensor:
        """See the class. `guides`: guide `[S]` by row. Gradients reach the weights only."""
        config, size = self.network.config, noisy.shape[1]
        with torch.no_grad():
            spectra, features = self._analysed(noisy.cpu(), guides or {})
        with self._machine.autocast(self._bf16):
            masks = self._call(features.to(noisy.device))
        before, after = -min(config.filter_taps), max(config.filter_taps)
        spectra = F.pad(spectra.to(noisy.device), (0, 0, before, after))
        filtered = apply_masks(masks.float(), spectra, config.filter_taps, before)
        return Synthesis(len(noisy), RATE, noisy.device).push(filtered)[:, :size]

    def _analysed(self, noisy: Tensor, guides: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
        """Spectra and features of whole rows."""
        spectra, parts = _spectra(noisy), []
        for row in range(len(spectra)):
            features = Features(1, self.network.config.guides)
            guide = _spectra(guides[row][None].cpu()) if row in guides else None
            first, _ = features.push(spectra[row : row + 1], guide)
            last, _ = features.finish()
            parts.append(torch.cat([first, last], dim=1))
        return spectra, torch.cat(parts)


def _spectra(rows: Tensor) -> Tensor:
    analysis = Analysis(len(rows), RATE)
    return torch.cat([analysis.push(rows), analysis.finish()], dim=1)
