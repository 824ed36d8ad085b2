"""Where a run computes: one device alone, or one of the processes that `torchrun` has started.

Only `torch.distributed` is used. Processes agree on numbers and on failures over their CPUs (gloo), so that
an agreement never makes a GPU wait; gradients are averaged where they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dacse_cli.errors import DacseError, UsageError
from dacse_cli.lm.device import resolve_device

Network = TypeVar("Network", bound=nn.Module)
PATIENCE = timedelta(days=1)
"""Longest wait for another process, which may be encoding a corpus."""


class PeerError(DacseError):
    """Another process of this run has failed; that process reports the error."""

    exit_code = 1


@dataclass(frozen=True)
class Machine:
    """This process's device and its place among `count`; collective operations do nothing for one process."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def wrap(self, network: Network) -> Network:
        """`network` on the device; with several processes in a wrapper that averages gradients.

        Only parameters that now require a gradient are averaged: wrap again after freezing others.
        """
        network = network.to(self.device)
        if self.count == 1 or not any(p.requires_grad for p in network.parameters()):
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return cast(Network, DistributedDataParallel(network, device_ids=ids))

    def sync_gradients(self, network: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Context manager for a backward pass: gradients are averaged only in the `last` part of a step."""
        if last or not isinstance(network, DistributedDataParallel):
            return nullcontext()
        return cast(AbstractContextManager[None], network.no_sync())

    def sum(self, tensor: Tensor) -> Tensor:
        """`tensor`, on the device or on the CPU, summed over all processes."""
        if self.count > 1:
            tensor = tensor.clone()
            dist.all_reduce(tensor)
        return tensor

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Sums of plain numbers over all processes; does not touch the device."""
        if self.count == 1:
            return list(numbers)
        return cast(list[float], self.sum(torch.tensor(list(numbers), dtype=torch.float64)).tolist())

    def same(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite `tensors` by those of the first process."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def agree(self, number: float) -> float:
        """The first process's `number`."""
        shared = torch.tensor(number, dtype=torch.float64)
        self.same([shared])
        return float(shared)

    def check_rows(self, stage: str, rows: int) -> None:
        """Raise `UsageError` where the rows of a step cannot be shared equally."""
        if rows % self.count:
            raise UsageError(f"stage {stage}: {rows} rows cannot be shared by {self.count} processes")

    def share(self, rows: NDArray[Any], most: int, dim: int = 0) -> list[Tensor]:
        """This process's share of `rows`, on the CPU, in batches of at most `most`."""
        batches = torch.split(torch.from_numpy(rows), most, dim) if rows.size else ()
        return list(batches[self.rank :: self.count])

    @contextmanager
    def together(self) -> Iterator[None]:
        """Context manager: all processes run the block, and continue only if none has failed in it.

        The block must contain no other collective operation. Raises this process's own error, else
        `PeerError`.
        """
        failure: BaseException | None = None
        try:
            yield
        except Exception as error:
            failure = error
        failed = self.total([0.0 if failure is None else 1.0])[0]
        if failure is not None:
            raise failure
        if failed:
            raise PeerError("another process of this run has failed")

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Context manager: the first process runs the block before the others. Failures as in `together`."""
        if self.first:
            with self.together():
                yield
        else:
            with self.together():
                pass  # until the first is through
        if not self.first:
            yield

    def autocast(self, bf16: bool) -> AbstractContextManager[Any]:
        """Context manager: bfloat16 autocast where it is precise enough, if requested."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """`array` on the device; through pinned memory, so that a GPU does not wait for the copy."""
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Context manager for all work in the process group: leaves the group afterwards.

        Raises `PeerError` where another process has ended during a collective operation.
        """
        try:
            yield
        except RuntimeError as error:
            gone = isinstance(error, dist.DistError) or "gloo" in str(error).lower()
            if self.count == 1 or not gone:
                raise
            raise PeerError("another process of this run has ended") from error
        if self.count > 1:
            dist.destroy_process_group()


def find_machine(device: str = "auto") -> Machine:
    """The requested device, or this process's rank among those that `torchrun` has started.

    Raises `DeviceError`, and `UsageError` for a launch that does not say where the processes meet.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count <= 1:
        return Machine(torch.device(resolve_device(device)))
    missing = [
        name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ
    ]
    if missing:
        raise UsageError(
            f"WORLD_SIZE asks for {count} processes, but {missing[0]} is not set",
            hint="Start several processes with torchrun, or unset WORLD_SIZE.",
        )
    name = resolve_device(device)
    if name.startswith("cuda"):
        name = resolve_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(torch.device(name))
    backend = "cpu:gloo,cuda:nccl" if name.startswith("cuda") else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    return Machine(torch.device(name), dist.get_rank(), count)
