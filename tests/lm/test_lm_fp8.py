"""A cache of fp8 numbers: half the memory, near the exact one, refused where there are no such numbers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import WriteModel

from dacse_cli.errors import DeviceError
from dacse_cli.lm.attention.cache import ROUNDED, Cache, rounded
from dacse_cli.lm.attention.prefix import PrefixAttention, RoundedPrefixAttention
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.rows import FixedShape

RANGES = [(5, 17), (17, 29), (29, 41)]
FP8 = ROUNDED["fp8"]


@given(st.integers(0, 99), st.floats(1e-6, 1e6), st.sampled_from(sorted(ROUNDED)))
@settings(max_examples=50, deadline=None)
def test_rounding_errs_by_a_share_of_the_largest(seed: int, size: float, name: str) -> None:
    """Fails when a scale is lost, or the largest number of a head runs over into NaN."""
    numbers = size * torch.randn(3, 16, generator=torch.Generator().manual_seed(seed))
    stored, scales = rounded(numbers, ROUNDED[name])
    error = (stored.float() * scales.unsqueeze(-1) - numbers).abs().amax(dim=-1)
    assert (error <= numbers.abs().amax(dim=-1) * (1 / 250 if name == "int8" else 1 / 25)).all()
    assert rounded(torch.zeros(2, 16), ROUNDED[name])[0].float().abs().max() == 0


@pytest.mark.parametrize("name", sorted(ROUNDED))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_over_it_is_near(dtype: torch.dtype, name: str) -> None:
    """Fails when the new position is not stored, a scale is another's, or masked slots are read."""
    B, H, L, D = 3, 2, 40, 16
    rng = torch.Generator().manual_seed(0)
    past, heads = torch.randn(B, L, 2, H, D, generator=rng), torch.randn(B, 4 * H, D, generator=rng)
    shape = (1, 2, B, H, L, D)
    exact = Cache(torch.zeros(shape))
    rough = Cache(torch.zeros(shape).to(ROUNDED[name]), torch.full(shape[:-1], torch.nan))
    for cache, kind in ((exact, torch.float32), (rough, dtype)):
        cache.fill(0, past.to(kind))
        cache.clear(slice(1, 2), 7)
    mask = torch.zeros(B, 1, 1, L)
    mask[1, ..., :7] = -torch.inf
    want = PrefixAttention(exact.values, mask)(0, heads)
    got = RoundedPrefixAttention(rough, mask)(0, heads.to(dtype))
    assert got.dtype is dtype
    torch.testing.assert_close(got.float(), want, atol=0.15, rtol=0)


def test_an_fp8_cache_is_half_of_bfloat16_and_near(write_model: WriteModel) -> None:
    """Fails when scales are lost, a row's memory is miscounted, or rows disturb each other."""
    folder = write_model(head_dim=64, hidden_size=64)
    exact, rough = load_language_model(folder), load_language_model(folder, kv="fp8")
    assert rough.row_bytes(10) == 10 * 2 * 2 * 2 * (64 + 4)
    assert "torch SDPA, fp8 cache (dacse's CPU kernel: no kernel for" in rough.describe()
    prompts = [np.random.default_rng(i).integers(0, 41, 60 - i) for i in range(8)]
    ours = np.stack(rough.generate(prompts, [20] * 8, RANGES))
    theirs = np.stack(exact.generate(prompts, [20] * 8, RANGES))
    assert (ours[:, 0] == theirs[:, 0]).all()  # the prompt attends to itself unrounded
    assert (ours == theirs).mean() > 0.4
    memory = rough.arena.memory.nbytes + rough.arena.scales.nbytes
    assert memory == 8 * rough.row_bytes(79)
    for prompt, ids in zip(prompts, ours, strict=True):
        np.testing.assert_array_equal(rough.generate([prompt], [20], RANGES)[0], ids)
    assert not rough.takes_drafts


def test_a_fixed_shape_holds_with_it(write_model: WriteModel) -> None:
    """Fails when `--deterministic` with an fp8 cache reads what another batch left."""
    model = load_language_model(write_model(), dtype="bfloat16", kv="fp8")
    model.fix(FixedShape(3, 24, 60))
    model.arena.memory.view(torch.uint8).fill_(0x7F)  # NaN
    model.arena.scales.fill_(torch.nan)
    mine = np.arange(9)
    alone = model.generate([mine], [12], RANGES)[0]
    company = model.generate([np.arange(20), mine, np.arange(3)], [30, 12, 5], RANGES)[1]
    np.testing.assert_array_equal(alone, company)


@pytest.mark.parametrize(("kv", "device"), [("fp8", "mps"), ("int8", "cuda:0"), ("int8", "mps")])
def test_devices_without_such_numbers_refuse(kv: str, device: str) -> None:
    """Fails when an option that cannot work ends in a traceback of torch's."""
    network = SimpleNamespace(device=torch.device(device))
    with pytest.raises(DeviceError, match=f"an {kv} cache is for .*CPUs, not for {device}"):
        LanguageModel(network, kv=kv)  # type: ignore[arg-type]


@pytest.mark.parametrize(("dtype", "kv", "rows"), [("bfloat16", "auto", 64), ("bfloat16", "fp8", 128)])
def test_a_cache_of_half_the_bytes_is_worth_twice_the_rows(
    write_model: WriteModel, monkeypatch: pytest.MonkeyPatch, dtype: str, kv: str, rows: int
) -> None:
    """Fails when a GPU's batch stays as small as with a bfloat16 cache, where fp8 saves memory alone."""
    model = load_language_model(write_model(), dtype=dtype, kv=kv)
    assert model.useful_rows == 16
    monkeypatch.setattr(model.network, "device", torch.device("cuda"))
    assert model.useful_rows == rows
