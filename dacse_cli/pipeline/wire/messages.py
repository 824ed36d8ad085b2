"""Messages between the supervisor and its child processes: one JSON object per line.

A message is its type's name and its fields. Unexpected types, names and values are refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Union, get_args

from dacse_cli.audio.info import AudioInfo, AudioScan
from dacse_cli.config import SoundOptions
from dacse_cli.pipeline.wire.coding import CodingError, from_json, to_json
from dacse_cli.pipeline.wire.failures import Failure
from dacse_cli.pipeline.wire.model_plan import ModelPlan
from dacse_cli.pipeline.wire.outcome import Finished


class Form(str, Enum):
    """What is done with an input."""

    ENHANCE = "enhance"
    TOKENIZE = "tokenize"
    DETOKENIZE = "detokenize"


# -- supervisor -> model process -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """The first message: load the models."""

    plan: ModelPlan
    divide_batch: int = 1
    """Generate only this fraction of the chunks that fit at once: an earlier worker died."""
    sharing: int = 1
    """Workers on this processor, this one included."""


@dataclass(frozen=True)
class Keep:
    """Where the generated chunks of a job are kept, and what they depend on."""

    path: Path
    source: str
    """The input's name in the journal."""
    recipe: tuple[int, int, str]
    """Size and stamp of the input, hash of what decides the generated units."""
    lasting: bool
    """Whether they stay when the output is finished; otherwise only until then, for a resumed run."""


@dataclass(frozen=True)
class Work:
    """Make `target` of `source`. `scan` is None for a token file."""

    id: int
    source: Path
    target: Path
    form: Form
    sound: SoundOptions
    scan: AudioScan | None
    keep: Keep | None = None
    latents: str = "float32"
    """Type in which a token file stores latents."""


@dataclass(frozen=True)
class End:
    """No more work will come."""


# -- model process -> supervisor -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Loaded:
    """The models are ready."""

    batch: int
    """Chunks generated at once."""
    stride_seconds: float
    """Seconds of audio that each further chunk of a file adds."""
    runs: str
    """The loaded models and their devices, for display."""
    devices: int = 0
    """CUDA devices of this machine."""


@dataclass(frozen=True)
class Started:
    """A job was started."""

    id: int


@dataclass(frozen=True)
class Advanced:
    """Seconds of audio done by this process so far, and seconds taken from chunks kept by an earlier run."""

    seconds: float
    resumed: float = 0.0


@dataclass(frozen=True)
class Ready:
    """A job is done; its files wait under temporary names."""

    id: int
    finished: Finished


@dataclass(frozen=True)
class Failed:
    """A job failed; the process goes on."""

    id: int
    failure: Failure


@dataclass(frozen=True)
class Fatal:
    """This process cannot do any job."""

    failure: Failure


# -- supervisor <-> decoder process --------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """Read the header of a recording, or with `whole` every sample."""

    id: int
    path: Path
    whole: bool = True


@dataclass(frozen=True)
class Decoding:
    """Seconds decoded so far of the recording being read."""

    seconds: float


@dataclass(frozen=True)
class Seen:
    """What a recording holds. `scan` is None where only its header was read."""

    id: int
    info: AudioInfo
    scan: AudioScan | None = None


@dataclass(frozen=True)
class Unreadable:
    """A recording cannot be used."""

    id: int
    failure: Failure


Message = Union[  # noqa: UP007 - for get_args
    Load, Work, End, Loaded, Started, Advanced, Ready, Failed, Fatal, Look, Decoding, Seen, Unreadable
]
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}


def encode(message: Message) -> bytes:
    """One line, with its end."""
    return json.dumps({"type": type(message).__name__, **to_json(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Inverse of `encode`. Raises `CodingError`."""
    try:
        data = json.loads(line)
        kind = _KINDS[data.pop("type")]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise CodingError(f"not a message: {line[:80]!r}") from error
    message: Message = from_json(kind, data)
    return message
