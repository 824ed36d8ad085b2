"""Where a run computes: one device alone, or the processes that `accelerate launch` has started.

`accelerate` is asked only when there are several processes: one needs nothing of it. Number formats are the
recipe's business, so its own mixed precision stays off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from dacse_cli.errors import UsageError
from dacse_cli.lm.device import resolve_device

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Machine:
    """This process's device and its place among `count`; alone, all sums are no-ops."""

    device: torch.device
    rank: int = 0
    count: int = 1
    accelerator: Any = None

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def wrap(self, network: Network) -> Network:
        """`network` on the device; with several processes one whose gradients are averaged."""
        network = network.to(self.device)
        if self.accelerator is None:
            return network
        return cast(Network, self.accelerator.prepare_model(network))

    def gathering(self, network: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Around a backward pass: only that of the `last` part of a batch averages gradients."""
        if self.accelerator is None or last:
            return nullcontext()
        return cast(AbstractContextManager[None], self.accelerator.no_sync(network))

    def sum(self, tensor: Tensor) -> Tensor:
        """`tensor` summed over all processes."""
        if self.accelerator is None:
            return tensor
        return cast(Tensor, self.accelerator.reduce(tensor, "sum"))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process goes through the block before the others do."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def autocast(self, bf16: bool) -> AbstractContextManager[Any]:
        """bfloat16 where that is exact enough, if asked for."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)


def find_machine(device: str = "auto") -> Machine:
    """The device asked for, or this process's place in a launch of several.

    Raises `DeviceError`, and `UsageError` where several processes were started without `accelerate`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return Machine(torch.device(resolve_device(device)))
    try:
        from accelerate import Accelerator
    except ImportError:
        raise UsageError(
            "several processes were started, but accelerate is not installed",
            hint="pip install 'dacse[train]'",
        ) from None
    accelerator = Accelerator(cpu=device == "cpu" or None, mixed_precision="no")
    return Machine(
        accelerator.device, accelerator.process_index, accelerator.num_processes, accelerator=accelerator
    )
