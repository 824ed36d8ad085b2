"""A language model in training: one step over accumulated batches, validation, states, the folder written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from dacse_cli.tokens.layout import TokenLayout
from dacse_cli.training.llama.batch import Batch, collate
from dacse_cli.training.llama.copy_start import check_copy_shape
from dacse_cli.training.llama.corruption import corrupt
from dacse_cli.training.llama.free import answer_freely, compare
from dacse_cli.training.llama.objective import Objective, Scores
from dacse_cli.training.llama.recipe import LmRecipe, Stage
from dacse_cli.training.llama.residual_targets import ResidualTargets
from dacse_cli.training.llama.shards import CodePair
from dacse_cli.training.llama.source import CodeBatch, Source
from dacse_cli.training.loop import Schedule
from dacse_cli.training.runs.chance import seed_of, torch_rng
from dacse_cli.training.runs.loop import Numbers
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.optimizers import Pace, Slow, line, llama_optimizers, set_rate

Write = Callable[[Path, LlamaForCausalLM, Stage], None]
"""(folder, network, stage): writes the model folder."""
StageData = Callable[[int, Stage], tuple[Source, Sequence[CodeBatch]]]
"""(number of the stage, stage) -> where its batches come from, and what it is validated on."""


class LmTrainer:
    """A network, its optimizer and the data of the stage it is in."""

    columns = (
        "loss",
        "rate",
        "gradient",
        "accuracy",
        "accuracy_first",
        "tokens",
        "tokens_a_second",
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
        self._objective = Objective(model, layout, whole_vocabulary=True)
        self._wrapped = machine.wrap(self._objective)

    def begin(self, stage: int) -> None:
        """A new optimizer and the stage's data."""
        self._number, self._stage = stage, self._stages[stage]
        options = self._stage
        self._source, self._held_out = self._data(stage, options)
        self._objective.whole_vocabulary = options.loss == "vocabulary"
        self._weights = line(options.weights, self._objective.layout.n_codebooks).to(self._machine.device)
        self._pace = Pace(options.rate, options.steps, Schedule(options.warm_up, options.floor))
        self._optimizers = llama_optimizers(
            self._objective.model,
            options.optimizer,
            options.rate,
            options.betas,
            options.weight_decay,
            self._slow(options),
        )

    def step(self, number: int) -> Numbers:
        """Backward passes over `accumulate` batches, then one move of the weights."""
        began, options = time.monotonic(), self._stage
        rate = self._pace.at(number)
        set_rate(self._optimizers, rate)
        parts = [self._part(number * options.accumulate + part) for part in range(options.accumulate)]
        asked = self._total(torch.tensor([_asked(part, options) for part in parts]).sum())
        read = self._total(torch.tensor([part.tokens for part in parts]).sum())
        self._wrapped.train()
        summed = torch.zeros(3, device=self._machine.device)
        for place, part in enumerate(parts):
            with self._machine.gathering(self._wrapped, last=place == len(parts) - 1):
                scores = self._scores(part, number, place)
                loss = ((scores.losses * self._weights).sum() + scores.ends) / asked
                # the processes' gradients are averaged, not summed
                (loss * self._machine.count).backward()  # type: ignore[no-untyped-call]
            summed += torch.stack([loss.detach(), *_hits(scores)])
        gradient = nn.utils.clip_grad_norm_(self._objective.parameters(), options.clip)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        loss_sum, hits, first = self._machine.sum(summed).tolist()
        answers = float(self._total(torch.tensor([part.answers for part in parts]).sum()))
        return {
            "loss": loss_sum,
            "rate": rate,
            "gradient": float(gradient),
            **self._accuracy("accuracy", hits, first, answers),
            "tokens": float(read),
            "tokens_a_second": float(read) / (time.monotonic() - began),
        }

    @torch.no_grad()
    def validate(self) -> Numbers:
        """Teacher-forced loss and accuracy of what was held out; nothing where nothing was."""
        summed = torch.zeros(5, dtype=torch.float64)
        self._wrapped.eval()
        for pairs in self._held_out:
            batch = collate(pairs, self._machine.device)
            with self._machine.autocast(self._recipe.run.bf16):
                scores = self._objective(batch.noisy, batch.clean, batch.clean, batch.frames)
            loss = float(scores.losses.sum() + scores.ends)
            hits, first = (float(value) for value in _hits(scores))
            summed += torch.tensor(
                [loss, hits, first, batch.answers, _asked(batch, self._stage)], dtype=torch.float64
            )
        loss, hits, first, answers, asked = self._total(summed.float()).tolist()
        if not asked:
            return {}
        return {
            "valid_loss": loss / asked,
            **self._accuracy("valid_accuracy", hits, first, answers),
            **self._freely(),
        }

    def _accuracy(self, name: str, hits: float, first: float, answers: float) -> Numbers:
        """Shares of codes that are right, of all codebooks and of the first."""
        return {name: hits / answers, f"{name}_first": first * self._objective.layout.n_codebooks / answers}

    def _freely(self) -> Numbers:
        """How the first batches held out are answered without being shown the right past."""
        summed = torch.zeros(3)
        for pairs in self._held_out[: self._recipe.data.free_batches]:
            batch = collate(
                [_first_frames(pair, min(map(_frames, pairs))) for pair in pairs], self._machine.device
            )
            with self._machine.autocast(self._recipe.run.bf16):
                answer = answer_freely(self._objective.model, batch.noisy, self._objective.layout)
            found = compare(answer, batch.clean, batch.frames)
            summed += torch.tensor([found.right, found.repeated, found.codes])
        right, repeated, codes = self._total(summed).tolist()
        return {"free_accuracy": right / codes, "free_repeats": repeated / codes} if codes else {}

    def state(self) -> dict[str, Any]:
        """Weights and optimizer; everything else follows from the recipe and the step."""
        return {
            "model": self._objective.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self._objective.model.load_state_dict(state["model"])
        for optimizer, stored in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)

    def write(self, folder: Path) -> None:
        """The network as a model folder."""
        self._write(folder, self._objective.model, self._stage)

    def _part(self, number: int) -> Batch:
        """This process's batch of backward pass `number` of the stage."""
        machine = self._machine
        return collate(self._source.batch(number * machine.count + machine.rank), machine.device)

    def _scores(self, part: Batch, number: int, place: int) -> Scores:
        key = (self._recipe.run.seed, self._number, number, place, self._machine.rank)
        torch.manual_seed(seed_of(*key))  # of dropout
        with self._machine.autocast(self._recipe.run.bf16):
            past = corrupt(
                part.clean,
                part.noisy,
                self._objective.layout.codebook_size,
                self._stage.past,
                torch_rng(*key, 1),
                lambda read: self._objective.likeliest(part.noisy, read, part.frames),
            )
            wanted = part.clean
            if self._stage.targets == "residual" and self._residual_targets is not None:
                wanted = self._residual_targets(part.clean, past)
            scores: Scores = self._wrapped(part.noisy, past, wanted, part.frames)
        return scores

    def _slow(self, options: Stage) -> Slow:
        """What the start has set and steps of full length would undo."""
        model = self._objective.model
        layers = check_copy_shape(model) if self._recipe.model.embeddings == "copy" else 0
        heads = [layer.self_attn for layer in model.model.layers[:layers]]
        weights = [weight for head in heads for weight in (head.q_proj.weight, head.k_proj.weight)]
        return Slow([model.model.embed_tokens.weight, *weights], options.start_rate)

    def _total(self, tensor: Tensor) -> Tensor:
        """Over all processes, back on the CPU."""
        return self._machine.sum(tensor.to(self._machine.device)).cpu()


def _frames(pair: CodePair) -> int:
    return int(pair.clean.shape[1])


def _first_frames(pair: CodePair, frames: int) -> CodePair:
    return CodePair(pair.noisy[:, :frames], pair.clean[:, :frames])


def checkpoint_activations(model: LlamaForCausalLM) -> None:
    """Compute activations twice; older versions of transformers have the method by its older name."""
    new = getattr(model, "activation_checkpointing_enable", None)
    (new or model.gradient_checkpointing_enable)({"use_reentrant": False})


def _asked(batch: Batch, stage: Stage) -> int:
    """Ids whose loss is summed."""
    return batch.answers + (len(batch.frames) if stage.loss == "vocabulary" else 0)


def _hits(scores: Scores) -> tuple[Tensor, Tensor]:
    """Codes that are right: of all codebooks, and of the first."""
    return scores.hits.sum().float(), scores.hits[0].float()
