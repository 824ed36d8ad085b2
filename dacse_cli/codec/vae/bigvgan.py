"""BigVGAN, version 2: mel spectra -> samples. Tensors have the published names.

Lee et al. 2023 (arXiv 2206.04658), the settings of `nvidia/bigvgan_v2_22khz_80band_256x`: blocks of kind 1,
`SnakeBeta` on a logarithmic scale, no tanh and no bias at the end. Independent of windows.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from dacse_cli.codec.vae.antialias import AntialiasedSnake
from dacse_cli.codec.vae.shape import BANDS, VocoderShape


class BigVgan(nn.Module):
    """Log-mels `[B, 80, F]` -> samples `[B, F * 256]` in -1..1."""

    def __init__(self, shape: VocoderShape) -> None:
        super().__init__()
        channels = shape.channels
        self.kinds = len(shape.residual_kernels)
        self.conv_pre = nn.Conv1d(BANDS, channels, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for stride, kernel in zip(shape.strides, shape.kernels, strict=True):
            padding = (kernel - stride) // 2
            up = nn.ConvTranspose1d(channels, channels // 2, kernel, stride, padding)
            self.ups.append(nn.ModuleList([up]))
            channels //= 2
            for residual, dilations in zip(shape.residual_kernels, shape.dilations, strict=True):
                self.resblocks.append(_Block(channels, residual, dilations))
        self.activation_post = _Activation(channels)
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3, bias=False)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_pre(mel)
        for place, up in enumerate(self.ups):
            assert isinstance(up, nn.ModuleList)
            x = up[0](x)
            blocks = self.resblocks[place * self.kinds : (place + 1) * self.kinds]
            total = blocks[0](x)
            for block in blocks[1:]:
                total = total + block(x)
            x = total / self.kinds
        return self.conv_post(self.activation_post(x))[:, 0].clamp(-1.0, 1.0)  # type: ignore[no-any-return]


class _Activation(nn.Module):
    """Only to give the parameters their published names."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = AntialiasedSnake(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Pairs of a dilated and a plain convolution, each after an activation, added to their input."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Conv1d:
            return nn.Conv1d(
                channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2
            )

        self.convs1 = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(conv(1) for _ in dilations)
        self.activations = nn.ModuleList(_Activation(channels) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        before, between = self.activations[0::2], self.activations[1::2]
        for first, second, a, b in zip(self.convs1, self.convs2, before, between, strict=True):
            x = x + second(b(first(a(x))))
        return x
