"""The way to a codec that made `nano`: hours of two CPU cores, a heard and a meant signal, no discriminators.

Not the DAC recipe, which is `dac`: that is for days of GPUs, learns codebooks by gradient and against
discriminators. Here codebooks follow the latents by moving averages, the look-up is Euclidean (`quantizer`),
every layer has its own step size, and the schedule goes by the clock. They share `warm_start`,
`quantizer` and `losses`; a step of one has nothing else in common with a step of the other, so they are two.

The heard side may be noisy while the meant side is clean: a codec that hears through some noise hands the
language model codes that are half denoised. Quantizer dropout makes early codebooks carry what matters most.

Full-rate residual units (first encoder block, last decoder block) cost more than all others together; `thin`
takes them out for training and `export` writes them as zeros, which compute the identity.

Step sizes are a share of what a layer holds: the learning rate of a tensor is `rate / sqrt(fan in)`. Adam
moves every weight alike, and one step of 3e-4 over the 2688 inputs of the decoder's first layer changes its
output by as much as the output is: with one rate for all layers a linear warm start only got worse (held-out
STOI 0.797 to 0.75 in 250 steps at 8e-4, to 0.76 in 100 at 3e-4); so scaled it rises from the start.
Weight norm is left out, for it divides the silent residual branches of that start by their length, zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import DacConfig, DacModel

from dacse_cli.training.hearing import Hearing
from dacse_cli.training.loop import Peers, Schedule
from dacse_cli.training.losses import SpectralDistance
from dacse_cli.training.quantizer import ResidualQuantizer
from dacse_cli.training.warm_start import start_linear, whiten

Batch = Callable[[int], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""A number of rows -> (heard [B, S], meant [B, S])."""

REVIVE_EVERY = 20


@dataclass(frozen=True)
class CodecTraining:
    """How a codec is trained."""

    rows: int = 8
    """Crops a step and process."""
    rate: float = 2e-3
    """Learning rate of a layer with one input; a layer with n has this over sqrt(n)."""
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=50, floor=0.04))
    dropout: float = 0.3
    """Share of rows that use fewer codebooks."""
    dropout_from: int = 3
    """Fewest codebooks such a row uses."""
    commitment: float = 0.25
    spectrum: float = 2.0
    wave: float = 2.0
    hearing: float = 0.0
    """Weight of a recogniser's distance (`hearing`): its gradient's length over that of the other losses."""
    only_decoder: bool = False
    """Leave encoder and codebooks, and so all codes, as they are."""
    bf16: bool = True
    clip: float = 5.0


@dataclass(frozen=True)
class CodecStep:
    """One step's numbers, for logs."""

    mel: float
    spectrum: float
    wave: float
    commitment: float
    gradient: float
    revived: int


