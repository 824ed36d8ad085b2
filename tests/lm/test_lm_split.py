"""The Triton kernels against torch's operations, on a GPU if there is one, else in Triton's interpreter."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from device_attention import run_first
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import CONFIG, WriteModel

from dacse_cli.lm.attention.cache import LEVELS, Cache
from dacse_cli.lm.attention.prefix import (
    BackendUnavailableError,
    PrefixAttention,
    RoundedPrefixAttention,
)
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.gpu import split
from dacse_cli.lm.gpu.graphs import GraphDecoder
from dacse_cli.lm.gpu.pointwise import TritonPointwise
from dacse_cli.lm.gpu.split import SplitAttention, block_slots, plan_splits
from dacse_cli.lm.gpu.trial import checked, load_split_attention
from dacse_cli.lm.linear import PlainLinear
from dacse_cli.lm.model import PlainPointwise, rotate_, rotations
from dacse_cli.lm.shape import parse_shape

pytest.importorskip("triton")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FP8 = torch.float8_e4m3fn
KINDS = [  # the network's numbers, the cache's, how near
    (torch.float32, torch.float32, 2e-6),
    (torch.bfloat16, torch.bfloat16, 1e-2),
    (torch.float16, torch.float16, 2e-3),
    (torch.float32, FP8, 2e-6),
    (torch.bfloat16, FP8, 8e-2),  # a new key or value may fall on the other side of a level, an eighth apart
]
RANGES = [(5, 17), (17, 29), (29, 41)]


def network_of(heads: int, kv_heads: int, dim: int, dtype: torch.dtype) -> Any:
    """What the kernels read of a network."""
    changes = {"num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": dim}
    shape = parse_shape(CONFIG | changes | {"max_position_embeddings": 512})
    return SimpleNamespace(shape=shape, dtype=dtype, device=DEVICE, rotations=rotations(shape, DEVICE))


def filled_cache(shape: Any, positions: list[int], slots: int, stored: torch.dtype, seed: int) -> Cache:
    """Noise before each row's position, NaN from there on."""
    rng = torch.Generator().manual_seed(seed)
    size = (1, 2, len(positions), shape.kv_heads, slots, shape.head_dim)
    numbers = torch.randn(size, generator=rng)
    scales = 1 + torch.rand(size[:-1], generator=rng)
    for row, position in enumerate(positions):
        numbers[:, :, row, :, position:] = torch.nan
        scales[:, :, row, :, position:] = torch.nan
    return Cache(numbers.to(DEVICE, stored), scales.to(DEVICE) if stored in LEVELS else None)


def plainly(cache: Cache, heads: torch.Tensor, positions: list[int], network: Any) -> torch.Tensor:
    """Every row alone by torch's attention over its valid slots; stores its new key and value as well."""
    outs = []
    for row, position in enumerate(positions):
        one = heads[row : row + 1].clone()
        rotate_(one[:, : network.shape.heads + network.shape.kv_heads], network.rotations[position])
        prefix = cache.part(slice(row, row + 1), 0, position + 1)
        way = (
            PrefixAttention(prefix.values, None)
            if prefix.scales is None
            else RoundedPrefixAttention(prefix, None)
        )
        outs.append(way(0, one))
    return torch.cat(outs)


@pytest.mark.parametrize(("dtype", "stored", "near"), KINDS)
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=2),
    st.sampled_from([(1, 1), (2, 1)]),
    st.sampled_from([64, 128]),
    st.sampled_from([1, 4]),
    st.integers(0, 99),
)
@settings(max_examples=6, deadline=None)
def test_the_kernel_attends_as_torch_does(
    dtype: torch.dtype,
    stored: torch.dtype,
    near: float,
    positions: list[int],
    heads: tuple[int, int],
    dim: int,
    processors: int,
    seed: int,
) -> None:
    """Fails when a row reads another's slots, a part's edge is lost, or the new token is misplaced."""
    network = network_of(*heads, dim, dtype)
    rng = torch.Generator().manual_seed(seed)
    new = torch.randn(len(positions), network.shape.qkv_heads, dim, generator=rng).to(DEVICE, dtype)
    ours, theirs = (filled_cache(network.shape, positions, 320, stored, seed) for _ in range(2))
    bound = SplitAttention(network, stored, processors).bind(ours, torch.tensor(positions, device=DEVICE))
    got, want = bound(0, new), plainly(theirs, new, positions, network)
    assert got.dtype is dtype
    torch.testing.assert_close(got.float(), want.float(), atol=near, rtol=near)
    for row, position in enumerate(positions):  # what later steps will read
        written = [cache.part(slice(row, row + 1), position, position + 1) for cache in (ours, theirs)]
        for a, b in zip(*((one.values, one.scales) for one in written), strict=True):
            if a is not None:
                torch.testing.assert_close(
                    a.float(), b.float(), atol=near, rtol=0.13 if a.dtype is FP8 else near
                )
    beyond = [ours.values[0, :, row, :, position + 1 :] for row, position in enumerate(positions)]
    assert all(part.float().isnan().all() for part in beyond)


@pytest.mark.parametrize("heads", [(2, 2), (4, 2)])
@pytest.mark.parametrize(("dtype", "stored", "near"), [KINDS[0], KINDS[3]])
def test_every_key_head_is_its_own(
    heads: tuple[int, int], dtype: torch.dtype, stored: torch.dtype, near: float
) -> None:
    """Fails when a query head reads, or a new key goes to, the cache or the scales of another key head."""
    network, positions = network_of(*heads, 64, dtype), [70, 0]
    rng = torch.Generator().manual_seed(3)
    new = torch.randn(2, network.shape.qkv_heads, 64, generator=rng).to(DEVICE, dtype)
    ours, theirs = (filled_cache(network.shape, positions, 96, stored, 3) for _ in range(2))
    got = SplitAttention(network, stored, 4).bind(ours, torch.tensor(positions, device=DEVICE))(0, new)
    torch.testing.assert_close(got, plainly(theirs, new, positions, network), atol=near, rtol=near)
    for row, position in enumerate(positions):
        written = [cache.part(slice(row, row + 1), position, position + 1) for cache in (ours, theirs)]
        stored_numbers = [one.values.float() for one in written]
        torch.testing.assert_close(*stored_numbers, atol=near, rtol=0.13 if stored is FP8 else near)


