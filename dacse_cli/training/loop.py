"""What every training here shares: a clock for the learning rate, processes that average, states on disk.

Training on a shared CPU is timed in minutes, not steps: the schedule follows the share of the time that is
gone. Two processes of one thread each beat one process of two threads wherever other work wants the cores,
because OpenMP's threads wait for each other in every operation and processes only once a step (16 s of
audio a step, codec, two busy cores: 1.9 s against 4 to 10 s).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dacse_cli.audio.atomic import commit, output_error
from dacse_cli.errors import CheckpointError, OutputError


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up over `warm_up` steps; a cosine from 1 to `floor` over the run."""

    warm_up: int
    floor: float

    def factor(self, step: int, gone: float) -> float:
        """What the learning rate is multiplied by at `step` (from 0) when `gone` of the run has passed."""
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, max(0.0, gone))))
        return min(1.0, (step + 1) / max(1, self.warm_up)) * (self.floor + (1.0 - self.floor) * cosine)


@dataclass(frozen=True)
class Peers:
    """The processes of one run; alone, everything is a no-op."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0

    def same(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite `tensors` by those of the first process."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def agree(self, value: float) -> float:
        """The first process's `value`."""
        shared = torch.tensor(value, dtype=torch.float64)
        self.same([shared])
        return float(shared)

    def sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Element-wise sums over all processes, in one transfer."""
        if self.count == 1:
            return list(tensors)
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every gradient by its mean over all processes."""
        if self.count == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        for parameter, total in zip(parameters, self.sum(gradients), strict=True):
            parameter.grad = total / self.count


def join(rank: int, count: int, meeting: Path) -> Peers:
    """Join `count` processes of one machine that meet at the file `meeting`, which must be new."""
    if count > 1:
        dist.init_process_group("gloo", init_method=meeting.absolute().as_uri(), rank=rank, world_size=count)
    return Peers(rank, count)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state (tensors and plain values, nested) whole or not at all, as safetensors.

    Raises `OutputError`.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_pack(state, tensors))
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(_apart(tensors), part, metadata={"tree": tree})
    except OSError as error:
        raise output_error(error, path) from error
    except SafetensorError as error:  # how it reports a full disk
        raise OutputError(f"cannot write {path}: {error}") from error
    commit(part, path)


def load_state(path: Path) -> dict[str, Any] | None:
    """What `save_state` wrote, None where nothing is. Raises `CheckpointError` for a damaged file."""
    if not path.exists():
        return None
    with _opened(path) as file:
        state: dict[str, Any] = _unpack(json.loads(file.metadata()["tree"]), file.get_tensor)
        return state


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The state at `path`; what is wrong with it in words."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"the checkpoint {path} is damaged: {error}", hint="Delete it to begin again."
        ) from error


def peek_state(path: Path, key: str) -> Any:
    """One entry, without tensors, of what `save_state` wrote; no tensor is read. None where nothing is."""
    if not path.exists():
        return None
    with _opened(path) as file:
        tree = json.loads(file.metadata()["tree"])
    return _unpack(dict(tree["dict"])[key], lambda name: Tensor())


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON that keeps the types of keys and sequences; tensors go by name into `tensors`."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_pack(item, tensors) for item in value]}
    return {"value": value}


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """`tensors`, those that share memory with one before (tied weights) copied: safetensors refuses them."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        shared = tensor.untyped_storage().data_ptr() in seen or len(tensor.untyped_storage()) > tensor.nbytes
        seen.add(tensor.untyped_storage().data_ptr())
        apart[name] = tensor.clone() if shared else tensor
    return apart


def _unpack(packed: dict[str, Any], tensor: Callable[[str], Tensor]) -> Any:
    """Inverse of `_pack`."""
    ((kind, value),) = packed.items()
    if kind == "tensor":
        return tensor(value)
    if kind == "dict":
        return {key: _unpack(item, tensor) for key, item in value}
    if kind in ("list", "tuple"):
        items = [_unpack(item, tensor) for item in value]
        return tuple(items) if kind == "tuple" else items
    return value