class CodecTrainer:
    """A `DacModel`'s encoder and decoder with a training-time quantizer between them."""

    def __init__(
        self,
        config: DacConfig,
        options: CodecTraining,
        peers: Peers,
        seed: int = 0,
        hearing: Hearing | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self._hearing = hearing if options.hearing else None
        self.options, self._peers, self._step = options, peers, 0
        self._random = torch.Generator().manual_seed(seed + peers.rank)
        model = DacModel(config)
        thin(model)
        start_linear(model)
        self.model, self.quantizer = model, ResidualQuantizer(config)
        self._distance = SpectralDistance(config.sampling_rate)
        model.encoder.requires_grad_(not options.only_decoder)
        self.quantizer.requires_grad_(not options.only_decoder)
        everything = [*model.encoder.parameters(), *model.decoder.parameters(), *self.quantizer.parameters()]
        self.parameters = [p for p in everything if p.requires_grad]
        groups = [{"params": [p], "share": 1.0 / math.sqrt(fan_in(p))} for p in self.parameters]
        self.optimizer = torch.optim.AdamW(groups, lr=options.rate, betas=(0.8, 0.99), weight_decay=0.0)

    @torch.no_grad()
    def start(self, wav: Tensor, rows_a_step: int) -> None:
        """Scale latents and place codebooks by `wav` [B, 1, S]; all processes get the first one's."""
        whiten(self.model, wav)
        latents = self.model.encoder(wav).transpose(1, 2).flatten(0, 1)
        self.quantizer.start(latents, rows_a_step, self._random)
        self._peers.same([*self.model.state_dict().values(), *self.quantizer.state_dict().values()])

    @torch.no_grad()
    def restart_codebooks(self, wav: Tensor, directions: int, power: float) -> None:
        """New codebooks by k-means on the latents of `wav` [B, 1, S], as many as the config now asks for.

        They code the `directions` in which what the old ones said varies most. A latent of energy e counts
        e ** -power, so quiet sounds get their share of codes. Codebooks that followed a moving encoder used
        200 to 300 of their 1024 codes on average (perplexity), restarted ones 840.
        """
        latents = self.model.encoder(wav).transpose(1, 2).flatten(0, 1)
        said = self.quantizer(latents.t()[None]).latent[0].t()
        _, axes = torch.linalg.eigh(said.t() @ said / len(said))
        kept = latents @ axes[:, -directions:] @ axes[:, -directions:].t()
        energy = kept.square().sum(1)
        weights = (energy + energy.median() / 100) ** -power
        self.quantizer = ResidualQuantizer(self.model.config)
        self.quantizer.start(kept, len(kept), self._random, weights=weights / weights.mean())
        self._peers.same([*self.quantizer.state_dict().values()])

    def reconstruct(self, heard: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`heard` [B, S] -> (its reconstruction [B, S], the commitment)."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            latent = self.model.encoder(heard[:, None])
        quantised = self.quantizer(latent.float(), keep)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            wav = self.model.decoder(quantised.latent)
        return wav[:, 0].float(), quantised.commitment

    def step(self, batch: Batch, gone: float) -> CodecStep:
        """One step on `options.rows` crops; `gone` is the share of the run that has passed."""
        options = self.options
        for group in self.optimizer.param_groups:
            group["lr"] = options.rate * options.schedule.factor(self._step, gone) * group["share"]
        heard, meant = (torch.from_numpy(side) for side in batch(options.rows))
        self.model.train()
        self.quantizer.train()
        wav, commitment = self.reconstruct(heard, self._keep(len(heard)))
        distance = self._distance(wav, meant)
        loss = distance.total(options.spectrum, options.wave)
        if self._hearing is not None:
            loss = loss + self._heard(loss, wav, meant)
        loss = loss + options.commitment * commitment
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._peers.average_gradients(self.parameters)
        gradient = nn.utils.clip_grad_norm_(self.parameters, options.clip)
        self.optimizer.step()
        revived = 0 if options.only_decoder else self._move_codebooks()
        self._step += 1
        return CodecStep(
            mel=distance.mel.item(),
            spectrum=distance.spectrum.item(),
            wave=distance.wave.item(),
            commitment=commitment.item(),
            gradient=gradient.item(),
            revived=revived,
        )

    def _heard(self, loss: Tensor, wav: Tensor, meant: Tensor) -> Tensor:
        """A term whose gradient by `wav` is the recogniser's, all rows of one length (pauses are steep)."""
        assert self._hearing is not None
        (others,) = torch.autograd.grad(loss, wav, retain_graph=True)
        heard = wav.detach().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            distance = self._hearing.distance(heard, meant)
        (pull,) = torch.autograd.grad(distance, heard)
        pull = pull / pull.norm(dim=1, keepdim=True).clamp(min=1e-9) / math.sqrt(len(pull))
        term: Tensor = self.options.hearing * others.norm() * (wav * pull).sum()
        return term

    def _keep(self, rows: int) -> Tensor:
        """How many codebooks each row uses [B]."""
        most = self.quantizer.stages[0].codes.new_full((rows,), len(self.quantizer.stages))
        fewer = torch.randint(
            self.options.dropout_from, len(self.quantizer.stages) + 1, (rows,), generator=self._random
        )
        return torch.where(torch.rand(rows, generator=self._random) < self.options.dropout, fewer, most)

    def _move_codebooks(self) -> int:
        stages = self.quantizer.stages
        self.quantizer.update(self._peers.sum([stage.tally for stage in stages]))
        if self._step % REVIVE_EVERY:
            return 0
        revived = self.quantizer.revive(len(stages[0].seen) * self._peers.count, self._random)
        self._peers.same([*self.quantizer.buffers()])
        return revived

    def state(self) -> dict[str, Any]:
        """Everything a later `restore` needs to go on as if nothing had happened."""
        return {
            "model": self.model.state_dict(),
            "quantizer": self.quantizer.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self._random.get_state(),
            "step": self._step,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.model.load_state_dict(state["model"])
        self.quantizer.load_state_dict(state["quantizer"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._random.set_state(state["random"])
        self._step = int(state["step"])


def thin(model: DacModel) -> None:
    """Replace the residual units at the full rate by identities."""
    for block in (model.encoder.block[0], model.decoder.block[-1]):
        block.res_unit1 = block.res_unit2 = block.res_unit3 = nn.Identity()


def fan_in(parameter: Tensor) -> int:
    """Inputs that meet in one output: of a weight its row, of a bias or an alpha 100, a compromise."""
    return parameter[0].numel() if parameter.ndim >= 2 and parameter.shape[0] > 1 else 100
