"""Clocks for ratios on machines that do other work too, and models of a given shape with random weights."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from dacse_cli.lm.bandwidth import _PROBE_BYTES
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.linear import Linear, make_linear
from dacse_cli.lm.model import Llama
from dacse_cli.lm.shape import LlamaShape, parse_shape
from dacse_cli.lm.weights import Block, Weights

SPECIALS, CODEBOOK_SIZE = 5, 1024
SHAPES = {  # hidden, intermediate, layers, heads, key heads, codebooks
    "nano": (256, 1024, 4, 4, 2, 14),
    "250m": (1024, 3000, 18, 16, 16, 9),
    "1b": (1536, 6144, 24, 24, 24, 9),
}


def config_of(shape: str, layers: int | None = None) -> dict[str, Any]:
    """`config.json` of a named shape, with fewer layers if asked."""
    hidden, intermediate, all_layers, heads, key_heads, codebooks = SHAPES[shape]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": SPECIALS + codebooks * CODEBOOK_SIZE,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers or all_layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
    }


def ranges_of(config: dict[str, Any]) -> list[tuple[int, int]]:
    """The allowed ids of each codebook."""
    codebooks = (config["vocab_size"] - SPECIALS) // CODEBOOK_SIZE
    return [(SPECIALS + c * CODEBOOK_SIZE, SPECIALS + (c + 1) * CODEBOOK_SIZE) for c in range(codebooks)]


def random_model(config: dict[str, Any], device: str, dtype: torch.dtype, **options: Any) -> LanguageModel:
    """A model whose weights were never on a disk; `options` are those of `LanguageModel`."""
    shape = parse_shape(config)
    rng = torch.Generator(device).manual_seed(0)

    def draw(*size: int) -> Tensor:
        return (0.02 * torch.randn(*size, generator=rng, device=device)).to(dtype)

    def linear(rows: int, columns: int) -> Linear:
        return make_linear(draw(rows, columns))

    embedding = draw(shape.vocab_size, shape.hidden)
    ones = torch.ones(shape.hidden, device=device)
    blocks = tuple(_block(shape, ones, linear) for _ in range(shape.layers))
    with torch.inference_mode():
        network = Llama(replace(shape), Weights(embedding, blocks, ones, embedding.float()))
        return LanguageModel(network, **options)


def _block(shape: LlamaShape, ones: Tensor, linear: Callable[[int, int], Linear]) -> Block:
    inner = shape.heads * shape.head_dim
    return Block(
        attention_norm=ones,
        qkv=linear(shape.qkv_heads * shape.head_dim, shape.hidden),
        output=linear(shape.hidden, inner),
        mlp_norm=ones,
        gate_up=linear(2 * shape.intermediate, shape.hidden),
        down=linear(shape.hidden, shape.intermediate),
    )


def seconds(work: Callable[[], object], device: str) -> float:
    """How long `work` takes: on a CPU with one thread its processor time, else the time on the wall.

    Processor time does not count what other processes take from a shared machine.
    """
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return clock() - began


def interleaved(works: Sequence[Callable[[], object]], repeats: int, device: str) -> list[float]:
    """The median time of each, done in turn `repeats` times after one round to warm up."""
    times: list[list[float]] = [[] for _ in works]
    for repeat in range(repeats + 1):
        for i, work in enumerate(works):
            taken = seconds(work, device)
            if repeat:
                times[i].append(taken)
    return [statistics.median(values) for values in times]


def occupied(work: Callable[[], object], device: str) -> tuple[float, int]:
    """The time on the wall over the time the device computes, and how often torch waited for the device.

    On a CPU, time inside torch's operations is the device's, and nothing is waited for.
    """
    cuda = device.startswith("cuda")
    work()
    began = time.perf_counter()
    work()  # ends with ids on the host
    wall = time.perf_counter() - began
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as seen:
        work()
    kind = "self_device_time_total" if cuda else "self_cpu_time_total"
    busy = sum(getattr(event, kind) for event in seen.key_averages()) / 1e6
    return wall / busy, waits(work) if cuda else 0


def waits(work: Callable[[], object]) -> int:
    """How often an operation of torch's makes the host wait for the CUDA device."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in found)


def plain_read(device: str) -> tuple[Callable[[], object], int]:
    """A read of a tensor larger than any cache, as work to be timed beside other work; its bytes."""
    values = torch.ones(_PROBE_BYTES[torch.device(device).type] // 4, dtype=torch.float32, device=device)
    return lambda: values.sum().item(), values.nbytes


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of equal keys as Markdown."""
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(row[key]) for key in head) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
