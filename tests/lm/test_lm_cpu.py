"""The CPU's own attention kernel: against torch, in the decoder, with an int8 cache, when it cannot run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import CONFIG, WriteModel

from dacse_cli.errors import DeviceError
from dacse_cli.lm import generate
from dacse_cli.lm.attention.cache import Cache
from dacse_cli.lm.attention.prefix import BackendUnavailableError
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.cpu import attention as cpu_attention
from dacse_cli.lm.cpu.attention import CpuAttention, CpuBackend, load_kernel
from dacse_cli.lm.decoding import backends
from dacse_cli.lm.decoding.greedy import EagerDecoder
from dacse_cli.lm.shape import parse_shape

D = 16
RANGES = [(5, 17), (17, 29), (29, 41)]
KINDS = [
    (torch.float32, torch.float32, 2e-6),
    (torch.bfloat16, torch.bfloat16, 1e-2),
    pytest.param(torch.float32, torch.int8, 4e-2, marks=pytest.mark.ci),
    (torch.bfloat16, torch.int8, 5e-2),
]


def attended(heads: torch.Tensor, history: torch.Tensor, position: int) -> torch.Tensor:
    """One row by the definition: heads `[Q, G * H + 2 * H, D]`, history `[2, H, L, D]` -> `[Q, G * H, D]`."""
    H = history.shape[1]
    Q, queries = heads.shape[0], heads.shape[1] - 2 * H
    new = heads[:, queries:].unflatten(1, (2, H)).permute(1, 2, 0, 3)
    keys, values = torch.cat([history[:, :, :position], new], dim=2).repeat_interleave(queries // H, dim=1)
    mask = torch.ones(Q, position + Q, dtype=torch.bool).tril(position)
    return F.scaled_dot_product_attention(heads[:, :queries].transpose(0, 1), keys, values, mask).transpose(
        0, 1
    )


@pytest.mark.parametrize(("dtype", "stored", "near"), KINDS)
@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=4),
    st.integers(1, 3),
    st.sampled_from([1, 2]),
    st.data(),
)
@settings(max_examples=25, deadline=None)
def test_the_kernel_attends_as_torch_does(
    dtype: torch.dtype,
    stored: torch.dtype,
    near: float,
    positions: list[int],
    Q: int,
    G: int,
    data: st.DataObject,
) -> None:
    """Fails when a row reads another's slots, a block's edge is lost, or a token sees its future."""
    B, H, L = len(positions), 2, 210
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    history = torch.randn(B, 2, H, L, D, generator=rng).to(dtype)
    heads = torch.randn(B, Q, (G + 2) * H, D, generator=rng).to(dtype)
    cache = Cache(
        torch.full((1, 2, B, H, L, D), 77, dtype=stored),
        torch.ones(1, 2, B, H, L) if stored is torch.int8 else None,
    )
    cache.fill(0, history.permute(0, 3, 1, 2, 4))
    attention = CpuAttention(cache, load_kernel(D, dtype, stored))
    attention.place(np.array(positions))
    got = attention(0, heads.flatten(0, 1)).view(B, Q, G * H, D).float()
    for b, position in enumerate(positions):
        want = attended(heads[b].float(), history[b].float(), position)
        torch.testing.assert_close(got[b], want, atol=near, rtol=near)


def test_threads_share_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a head is left out or done twice where work is shared."""
    monkeypatch.setattr(cpu_attention, "MIN_SHARED_BYTES", 0)
    torch.set_num_threads(3)
    cache = Cache(torch.randn(1, 2, 2, 5, 40, D))
    heads = torch.randn(2, 15, D)
    outputs = []
    for threads in (3, 1):
        torch.set_num_threads(threads)
        attention = CpuAttention(cache, load_kernel(D, torch.float32, torch.float32))
        attention.place(np.array([30, 7]))
        outputs.append(attention(0, heads))
    assert torch.equal(*outputs)


