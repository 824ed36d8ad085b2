"""Training a `LlamaForCausalLM` to write clean codes after noisy ones.

Pairs are mixed anew every step and encoded by the frozen codec (5 % of a step's time). A chunk is cut out
of a longer crop, so its codes have the context they have in a whole recording. Most chunks have one length,
since a fixed distance between a noisy code and its clean one is learnt first; the others have any length,
because the last chunk of a recording has. Until the model has found the noisy prompt (200 to 300 steps of
8 chunks) it learns little else.

Matrices are trained with Muon, whose steps are orthogonal, embeddings and gains with AdamW.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import DacModel, LlamaConfig, LlamaForCausalLM

from dacse_cli.tokens.layout import BOS, EOS, PAD, TokenLayout
from dacse_cli.training.embeddings import start_embeddings
from dacse_cli.training.loop import Peers, Schedule
from dacse_cli.training.sequences import blemish, code_logits

Pairs = Callable[[int, int], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""(rows, samples) -> (noisy [B, S], clean [B, S])."""


@dataclass(frozen=True)
class LmShape:
    """A LLaMA of one head size."""

    width: int = 256
    layers: int = 5
    inner: int = 1024
    head_width: int = 64
    rope_theta: float = 10000.0
    positions: int = 8192

    def config(self, layout: TokenLayout) -> LlamaConfig:
        """The `transformers` config for the vocabulary `layout`."""
        heads = self.width // self.head_width
        return LlamaConfig(
            vocab_size=layout.vocab_size,
            hidden_size=self.width,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            max_position_embeddings=self.positions,
            rope_parameters={"rope_type": "default", "rope_theta": self.rope_theta},
            tie_word_embeddings=True,
            bos_token_id=BOS,
            eos_token_id=EOS,
            pad_token_id=PAD,
        )


@dataclass(frozen=True)
class LmTraining:
    """How a language model is trained."""

    rows: int = 4
    """Chunks of `frames` frames a step and process; shorter ones come in proportion."""
    frames: int = 48
    other_lengths: float = 0.3
    """Share of steps whose chunks have another length, a quarter of `frames` to five quarters."""
    one_length: float = 0.15
    """Share of the run, from its start, in which all chunks have `frames` frames."""
    margin: int = 8
    """Frames of context on either side of a chunk that are encoded and cut off."""
    rate: float = 2e-3
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=60, floor=0.05))
    blemishes: float = 0.15
    first_weight: float = 2.0
    """Weight of the first codebook's loss; falls linearly to `last_weight`."""
    last_weight: float = 0.5
    bf16: bool = True
    clip: float = 1.0


class LmTrainer:
    """A language model, its optimizer and the frozen codec it learns to speak."""

    def __init__(
        self, shape: LmShape, codec: DacModel, options: LmTraining, peers: Peers, seed: int = 0
    ) -> None:
        torch.manual_seed(seed)
        K, self.codebook_size = codec.config.n_codebooks, codec.config.codebook_size
        self.codec, self.options, self._peers, self._step = (
            codec.eval().requires_grad_(False),
            options,
            peers,
            0,
        )
        self.model = LlamaForCausalLM(shape.config(TokenLayout(K, self.codebook_size)))
        start_embeddings(self.model, codec, torch.Generator().manual_seed(seed))
        self._random = torch.Generator().manual_seed(seed + peers.rank)
        weights = torch.linspace(options.first_weight, options.last_weight, K)
        self._weights = weights / weights.mean()
        self.parameters = list(self.model.parameters())
        matrices, others = _split(self.model)
        self.optimizers: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(
                matrices, lr=options.rate, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(others, lr=options.rate, betas=(0.9, 0.98), weight_decay=0.0),
        )

    @torch.no_grad()
    def encode(self, wav: NDArray[np.float32]) -> Tensor:
        """Crops [B, S] -> codes [B, K, T] without the margins."""
        codes: Tensor = self.codec.encode(torch.from_numpy(wav)[:, None]).audio_codes
        return codes[:, :, self.options.margin : codes.shape[2] - self.options.margin]

    def draw(self, pairs: Pairs, gone: float) -> tuple[Tensor, Tensor]:
        """Noisy and clean codes [B, K, T] of one step; T is drawn once enough of the run is `gone`."""
        options, T = self.options, self.options.frames
        if gone >= options.one_length and torch.rand((), generator=self._random) < options.other_lengths:
            T = int(torch.randint(T // 4, T * 5 // 4 + 1, (), generator=self._random))
        rows = max(1, options.rows * options.frames // T)
        noisy, clean = pairs(rows, (T + 2 * options.margin) * self.codec.config.hop_length)
        return self.encode(noisy), self.encode(clean)

    def losses(self, noisy: Tensor, clean: Tensor, read: Tensor) -> Tensor:
        """Cross-entropy a codebook [K] of `clean` after `noisy`; the model is shown `read` in its place."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            logits = code_logits(self.model, noisy, read, self.codebook_size)
        loss = nn.functional.cross_entropy(logits.flatten(0, 2), clean.flatten(), reduction="none")
        return loss.view(clean.shape).mean((0, 2))

    def step(self, noisy: Tensor, clean: Tensor, gone: float) -> Tensor:
        """One step; `gone` is the share of the run that has passed. Returns the loss a codebook [K]."""
        options = self.options
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = options.rate * options.schedule.factor(self._step, gone)
        read = blemish(clean, noisy, self.codebook_size, options.blemishes, self._random)
        losses = self.losses(noisy, clean, read)
        self.model.zero_grad(set_to_none=True)
        (losses * self._weights).mean().backward()  # type: ignore[no-untyped-call]
        self._peers.average_gradients(self.parameters)
        nn.utils.clip_grad_norm_(self.parameters, options.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self._step += 1
        return losses.detach()

    @torch.no_grad()
    def agreement(self, noisy: Tensor, clean: Tensor) -> tuple[float, Tensor]:
        """Validation loss, and how often the likeliest code is the clean one, a codebook [K]."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            logits = code_logits(self.model, noisy, clean, self.codebook_size)
        loss = nn.functional.cross_entropy(logits.flatten(0, 2), clean.flatten())
        return float(loss), (logits.argmax(-1) == clean).float().mean((0, 2))

    def state(self) -> dict[str, Any]:
        """Everything a later `restore` needs to go on as if nothing had happened."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "random": self._random.get_state(),
            "step": self._step,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.model.load_state_dict(state["model"])
        for optimizer, stored in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        self._random.set_state(state["random"])
        self._step = int(state["step"])


def _split(model: LlamaForCausalLM) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The matrices inside the layers, and everything else (embeddings, which are the head, and gains)."""
    named = list(model.named_parameters())
    inside = [p for name, p in named if p.ndim == 2 and ".layers." in name]
    return inside, [p for name, p in named if p.ndim != 2 or ".layers." not in name]