def test_a_row_is_the_same_beside_any_other() -> None:
    """Fails when the number of parts, and so the order of a sum, depends on other rows' lengths."""
    network = network_of(2, 2, 64, torch.float32)
    attention = SplitAttention(network, torch.float32, 2)
    new = torch.randn(2, 6, 64, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    outs = []
    for other in (0, 250):
        cache = filled_cache(network.shape, [200, other], 320, torch.float32, 1)
        outs.append(attention.bind(cache, torch.tensor([200, other], device=DEVICE))(0, new)[0])
    assert torch.equal(*outs)


@given(st.integers(1, 4096), st.integers(1, 200), st.integers(1, 8192), st.sampled_from([16, 32, 64]))
def test_parts_are_powers_of_two_worth_their_start(
    units: int, processors: int, slots: int, block: int
) -> None:
    """Fails when a number of parts is one that Triton cannot index, or most parts would be empty."""
    parts = plan_splits(units, processors, slots, block)
    assert parts & (parts - 1) == 0 and 1 <= parts <= 64
    assert parts == 1 or parts * 2 * block <= slots
    assert parts in (1, 64) or parts * 2 * block * 2 > slots or units * parts >= 8 * processors
    assert block_slots(64, 2) == 64 and block_slots(128, 4) == 16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pointwise_kernels_compute_what_torch_does(dtype: torch.dtype) -> None:
    """Fails when a row's end is missed, or the sum is not written back."""
    rows, size, inner = 3, 48, 1100
    rng = torch.Generator().manual_seed(0)
    x, y = (
        torch.randn(rows, size, generator=rng).to(DEVICE),
        torch.randn(rows, 32, generator=rng).to(DEVICE, dtype),
    )
    linear = PlainLinear(torch.randn(size, 32, generator=rng).to(DEVICE, dtype), None)
    weight = torch.randn(size, generator=rng).to(DEVICE)
    gate_up = torch.randn(rows, 2 * inner, generator=rng).to(DEVICE, dtype)
    plain = PlainPointwise(1e-5)
    ours = TritonPointwise(1e-5)
    near = {"atol": 1e-5, "rtol": 1e-5} if dtype is torch.float32 else {"atol": 2e-2, "rtol": 2e-2}
    torch.testing.assert_close(ours.norm(x, weight, dtype), plain.norm(x, weight, dtype), **near)
    torch.testing.assert_close(ours.gated(gate_up), plain.gated(gate_up), **near)
    pairs = zip(
        ours.add_norm(linear, x.clone(), y, weight, dtype),
        plain.add_norm(linear, x.clone(), y, weight, dtype),
        strict=True,
    )
    for got, want in pairs:
        torch.testing.assert_close(got, want, **near)


@pytest.mark.parametrize("kv", ["auto", "fp8"])
def test_whole_generations_are_those_of_torch(write_model: WriteModel, kv: str) -> None:
    """Fails when kernels and decoder do not fit together: ids are equal in float32."""
    folder = write_model(head_dim=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)
    plain, ours = (load_language_model(folder, dtype="float32", device=str(DEVICE), kv=kv) for _ in range(2))
    with torch.inference_mode():
        attention = checked(ours.network, ours.arena.dtype, 2)
        ours.use(
            GraphDecoder(ours.network, ours.arena, attention, None if DEVICE.type == "cuda" else run_first)
        )
    prompts, news = [np.arange(40), np.arange(3)], [4, 8]
    for ids, want in zip(
        ours.generate(prompts, news, RANGES), plain.generate(prompts, news, RANGES), strict=True
    ):
        np.testing.assert_array_equal(ids, want)
    assert ours.decoder.name.startswith("Triton split-KV kernel" + (", fp8 cache" if kv == "fp8" else ""))


def test_where_the_kernel_cannot_run_the_reason_is_given(
    write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a machine without Triton or a compiler stops, or a wrong kernel is used."""
    network = network_of(2, 2, 64, torch.float32)
    if DEVICE.type == "cpu":
        with pytest.raises(BackendUnavailableError, match="needs a CUDA device"):
            load_split_attention(network, torch.float32)
    with pytest.raises(BackendUnavailableError, match="head dimension 80 is not a power of two"):
        checked(network_of(2, 2, 80, torch.float32), torch.float32, 2)

    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("Failed to find C compiler.\nSet CC.")

    monkeypatch.setattr(split.BoundSplit, "__call__", broken)
    with pytest.raises(BackendUnavailableError, match=r"^RuntimeError: Failed to find C compiler\.$"):
        checked(network, torch.float32, 2)
    monkeypatch.setattr(split.BoundSplit, "__call__", lambda self, layer, heads: torch.zeros(2, 2, 64))
    with pytest.raises(BackendUnavailableError, match="its result is off by"):
        checked(network, torch.float32, 2)
    nan = torch.full((2, 2, 64), torch.nan)
    monkeypatch.setattr(split.BoundSplit, "__call__", lambda self, layer, heads: nan)
    with pytest.raises(BackendUnavailableError, match="its result is off by nan"):
        checked(network, torch.float32, 2)
