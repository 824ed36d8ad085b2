"""Which ways of decoding this machine has for a network, best first, and why others are left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from dacse_cli.errors import DeviceError
from dacse_cli.lm.attention.cache import ROUNDED, KeyValueArena
from dacse_cli.lm.attention.prefix import BackendUnavailableError
from dacse_cli.lm.cpu.attention import CpuBackend, load_kernel
from dacse_cli.lm.decoding.greedy import Decoder, EagerDecoder
from dacse_cli.lm.gpu.capture import NoCapture
from dacse_cli.lm.gpu.graphs import DeviceAttention, GraphDecoder
from dacse_cli.lm.gpu.trial import load_split_attention
from dacse_cli.lm.gpu.varlen import load_varlen
from dacse_cli.lm.model import Llama

USE_AUTO = 'use `kv="auto"`'


@dataclass
class Ladder:
    """Decoders, best first; the first one is used until it fails."""

    decoders: list[Decoder]
    reasons: list[str] = field(default_factory=list)
    """Why better ones are not used."""

    @property
    def best(self) -> Decoder:
        return self.decoders[0]

    def step_down(self, error: BackendUnavailableError) -> None:
        """Stop using the best decoder. The last one is never removed."""
        failed = self.decoders.pop(0)
        self.reasons.append(f"{failed.name}: {error}")

    def release(self) -> None:
        """Make every decoder drop its references to the cache's memory."""
        for decoder in self.decoders:
            decoder.release()

    def describe(self) -> str:
        """The decoder in use and, in brackets, why a better one is not used."""
        return self.best.name + (f" ({'; '.join(self.reasons)})" if self.reasons else "")


def find_decoders(network: Llama, arena: KeyValueArena) -> Ladder:
    """All decoders that can be tried here. Raises `DeviceError` for an int8 cache without its kernel."""
    ladder = Ladder([])
    if network.device.type == "cuda":
        loaders: dict[str, Callable[[Llama, torch.dtype], DeviceAttention]] = {
            "Triton split-KV kernel": load_split_attention,
            "varlen_attn": load_varlen,
        }
        for name, load in loaders.items():
            try:
                attention = load(network, arena.dtype)
            except BackendUnavailableError as error:
                ladder.reasons.append(f"{name}: {error}")
            else:
                ladder.decoders.append(GraphDecoder(network, arena, attention))
                ladder.decoders.append(GraphDecoder(network, arena, attention, NoCapture()))
                break
    elif network.device.type == "cpu":
        try:
            kernel = load_kernel(network.shape.head_dim, network.dtype, arena.dtype)
        except BackendUnavailableError as error:
            if arena.dtype is ROUNDED["int8"]:
                raise DeviceError(f"an int8 cache is not available: {error}", hint=USE_AUTO) from None
            ladder.reasons.append(f"dacse's CPU kernel: {error}")
        else:
            backend = CpuBackend(kernel, arena.dtype)
            ladder.decoders.append(EagerDecoder(network, arena, backend))
    ladder.decoders.append(EagerDecoder(network, arena))
    return ladder


def check_cache(kv: str, device: torch.device) -> None:
    """Raises `DeviceError` for a cache format that this kind of device lacks."""
    if kv == "int8" and device.type != "cpu":
        raise DeviceError(f"an int8 cache is for CPUs, not for {device}", hint=USE_AUTO)
    if kv == "fp8" and device.type == "mps":
        raise DeviceError(f"an fp8 cache is for CUDA devices and CPUs, not for {device}", hint=USE_AUTO)