@pytest.mark.parametrize("heads", [1, 2, 4])
@given(st.lists(st.tuples(st.integers(1, 24), st.integers(1, 24)), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_the_rung_writes_the_tokens_of_torch(
    shared: dict[int, tuple[generate.LanguageModel, EagerDecoder]],
    heads: int,
    lengths: list[tuple[int, int]],
) -> None:
    """Fails when rows from slot 0 and rows that end together are not the same computation."""
    model, plain = shared[heads]
    prompts = [np.random.default_rng(i).integers(0, 41, p) for i, (p, _) in enumerate(lengths)]
    news = [n for _, n in lengths]
    ours = model.generate(prompts, news, RANGES)
    kernel = model.decoder
    model.use(plain)
    theirs = model.generate(prompts, news, RANGES)
    model.use(kernel)
    assert kernel.name == "dacse's CPU kernel"
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[int, tuple[generate.LanguageModel, EagerDecoder]]:
    """For several numbers of key heads, a model with the kernel and a plain decoder of it."""
    import json

    from safetensors.torch import save_file
    from tiny_llama import CONFIG, random_tensors

    made = {}
    for heads in (1, 2, 4):
        folder = tmp_path_factory.mktemp("kernel")
        config = CONFIG | {"num_key_value_heads": heads, "head_dim": D}
        (folder / "config.json").write_text(json.dumps(config))
        save_file(random_tensors(config), folder / "model.safetensors")
        model = load_language_model(folder)
        made[heads] = model, EagerDecoder(model.network, model.arena)
    return made


def test_an_int8_cache_is_a_quarter_and_near(write_model: WriteModel) -> None:
    """Fails when scales are lost, a row's memory is miscounted, or quantised values are read as they are."""
    folder = write_model(head_dim=64, hidden_size=64)
    exact, rough = load_language_model(folder), load_language_model(folder, kv="int8")
    assert exact.row_bytes(10) == 10 * 2 * 2 * 2 * 64 * 4
    assert rough.row_bytes(10) == 10 * 2 * 2 * 2 * (64 + 4)
    prompts = [np.random.default_rng(i).integers(0, 41, 60) for i in range(8)]
    ours = np.stack(rough.generate(prompts, [20] * 8, RANGES))
    theirs = np.stack(exact.generate(prompts, [20] * 8, RANGES))
    assert (ours[:, 0] == theirs[:, 0]).all()  # the prompt attends to itself unrounded
    assert (ours == theirs).mean() > 0.5
    assert "dacse's CPU kernel, int8 cache" in rough.describe()
    memory = rough.arena.memory.nbytes + rough.arena.scales.nbytes
    assert memory == 8 * rough.row_bytes(79)


def test_without_the_compiler_torch_attends(write_model: WriteModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a machine without numba cannot run, or does not say why it is slower."""

    def missing(*args: object) -> None:
        raise BackendUnavailableError("ModuleNotFoundError: No module named 'numba'")

    monkeypatch.setattr(backends, "load_kernel", missing)
    folder = write_model(head_dim=D)
    model = load_language_model(folder)
    assert model.describe().endswith(
        "torch SDPA (dacse's CPU kernel: ModuleNotFoundError: No module named 'numba')"
    )
    assert len(model.generate([np.array([1, 2, 3])], [9], RANGES)[0]) == 9
    with pytest.raises(DeviceError, match="int8 cache is not available: ModuleNotFoundError"):
        load_language_model(folder, kv="int8")


def test_large_networks_take_what_the_cpu_is_fast_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a small network is rounded for nothing, or a CPU without bfloat16 has to emulate it."""
    small = parse_shape(CONFIG | {"head_dim": D})
    large = replace(small, hidden=1024, intermediate=3000, layers=18)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert cpu_attention.fastest_dtype(large) is torch.bfloat16
    assert cpu_attention.fastest_dtype(small) is torch.float32
    assert (
        cpu_attention.fastest_dtype(replace(large, head_dim=8)) is torch.float32
    )  # left to torch's attention
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    assert cpu_attention.fastest_dtype(large) is torch.float32


def test_a_kernel_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a compiler's error turns into wrong sound."""
    from dacse_cli.lm.cpu import kernel

    def compile_zeros(head_dim: int, *, keep: bool) -> cpu_attention.Kernel:
        return lambda *args: args[6].fill(0)

    monkeypatch.setattr(kernel, "compile_attend", compile_zeros)
    with pytest.raises(BackendUnavailableError, match="ArithmeticError: its result is off by"):
        load_kernel.__wrapped__(D, torch.float32, torch.float32)


def test_a_kernel_that_cannot_be_kept_is_compiled_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a full disk or a read-only home costs the fast rung."""
    from dacse_cli.lm.cpu import kernel

    asked: list[bool] = []
    ready = load_kernel(D, torch.float32, torch.float32)

    def compile_or_not(head_dim: int, *, keep: bool) -> cpu_attention.Kernel:
        asked.append(keep)
        if keep:
            raise RuntimeError("cannot cache function 'attend': no locator available")
        return ready

    monkeypatch.setattr(kernel, "compile_attend", compile_or_not)
    assert load_kernel.__wrapped__(D, torch.float32, torch.float32) is ready
    assert asked == [True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_numbers_are_left_to_torch(dtype: torch.dtype) -> None:
    """Fails when the bits of one format are read as another."""
    with pytest.raises(BackendUnavailableError, match="no kernel"):
        load_kernel(D, dtype, dtype)


def test_the_rung_is_named() -> None:
    """Fails when `-v` no longer tells which cache a run used."""
    kernel = load_kernel(D, torch.float32, torch.float32)
    assert CpuBackend(kernel, torch.int8).name == "dacse's CPU kernel, int8 cache"
