"""The data of a run, stored pairs or noise mixed on the fly, as batches for each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from dacse_cli.errors import UsageError
from dacse_cli.interfaces import Codec
from dacse_cli.training.lm.pairs.encode import Encoded, cached
from dacse_cli.training.lm.pairs.recipe import PairRecipe, PairStage
from dacse_cli.training.lm.pairs.shards import CodePair, Shards
from dacse_cli.training.lm.pairs.source import (
    CachedSource,
    CodeBatch,
    Cut,
    MixedSource,
    Source,
    held_out,
    mixed_pairs,
    spread,
)
from dacse_cli.training.mix.pairs import PairPlan
from dacse_cli.training.mix.plan import MixOptions, plan_mix
from dacse_cli.training.runs.chance import seed_of
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.sound.folders import digest, find_pairs, of_tasks
from dacse_cli.training.sound.recordings import Files, Refused
from dacse_cli.training.sound.segments import Segmenting
from dacse_cli.training.sound.splits import WHOLE, Split, by_speakers

StageBatches = tuple[Source, Sequence[CodeBatch]]


class Data(Protocol):
    """The pairs of a run."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Values that are equal if and only if the data are."""

    @property
    def summary(self) -> str:
        """A description for the model card."""

    @property
    def refused(self) -> Sequence[Refused]:
        """Recordings that cannot be used."""

    @property
    def typical_frames(self) -> int:
        """Typical frames of a pair: the chunk length for using the model."""

    def stage(self, number: int, stage: PairStage) -> StageBatches:
        """The source of a stage's batches, and its validation pairs."""


@dataclass(frozen=True)
class Surroundings:
    """What both kinds of data need: codec, device, and the longest pair."""

    codec: Codec
    codec_sha256: str
    recipe: PairRecipe[Any]
    machine: Machine
    longest: int
    """Frames of the longest pair that the network's positions hold."""

    def cut(self, number: int, stage: PairStage) -> Cut:
        """How the pairs of stage `number` are cut."""
        return Cut(stage.frames, self.longest, stage.vary or 0.0, seed_of(self.recipe.run.seed, number, 1))

    def long_enough(self, rows: Sequence[int], shards: Shards | None, stage: PairStage) -> list[int]:
        """For a stage of fixed length, the `rows` that are long enough; else all."""
        if shards is None or not stage.fixed:
            return list(rows)
        wanted = min(stage.frames or 0, self.longest)
        lengths = shards.lengths()
        return [row for row in rows if lengths[row] >= wanted]

    def share(self, pairs: Sequence[CodePair], number: int, stage: PairStage) -> list[CodeBatch]:
        """This process's share of the validation pairs."""
        return held_out(pairs, stage.rows, self.cut(number, stage), self.machine.rank, self.machine.count)


class CachedData:
    """Pairs from folders, encoded once."""

    def __init__(
        self, data: Path, around: Surroundings, cache: Path, encoded: Encoded | None = None, jobs: int = 1
    ) -> None:
        found = find_pairs(data, around.recipe.data.valid)
        self._around, self._train, self._valid = around, found.train, found.valid
        self.refused = found.refused
        self.identity: Mapping[str, Any] = {"train": digest(found.train), "valid": digest(found.valid)}
        self._check_tasks(around.recipe)
        with_codec = (around.codec, around.codec_sha256, cache, around.machine, encoded, jobs)
        self._codes = cached(found.train, *with_codec)
        self._valid_codes = cached(found.valid, *with_codec) if found.valid else None
        lengths = self._codes.lengths()
        self.typical_frames = round(median(lengths))
        hours = sum(lengths) / float(around.codec.spec.frame_rate) / 3600.0
        self.summary = f"{len(found.train)} pairs, {hours:.2f} h"

    def stage(self, number: int, stage: PairStage) -> StageBatches:
        """The stage's tasks only."""
        around = self._around
        source = CachedSource(
            self._codes,
            self._rows(stage),
            stage.rows,
            around.cut(number, stage),
            seed_of(around.recipe.run.seed, number),
        )
        rows = of_tasks(self._valid, stage.tasks)
        kept = around.long_enough(rows, self._valid_codes, stage)
        pairs = [_read(self._valid_codes, row) for row in spread(kept, around.recipe.data.valid_rows)]
        return source, around.share(pairs, number, stage)

    def _rows(self, stage: PairStage) -> list[int]:
        """Training pairs of a stage; raises `UsageError` where none is long enough."""
        rows = self._around.long_enough(of_tasks(self._train, stage.tasks), self._codes, stage)
        if not rows:
            raise UsageError(f"stage {stage.name}: no pair has {stage.frames} frames")
        return rows

    def _check_tasks(self, recipe: PairRecipe[Any]) -> None:
        """Check, before anything is encoded, that every stage has pairs to train on."""
        for stage in recipe.stages():
            if not of_tasks(self._train, stage.tasks):
                known = sorted({pair.task for pair in self._train if pair.task})
                raise UsageError(
                    f"stage {stage.name}: no pairs of {', '.join(stage.tasks)}",
                    hint=f"The data have {', '.join(known) or 'no manifest that names tasks'}.",
                )


