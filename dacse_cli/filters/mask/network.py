"""Features -> masks. Independent of sample rates and of audio.

All layers but the first and the last share their weights between bands, so the network needs few examples of
a sound at each frequency. A block mixes time by a dilated depthwise convolution, channels by a gated linear
unit, and bands by a dense matrix. Convolutions over time are padded with zeros, so a stream (`NetworkStream`)
that keeps a few frames per block computes the same as one pass over the whole recording.

Internal layout: `[G, N, T, C]`, bands first, so that mixing bands is one matrix product.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dacse_cli.filters.mask.config import BINS, MaskConfig
from dacse_cli.weights.outline import drawn

GROUPS = ((0, 16, 4), (64, 8, 8), (128, 8, 16))
"""First bin, number of bands, bins per band: 125 Hz wide bands to 2 kHz, 250 Hz to 4, 500 Hz to 8."""
BANDS = sum(bands for _, bands, _ in GROUPS)


class BandLinear(nn.Module):
    """A linear layer of its own for each of `bands` bands."""

    def __init__(self, bands: int, inputs: int, outputs: int, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = drawn(bands, inputs, outputs, std=scale / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(bands, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """`[bands, M, inputs]` -> `[bands, M, outputs]`."""
        return torch.baddbmm(self.bias, x, self.weight)


class Norm(nn.Module):
    """Layer normalisation over channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, 1e-5)


class Block(nn.Module):
    """One residual block over time, channels and bands."""

    def __init__(self, config: MaskConfig, dilation: int) -> None:
        super().__init__()
        width = config.width
        self.dilation, self.taps = dilation, config.taps
        self.past, self.future = config.past_taps * dilation, config.future_taps * dilation
        self.norm = Norm(width)
        self.depth = drawn(config.taps, width, std=config.taps**-0.5)
        self.depth_bias = nn.Parameter(torch.zeros(width))
        self.wide = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(width, width)
        self.mix_norm = Norm(width)
        self.mix = drawn(BANDS, BANDS, std=BANDS**-0.5)
        self.mix_bias = nn.Parameter(torch.zeros(BANDS, 1))
        self.mix_out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`[G, N, T, C]` -> the same shape, with zeros before and after."""
        return self.combine(x, F.pad(self.norm(x), (0, 0, self.past, self.future)))

    def combine(self, x: Tensor, normed: Tensor) -> Tensor:
        """Frames x `[G, N, T, C]`, and normed `[G, N, past + T + future, C]` around them -> the output."""
        G, N, T, C = x.shape
        total: Tensor = self.depth_bias
        for tap in range(self.taps):
            start = tap * self.dilation
            total = total + normed[:, :, start : start + T] * self.depth[tap]
        value, gate = self.wide(F.silu(total)).chunk(2, -1)
        x = x + self.narrow(value * torch.sigmoid(gate))
        bands = F.silu(torch.addmm(self.mix_bias, self.mix, self.mix_norm(x).reshape(G, -1)))
        mixed: Tensor = self.mix_out(bands.view(G, N, T, C))
        return x + mixed


class MaskNetwork(nn.Module):
    """Features `[N, T, BINS, E]` -> complex filter taps `[N, T, BINS, K, 2]`."""

    def __init__(self, config: MaskConfig) -> None:
        super().__init__()
        self.config = config
        taps = len(config.filter_taps)
        self.split = nn.ModuleList(
            BandLinear(bands, bins * config.features, config.width) for _, bands, bins in GROUPS
        )
        self.place = drawn(BANDS, 1, config.width, std=0.1)
        self.blocks = nn.ModuleList(Block(config, dilation) for dilation in config.dilations)
        self.norm = Norm(config.width)
        self.head = nn.ModuleList(
            BandLinear(bands, config.width, bins * 2 * taps, scale=0.1) for _, bands, bins in GROUPS
        )
        with torch.no_grad():  # the untrained network passes most of the current frame
            for head in self.head:
                assert isinstance(head, BandLinear)
                head.bias.view(len(head.bias), -1, taps, 2)[:, :, config.filter_taps.index(0), 0] = 0.7

    def forward(self, features: Tensor) -> Tensor:
        """All frames at once."""
        x = self.embed(features)
        for block in self.blocks:
            x = block(x)
        return self.masks(x)

    def embed(self, features: Tensor) -> Tensor:
        """Features `[N, T, BINS, E]` -> `[G, N, T, C]`."""
        N, T, _, E = features.shape
        parts = []
        for (first, bands, bins), linear in zip(GROUPS, self.split, strict=True):
            part = features[:, :, first : first + bands * bins].reshape(N * T, bands, bins * E)
            parts.append(linear(part.transpose(0, 1)))
        x = torch.cat(parts)
        return (x + self.place.to(x.dtype)).view(BANDS, N, T, self.config.width)

    def masks(self, x: Tensor) -> Tensor:
        """`[G, N, T, C]` -> `[N, T, BINS, K, 2]`."""
        G, N, T, C = x.shape
        x = self.norm(x).view(G, N * T, C)
        parts, at = [], 0
        for (_, bands, bins), linear in zip(GROUPS, self.head, strict=True):
            weights = linear(x[at : at + bands]).transpose(0, 1)
            parts.append(weights.reshape(N, T, bands * bins, len(self.config.filter_taps), 2))
            at += bands
        return torch.cat(parts, dim=2)


class NetworkStream:
    """Features in, masks out, `config.future_frames` frames later; equal to one pass over everything."""

    def __init__(self, network: MaskNetwork, rows: int) -> None:
        """`rows`: recordings or channels side by side, N."""
        self._network = network
        self._blocks = [_BlockStream(block, rows) for block in network.blocks]  # type: ignore[arg-type]

    def push(self, features: Tensor) -> Tensor:
        """Features `[N, T, BINS, E]` -> masks `[N, T', BINS, K, 2]`."""
        x = self._network.embed(features)
        for block in self._blocks:
            x = block.push(x)
        return self._network.masks(x)

    def finish(self) -> Tensor:
        """The remaining masks."""
        ended: Tensor | None = None
        for block in self._blocks:
            parts = [] if ended is None else [block.push(ended)]
            ended = torch.cat([*parts, block.finish()], dim=2)
        assert ended is not None
        return self._network.masks(ended)


class _BlockStream:
    """One block of a stream, with the frames that it still needs."""

    def __init__(self, block: Block, rows: int) -> None:
        self._block = block
        width = block.depth.shape[1]
        self._normed = block.depth.new_zeros(BANDS, rows, block.past, width)
        self._x = block.depth.new_zeros(BANDS, rows, 0, width)

    def push(self, x: Tensor) -> Tensor:
        """`[G, N, T, C]` -> the frames that are final now."""
        return self._advance(x, self._block.norm(x))

    def finish(self) -> Tensor:
        """The last frames, computed with zeros in place of future frames."""
        G, N, _, C = self._x.shape
        zeros = self._x.new_zeros(G, N, self._block.future, C)
        return self._advance(zeros[:, :, :0], zeros)

    def _advance(self, x: Tensor, normed: Tensor) -> Tensor:
        held_x = torch.cat([self._x, x], dim=2)
        held = torch.cat([self._normed, normed], dim=2)
        T = max(0, held.shape[2] - self._block.past - self._block.future)
        if T == 0:
            self._x, self._normed = held_x, held
            return held_x[:, :, :0]
        window = held[:, :, : self._block.past + T + self._block.future]
        self._x, self._normed = held_x[:, :, T:], held[:, :, T:]
        return self._block.combine(held_x[:, :, :T], window)


assert sum(bands * bins for _, bands, bins in GROUPS) == BINS
