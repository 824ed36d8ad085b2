"""Which parts of a model a worker loads, from where, and how they run."""

from __future__ import annotations

from dataclasses import dataclass

from dacse_cli.config import ChunkOptions


@dataclass(frozen=True)
class Part:
    """A codec, translator or filter on this disk."""

    kind: str
    """Its name in `dacse_cli.registry`."""
    folder: str = ""
    """Or the path of a single file; empty for a kind that needs no files."""
    name: str = ""
    """For token files and messages: a Hub id, a built-in name or a hash."""
    latents: bool = False
    """Of a codec that has both: whether it makes latents instead of codes,"""
    quantised: bool = False
    """and whether those after quantisation."""


@dataclass(frozen=True)
class ModelPlan:
    """Everything a worker needs to know before its first job. Parts that a run does not use are None."""

    codec: Part | None
    translator: Part | None
    filter: Part | None
    device: str
    dtype: str
    batch_size: int | None
    chunk: ChunkOptions
    """With every value set."""
    deterministic: bool = False
    kv: str = "auto"
    beam: int | None = None
    expansion: str | None = None
    second_opinion: str | None = None
    """Whisper model that compares the words of inputs and outputs: a folder or a size."""
