"""The loss of a mask network: weighted sum of the distance to the clean rows and listener models' scores."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from dacse_cli.training.losses.compressed import compressed_distance
from dacse_cli.training.losses.hearing import Hearing
from dacse_cli.training.losses.intelligibility import Unintelligibility
from dacse_cli.training.losses.opinion import SAMPLES, Opinion
from dacse_cli.training.losses.perceived import PerceivedDisturbance
from dacse_cli.training.losses.speaker import VoiceChange
from dacse_cli.training.mask.recipe import MaskStage
from dacse_cli.training.runs.machine import Machine

COLUMNS = ("distance", "perceived", "unintelligible", "opinion", "hearing", "voice")
RATED_LEVEL = 0.06
"""RMS to which rated speech is scaled, -24 dB."""
SPOKEN = 3e-4
"""RMS of a clean row above which it holds speech."""
SIGNAL, BACKGROUND = 0.2, 0.3
"""Weight of SIG and BAK relative to OVRL."""


class Objective(nn.Module):
    """Estimate, clean and noisy rows [B, S] -> the loss of a stage, and its terms by name."""

    def __init__(self, stage: MaskStage, machine: Machine, bf16: bool, recogniser: str | None = None) -> None:
        """Raises `UsageError` where a network that it needs is not installed, or `CheckpointError`."""
        super().__init__()
        self._stage, self._machine, self._bf16 = stage, machine, bf16
        self._perceived = PerceivedDisturbance().to(machine.device)
        self._unintelligible = Unintelligibility().to(machine.device)
        self._opinion = Opinion().to(machine.device) if stage.opinion else None
        self._hearing = Hearing(Path(recogniser)).to(machine.device) if stage.hearing and recogniser else None
        self._voice = VoiceChange().to(machine.device) if stage.voice else None

    def forward(
        self, estimate: Tensor, clean: Tensor, noisy: Tensor, step: int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See the class."""
        stage = self._stage
        found = {"distance": compressed_distance(estimate, clean, noisy, stage.missing)}
        level = clean.square().mean(dim=1, keepdim=True).sqrt()
        spoken = (level[:, 0] > SPOKEN).float()
        gain = RATED_LEVEL / level.clamp_min(SPOKEN)
        ours, theirs = estimate * gain, clean * gain
        if stage.perceived:
            found["perceived"] = _mean(self._perceived(ours, theirs), spoken)
        if stage.intelligibility:
            found["unintelligible"] = _mean(self._unintelligible(ours, theirs), spoken)
        if self._opinion is not None and step % stage.opinion_every == 0:
            with self._machine.autocast(self._bf16):
                signal, background, overall = self._opinion(ours.reshape(1, -1)[:, :SAMPLES])[0]
            found["opinion"] = (overall + SIGNAL * signal + BACKGROUND * background) * spoken.mean()
        if self._hearing is not None:
            with self._machine.autocast(self._bf16):
                found["hearing"] = self._hearing(ours, theirs) * spoken.mean()
        if self._voice is not None:
            found["voice"] = _mean(self._voice(ours, theirs), spoken)
        weights = {
            "distance": 1.0,
            "perceived": stage.perceived,
            "unintelligible": stage.intelligibility,
            "opinion": -stage.opinion,
            "hearing": stage.hearing,
            "voice": stage.voice,
        }
        total = torch.stack([weights[name] * value for name, value in found.items()]).sum()
        return total, {name: value.detach() for name, value in found.items()}


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean over the batch [B] of the values of rows with speech; other rows count as 0."""
    return torch.where(counts > 0, values, torch.zeros_like(values)).mean()
