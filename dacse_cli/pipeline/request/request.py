"""One command as it was asked for, checked."""

from __future__ import annotations

from dataclasses import dataclass

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions, check_devices
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.request.shards import Shard
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.tokens.names import LATENT_FORMATS, TOKEN_FORMATS


@dataclass(frozen=True)
class Request:
    """What a command was asked to do."""

    form: Form
    inputs: tuple[str, ...]
    """Files, folders, patterns and URLs."""
    output: str | None
    """A folder, a URL, or for one input a file name; None is beside each input."""
    models: ModelOptions
    chunk: ChunkOptions
    sound: SoundOptions
    pattern: str | None = None
    """How outputs are named, with the fields of `naming.FIELDS`; None is by the name of the input."""
    codes_format: str = "safetensors"
    """Format of token files: safetensors, npz, txt or dac."""
    latents: str | None = None
    """Latents instead of codes, stored as float32 or float16; None: what the codec makes by itself."""
    quantised: bool = False
    """Whether the latents are those after quantisation."""
    overwrite: bool = False
    strict: bool = False
    """Whether cut or damaged recordings fail; else what can be read is done, with a warning."""
    keep_mtime: bool = False
    """Whether outputs get the modification time of their inputs."""
    shard: Shard | None = None
    filters: tuple[str, ...] = ()
    """Patterns; only inputs whose path or name matches one are taken."""
    limit: int | None = None
    """Only this many inputs, the first ones."""
    only: frozenset[str] | None = None
    """Paths; only these of the inputs are taken."""
    passing: bool = False
    """Whether the input or the output is a pipe: nothing is remembered of it."""
    collisions_fail: bool = False
    """Whether only the second of two inputs with one output fails; else the whole request is refused."""

    def check(self) -> Request:
        """Raise `UsageError` naming every invalid option, `DeviceError` for an unknown device."""
        check_devices(self.models.device)
        problems = [*self.models.problems(), *self.chunk.problems(), *self.sound.problems()]
        if self.codes_format not in (*TOKEN_FORMATS, "dac"):
            problems.append(
                f"`codes_format` {self.codes_format} is not one of {', '.join(TOKEN_FORMATS)}, dac"
            )
        if self.latents not in (None, "float32", "float16"):
            problems.append(f"`latents` {self.latents} is not one of float32, float16")
        if self.latents and self.codes_format not in LATENT_FORMATS:
            problems.append(f"`codes_format` {self.codes_format} holds codes only, not latents")
        if self.quantised and not self.latents:
            problems.append("`quantised` is for latents: name their type with `latents`")
        if self.limit is not None and self.limit < 1:
            problems.append(f"`limit` must be at least 1, not {self.limit}")
        if problems:
            raise UsageError("; ".join(problems))
        return self
