"""Change of the voice as a loss: cosine distance of speaker embeddings (GE2E, Wan et al. 2018).

The network of the package resemblyzer, frozen: 40 power mels every 10 ms, three LSTM layers, one embedding
for every 1.6 s. `dacse evaluate` measures speaker similarity with the same network, so its score is not
independent for models trained with this loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dacse_cli.codec.mel_filters import mel_filters
from dacse_cli.errors import UsageError

RATE, WINDOW, HOP, BINS = 16_000, 400, 160, 40
SEGMENT, STEP = 160, 80
"""Frames of one embedding, and frames between two of them."""
LEVEL = 10.0 ** (-30.0 / 20.0)
"""RMS at which the network was trained, -30 dB: rows are scaled to it, estimates by their target's gain."""
PAUSE = 0.1
"""Segments whose mean power is below this share of their row's are not counted."""


class VoiceChange(nn.Module):
    """Estimate and target [B, S] at 16 kHz -> 1 - cosine of their embeddings [B]; gradients to the estimate.

    Rows shorter than 1.6 s give 0. Raises `UsageError` where the package is missing.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from resemblyzer import VoiceEncoder
        except ImportError as error:
            raise UsageError(
                "stage.voice needs the package resemblyzer",
                hint="Install it: pip install --no-deps resemblyzer && "
                "pip install webrtcvad-wheels librosa scipy",
            ) from error
        self._encoder = VoiceEncoder("cpu", verbose=False).requires_grad_(False)
        self.register_buffer("bank", mel_filters(RATE, WINDOW, BINS).float())
        self.register_buffer("taper", torch.hann_window(WINDOW))

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """See the class."""
        gain = LEVEL / target.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)
        theirs = self._segments(target * gain)
        if theirs.shape[1] == 0:
            return estimate.new_zeros(len(estimate))
        power = theirs.sum(3).mean(2)
        counts = (power > PAUSE * power.mean(1, keepdim=True)).float()
        with torch.no_grad():
            wanted = self._embeddings(theirs)
        found = self._embeddings(self._segments(estimate * gain))
        change = 1.0 - (found * wanted).sum(2)
        return (change * counts).sum(1) / counts.sum(1).clamp_min(1.0)

    def _segments(self, rows: Tensor) -> Tensor:
        """Power mels [B, N, 160, 40] of overlapping segments."""
        taper = self.get_buffer("taper")
        spectra = torch.stft(
            rows.float(), WINDOW, HOP, window=taper, return_complex=True, pad_mode="constant"
        )
        mels = self.get_buffer("bank") @ (spectra.real.square() + spectra.imag.square())
        if mels.shape[2] < SEGMENT:
            return mels.new_zeros(len(mels), 0, SEGMENT, BINS)
        return mels.unfold(2, SEGMENT, STEP).permute(0, 2, 3, 1)

    def _embeddings(self, segments: Tensor) -> Tensor:
        """Unit vectors [B, N, 256]."""
        embeddings: Tensor = self._encoder(segments.flatten(0, 1))
        return embeddings.view(*segments.shape[:2], -1)
