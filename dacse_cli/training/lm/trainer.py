"""A language model in training on pairs: its loss, optimizers, and measurements of free generation."""

from __future__ import annotations

import torch
from torch import nn
from transformers import LlamaForCausalLM

from dacse_cli.tokens.layout import TokenLayout
from dacse_cli.training.lm.batch import Batch, collate
from dacse_cli.training.lm.copy_start import started_layers
from dacse_cli.training.lm.objective import Objective, Scores
from dacse_cli.training.lm.pairs.shards import CodePair
from dacse_cli.training.lm.pairs.source import CodeBatch
from dacse_cli.training.lm.pairs.trainer import (
    STEP_COLUMNS,
    VALID_COLUMNS,
    Found,
    Key,
    PairTrainer,
    StageData,
    Write,
)
from dacse_cli.training.lm.pasts import ResidualTargets, answer_freely, compare, corrupt
from dacse_cli.training.lm.recipe import LmRecipe, Stage
from dacse_cli.training.runs.chance import torch_rng
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.optimizers import is_matrix, make_optimizers


class LmTrainer(PairTrainer[LlamaForCausalLM, Stage, Batch]):
    """A network and the data of the stage it is in."""

    unit = "tokens"
    columns = (*STEP_COLUMNS, "tokens", "tokens_per_second", *VALID_COLUMNS, "free_repeats")

    def __init__(
        self,
        model: LlamaForCausalLM,
        layout: TokenLayout,
        recipe: LmRecipe,
        machine: Machine,
        data: StageData[Stage],
        write: Write[LlamaForCausalLM, Stage],
        residual_targets: ResidualTargets | None = None,
    ) -> None:
        if recipe.model.checkpointing:
            checkpoint_activations(model)
        self._copied, self._residual_targets = recipe.model.embeddings == "copy", residual_targets
        self._layout = layout
        self._objective = Objective(model, layout, whole_vocabulary=True).to(machine.device)
        super().__init__(model, self._objective, layout.n_codebooks, recipe, machine, data, write)

    def begin(self, stage: int, fresh: bool) -> None:
        """A new optimizer and the stage's data."""
        super().begin(stage, fresh)
        self._objective.whole_vocabulary = self._stage.loss == "vocabulary"

    def collated(self, pairs: CodeBatch) -> Batch:
        """`pairs` on the device."""
        return collate(pairs, self._machine)

    def counted(self, batch: Batch) -> tuple[float, float, float]:
        """Ids whose loss is summed, codes, tokens."""
        ends = len(batch.frames) if self._stage.loss == "vocabulary" else 0
        return batch.answers + ends, batch.answers, batch.tokens

    def learnt(self, objective: nn.Module, batch: Batch, key: Key) -> Found:
        """The loss after a past that may be corrupted."""
        past = corrupt(
            batch.clean,
            batch.noisy,
            self._layout.codebook_size,
            self._stage.past,
            torch_rng(*key, 1),
            lambda read: self._objective.likeliest(batch, read),
        )
        wanted = batch.clean
        if self._stage.targets == "residual" and self._residual_targets is not None:
            wanted = self._residual_targets(batch.clean, past)
        scores: Scores = objective(batch, past, wanted)
        return (scores.losses * self._weights).sum() + scores.ends, scores.hits

    def measured(self, batch: Batch) -> Found:
        """The teacher-forced loss."""
        scores: Scores = self._objective(batch, batch.clean, batch.clean)
        return scores.losses.sum() + scores.ends, scores.hits

    def freely(self) -> dict[str, float]:
        """Accuracy and repetitions of the first held-out batches in free generation."""
        sums = [0.0, 0.0, 0.0]
        for pairs in self._held_out[: self._free_batches]:
            frames = min(pair.clean.shape[1] for pair in pairs)
            batch = self.collated([_first_frames(pair, frames) for pair in pairs])
            with self._machine.autocast(self._run.bf16):
                answer = answer_freely(self.network, batch.noisy, self._layout)
            found = compare(answer, batch.clean, batch.frames)
            sums = [a + b for a, b in zip(sums, (found.right, found.repeated, found.codes), strict=True)]
        right, repeated, codes = self._machine.total(sums)
        return {"free_accuracy": right / codes, "free_repeats": repeated / codes} if codes else {}

    def moved_by(self, options: Stage) -> tuple[list[torch.optim.Optimizer], Pace]:
        """Optimizers; weights set by a copying start get a lower rate, because full steps would undo it."""
        model = self.network
        layers = started_layers(model) if self._copied else []
        slow = {id(model.model.embed_tokens.weight)} if options.start_rate < 1 else set()
        for layer in layers if options.start_rate < 1 else []:
            slow |= {id(layer.self_attn.q_proj.weight), id(layer.self_attn.k_proj.weight)}
        optimizers = make_optimizers(
            options.optimizer,
            model.named_parameters(),
            rate=options.rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
            decays=lambda name, weight: is_matrix(name, weight) and id(weight) not in slow,
            muon=lambda name, weight: ".layers." in name and id(weight) not in slow,
            share=lambda name, weight: options.start_rate if id(weight) in slow else 1.0,
        )
        return optimizers, Pace(options.rate, options.warm_up, cosine=options.floor)


def _first_frames(pair: CodePair, frames: int) -> CodePair:
    return CodePair(pair.noisy[:, :frames], pair.clean[:, :frames])


def checkpoint_activations(model: LlamaForCausalLM) -> None:
    """Turn on activation checkpointing; older versions of transformers use another method name."""
    new = getattr(model, "activation_checkpointing_enable", None)
    (new or model.gradient_checkpointing_enable)({"use_reentrant": False})
