"""A language model in training: its loss, validation, checkpoint, folder. The step itself is shared."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from dacse_cli.tokens.layout import TokenLayout
from dacse_cli.training.lm.batch import Batch, collate
from dacse_cli.training.lm.copy_start import started_layers
from dacse_cli.training.lm.objective import Objective, Scores
from dacse_cli.training.lm.pairs.shards import CodePair
from dacse_cli.training.lm.pairs.source import CodeBatch, Source
from dacse_cli.training.lm.pasts import ResidualTargets, answer_freely, compare, corrupt
from dacse_cli.training.lm.recipe import LmRecipe, Stage
from dacse_cli.training.runs.chance import seed_of, torch_rng
from dacse_cli.training.runs.loop import Numbers
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.optimizers import is_matrix, make_optimizers
from dacse_cli.training.steps.supervised import SupervisedStep

Write: TypeAlias = Callable[[Path, LlamaForCausalLM, Stage], None]
"""(folder, network, stage): writes the model folder."""
StageData: TypeAlias = Callable[[int, Stage], tuple[Source, Sequence[CodeBatch]]]
"""(number of the stage, stage) -> the source of its batches, and its validation batches."""


class LmTrainer:
    """A network and the data of the stage it is in."""

    columns = (
        "loss",
        "rate",
        "gradient",
        "accuracy",
        "accuracy_first",
        "tokens",
        "tokens_per_second",
        "wait",
        "valid_loss",
        "valid_accuracy",
        "valid_accuracy_first",
        "free_accuracy",
        "free_repeats",
    )

    def __init__(
        self,
        model: LlamaForCausalLM,
        layout: TokenLayout,
        recipe: LmRecipe,
        machine: Machine,
        data: StageData,
        write: Write,
        residual_targets: ResidualTargets | None = None,
    ) -> None:
        if recipe.model.checkpointing:
            checkpoint_activations(model)
        self._recipe, self._machine, self._data, self._write = recipe, machine, data, write
        self._stages, self._residual_targets = recipe.stages(), residual_targets
        self._objective = Objective(model, layout, whole_vocabulary=True).to(machine.device)
        self._source: Source | None = None

    def begin(self, stage: int, fresh: bool) -> None:
        """A new optimizer and the stage's data."""
        self._number, self._stage = stage, self._stages[stage]
        options = self._stage
        self.close()
        self._source, self._held_out = self._data(stage, options)
        self._objective.whole_vocabulary = options.loss == "vocabulary"
        self._weights = line(options.weights, self._objective.layout.n_codebooks).to(self._machine.device)
        self._moves = SupervisedStep(
            self._objective,
            self._machine,
            self._optimizers(options),
            Pace(options.rate, options.warm_up, cosine=options.floor),
            clip=options.clip,
        )
        self._mark = time.monotonic()

    def step(self, number: int, share: float) -> Numbers:
        """Backward passes over `accumulate` batches, then one update of the weights."""
        machine, options = self._machine, self._stage
        with machine.together():
            began = time.monotonic()
            parts = [self._part(number * options.accumulate + part) for part in range(options.accumulate)]
            wait = time.monotonic() - began
        counts = [(_asked(part, options), part.answers, part.tokens) for part in parts]
        asked, answers, tokens = machine.total([float(sum(column)) for column in zip(*counts, strict=True)])

        def loss(part: Batch, place: int, network: nn.Module) -> tuple[Tensor, Numbers]:
            scores = self._scores(network, part, number, place)
            # gradients, and numbers of the log, are averaged over the processes, not summed
            share_of = machine.count / asked
            found = ((scores.losses * self._weights).sum() + scores.ends) * share_of
            return found, self._accuracy("accuracy", scores.hits.float() * machine.count, answers)

        calls = [partial(loss, part, place) for place, part in enumerate(parts)]
        numbers = self._moves(number, share, calls)
        now = time.monotonic()
        numbers |= {"tokens": tokens, "tokens_per_second": tokens / (now - self._mark), "wait": wait}
        self._mark = now
        return numbers

    @torch.no_grad()
    def validate(self) -> Mapping[str, float]:
        """Teacher-forced loss and accuracy of held-out pairs; empty where none were held out."""
        self._objective.eval()
        K = self._objective.layout.n_codebooks
        summed = torch.zeros(K + 1, device=self._machine.device, dtype=torch.float32)
        asked = answers = 0.0
        for pairs in self._held_out:
            batch = collate(pairs, self._machine)
            with self._machine.autocast(self._recipe.run.bf16):
                scores: Scores = self._objective(batch, batch.clean, batch.clean)
            summed += torch.cat([(scores.losses.sum() + scores.ends)[None].float(), scores.hits.float()])
            asked, answers = asked + _asked(batch, self._stage), answers + batch.answers
        loss, *hits = self._machine.sum(summed).tolist()
        asked, answers = self._machine.total([asked, answers])
        if not asked:
            return {}
        accuracy = self._accuracy("valid_accuracy", torch.tensor(hits), answers)
        found = {name: float(value) for name, value in accuracy.items()}
        return {"valid_loss": loss / asked, **found, **self._freely()}

    def _accuracy(self, name: str, hits: Tensor, answers: float) -> dict[str, Tensor]:
        """Shares of codes that are right, of all codebooks and of the first; `hits` [K]."""
        return {name: hits.sum() / answers, f"{name}_first": hits[0] * len(hits) / answers}

    def _freely(self) -> dict[str, float]:
        """Accuracy and repetitions of the first held-out batches in free generation."""
        sums = [0.0, 0.0, 0.0]
        for pairs in self._held_out[: self._recipe.data.free_batches]:
            frames = min(pair.clean.shape[1] for pair in pairs)
            batch = collate([_first_frames(pair, frames) for pair in pairs], self._machine)
            with self._machine.autocast(self._recipe.run.bf16):
                answer = answer_freely(self._objective.model, batch.noisy, self._objective.layout)
            found = compare(answer, batch.clean, batch.frames)
            sums = [a + b for a, b in zip(sums, (found.right, found.repeated, found.codes), strict=True)]
        right, repeated, codes = self._machine.total(sums)
        return {"free_accuracy": right / codes, "free_repeats": repeated / codes} if codes else {}

    def state(self) -> dict[str, Any]:
        """Weights and optimizer; everything else follows from the recipe and the step."""
        return {"model": self._objective.model.state_dict(), "step": self._moves.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self._objective.model.load_state_dict(state["model"])
        self._moves.restore(state["step"])

    def write(self, folder: Path) -> None:
        """The network as a model folder."""
        self._write(folder, self._objective.model, self._stage)

    def close(self) -> None:
        """End threads and processes that mix in advance."""
        if self._source is not None:
            self._source.close()

    def _part(self, number: int) -> Batch:
        """This process's batch of backward pass `number` of the stage."""
        assert self._source is not None
        machine = self._machine
        return collate(self._source.batch(number * machine.count + machine.rank), machine)

    def _scores(self, network: nn.Module, part: Batch, number: int, place: int) -> Scores:
        key = (self._recipe.run.seed, self._number, number, place, self._machine.rank)
        torch.manual_seed(seed_of(*key))  # of dropout
        with self._machine.autocast(self._recipe.run.bf16):
            past = corrupt(
                part.clean,
                part.noisy,
                self._objective.layout.codebook_size,
                self._stage.past,
                torch_rng(*key, 1),
                lambda read: self._objective.likeliest(part, read),
            )
            wanted = part.clean
            if self._stage.targets == "residual" and self._residual_targets is not None:
                wanted = self._residual_targets(part.clean, past)
            scores: Scores = network(part, past, wanted)
        return scores

    def _optimizers(self, options: Stage) -> list[torch.optim.Optimizer]:
        """Optimizers; weights set by a copying start get a lower rate, because full steps would undo it."""
        model = self._objective.model
        layers = started_layers(model) if self._recipe.model.embeddings == "copy" else []
        slow = {id(model.model.embed_tokens.weight)} if options.start_rate < 1 else set()
        for layer in layers if options.start_rate < 1 else []:
            slow |= {id(layer.self_attn.q_proj.weight), id(layer.self_attn.k_proj.weight)}
        return make_optimizers(
            options.optimizer,
            model.named_parameters(),
            rate=options.rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
            decays=lambda name, weight: is_matrix(name, weight) and id(weight) not in slow,
            muon=lambda name, weight: ".layers." in name and id(weight) not in slow,
            share=lambda name, weight: options.start_rate if id(weight) in slow else 1.0,
        )


def _first_frames(pair: CodePair, frames: int) -> CodePair:
    return CodePair(pair.noisy[:, :frames], pair.clean[:, :frames])


def checkpoint_activations(model: LlamaForCausalLM) -> None:
    """Turn on activation checkpointing; older versions of transformers use another method name."""
    new = getattr(model, "activation_checkpointing_enable", None)
    (new or model.gradient_checkpointing_enable)({"use_reentrant": False})


def line(ends: Sequence[float], count: int) -> Tensor:
    """`count` weights of mean 1: those given, a linear ramp between two, or all equal for none."""
    given = torch.tensor(list(ends) or [1.0], dtype=torch.float32)
    if len(given) == count:
        weights = given
    elif len(given) == 2:
        weights = given[0] + (given[1] - given[0]) * torch.arange(count) / max(1, count - 1)
    else:
        weights = given[:1].expand(count)
    return weights / weights.mean()


def _asked(batch: Batch, stage: Stage) -> int:
    """Number of ids whose loss is summed."""
    return batch.answers + (len(batch.frames) if stage.loss == "vocabulary" else 0)
