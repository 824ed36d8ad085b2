"""One command as it was asked for, checked."""

from __future__ import annotations

from dataclasses import dataclass

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.request.shards import Shard
from dacse_cli.tokens.files import TOKEN_FORMATS


@dataclass(frozen=True)
class Request:
    """One command, as typed. `form` is enhance, tokenize or detokenize."""

    form: str
    inputs: tuple[str, ...]
    output: str | None
    models: ModelOptions
    chunk: ChunkOptions
    sound: SoundOptions
    codes_format: str = "safetensors"
    """Of token files: safetensors, npz, txt or dac."""
    overwrite: bool = False
    strict: bool = False
    """Whether recordings that are not whole fail; else what is there is done, with a warning."""
    keep_mtime: bool = False
    """Whether outputs get the modification time of their inputs; changes no sound, so no identity."""
    shard: Shard | None = None
    filters: tuple[str, ...] = ()
    """Patterns; only inputs whose path or name matches one are taken."""
    limit: int | None = None
    """Only so many inputs, the first ones."""
    settled: float | None = None
    """Only inputs that nobody has written to for so many seconds."""

    def check(self) -> Request:
        """Raise `UsageError` naming every impossible option."""
        problems = [*self.models.problems(), *self.chunk.problems(), *self.sound.problems()]
        if self.codes_format not in (*TOKEN_FORMATS, "dac"):
            problems.append(f"--format {self.codes_format} is not one of {', '.join(TOKEN_FORMATS)}, dac")
        if self.limit is not None and self.limit < 1:
            problems.append(f"--limit must be at least 1, not {self.limit}")
        if problems:
            raise UsageError("; ".join(problems))
        return self