class MixedData:
    """Clean speech and noise, a new pair for every row of training."""

    def __init__(self, clean: Files, noise: Files, rooms: Files, around: Surroundings, jobs: int) -> None:
        self._around, self._jobs = around, jobs
        options = _mix_options(around, clean)
        mix = plan_mix(clean, noise, rooms, Path(), options)
        self.identity, self.refused = mix.settings, mix.refused
        self._plans = [work.plan for work in mix.works]
        rate = around.codec.spec.frame_rate
        self.typical_frames = int(options.lengths.seconds * rate)
        speech = self._plans[0].speech
        hours = sum(recording.frames / recording.sample_rate for recording in speech) / 3600.0
        self.summary = f"{hours:.2f} h of speech, noise ({options.recipe}) mixed anew"

    def stage(self, number: int, stage: PairStage) -> StageBatches:
        """Pairs of the stage's tasks only; every validation uses the same rows."""
        around = self._around
        train, *valid = (_of_stage(plan, stage, around.recipe.run.seed, number) for plan in self._plans)
        source = MixedSource(
            train,
            around.codec,
            stage.rows,
            around.cut(number, stage),
            jobs=self._jobs,
            stride=around.machine.count,
        )
        rows = around.recipe.data.valid_rows if valid else 0
        pairs = mixed_pairs(valid[0], around.codec, rows, self._jobs) if valid else []
        return source, around.share(pairs, number, stage)


def _read(shards: Shards | None, row: int) -> CodePair:
    assert shards is not None
    return shards.read(row)


def _mix_options(around: Surroundings, clean: Files) -> MixOptions:
    data = around.recipe.data
    speakers = {name.split("/")[0] for name, _ in clean}
    splits = (Split("train", 1 - data.valid), Split("valid", data.valid)) if data.valid else WHOLE
    fixed = [stage.frames or 0 for stage in around.recipe.stages() if stage.fixed]
    shortest = max(0.1, max(fixed) / float(around.codec.spec.frame_rate)) if fixed else min(1.0, data.seconds)
    return MixOptions(
        recipe=data.recipe,
        rate=around.codec.spec.sample_rate,
        lengths=Segmenting(shortest, data.seconds, 1.25 * data.seconds),
        splits=splits,
        split_by="speaker" if by_speakers(speakers, data.valid) else "file",
        seed=around.recipe.run.seed,
    )


def _of_stage(plan: PairPlan, stage: PairStage, seed: int, number: int) -> PairPlan:
    """`plan` with the tasks of `stage` alone, and with rows that no other stage has."""
    shares = {task: share for task, share in plan.shares.items() if not stage.tasks or task in stage.tasks}
    shares = shares or dict.fromkeys(stage.tasks, 1.0)
    total = sum(shares.values())
    return replace(
        plan,
        seed=seed_of(seed, number) % 2**32,
        shares={task: share / total for task, share in shares.items()},
    )
