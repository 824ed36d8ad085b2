"""The greedy loop: batches, ranges, reports, limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from device_attention import use_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import CONFIG, WriteModel, random_tensors

from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.interfaces import Draw
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.cpu.drafts import Widths
from dacse_cli.lm.decoding.greedy import EagerDecoder
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.linear import PackedLinear, PlainLinear, can_pack, make_linear
from dacse_cli.lm.model import Llama
from dacse_cli.lm.shape import parse_shape
from dacse_cli.lm.weights import load_weights

RANGES = [(5, 17), (17, 29), (29, 41)]
LENGTHS = st.lists(st.tuples(st.integers(1, 24), st.integers(0, 24)), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    from safetensors.torch import save_file

    from dacse_cli.errors import CheckpointError
    from dacse_cli.weights.safetensors_file import find_tensors

    folder: Path = tmp_path_factory.mktemp("llama")
    save_file(random_tensors(CONFIG), folder / "model.safetensors")
    shape = parse_shape(CONFIG)
    with torch.inference_mode():
        return LanguageModel(
            Llama(
                shape,
                load_weights(
                    find_tensors(folder, CheckpointError), shape, torch.device("cpu"), torch.float32
                ),
            )
        )


def prompts_of(lengths: list[int]) -> list[np.ndarray]:
    return [np.random.default_rng(i).integers(0, 41, n) for i, n in enumerate(lengths)]


@given(LENGTHS)
@settings(max_examples=60, deadline=None)
def test_a_batch_equals_single_runs(model: LanguageModel, lengths: list[tuple[int, int]]) -> None:
    """Fails when neighbours, padding, a reused cache or a finished row change what a row says."""
    prompts, news = prompts_of([p for p, _ in lengths]), [n for _, n in lengths]
    together = model.generate(prompts, news, RANGES)
    for prompt, new, ids in zip(prompts, news, together, strict=True):
        np.testing.assert_array_equal(ids, model.generate([prompt], [new], RANGES)[0])
        assert ids.dtype == np.int64
        assert all(RANGES[n % 3][0] <= token < RANGES[n % 3][1] for n, token in enumerate(ids))


@given(LENGTHS)
@settings(max_examples=20, deadline=None)
def test_drawn_rows_are_their_own(model: LanguageModel, lengths: list[tuple[int, int]]) -> None:
    """A file enhanced again must sound the same, whatever else was under way when a chunk was drawn."""
    prompts, news = prompts_of([p for p, _ in lengths]), [n for _, n in lengths]
    draws = [Draw(0.7, seed) for seed in range(len(prompts))]
    together = model.generate(prompts, news, RANGES, draws=draws)
    for prompt, new, draw, ids in zip(prompts, news, draws, together, strict=True):
        np.testing.assert_array_equal(ids, model.generate([prompt], [new], RANGES, draws=[draw])[0])
        assert all(RANGES[n % 3][0] <= token < RANGES[n % 3][1] for n, token in enumerate(ids))


def test_a_draw_follows_the_temperature(model: LanguageModel) -> None:
    """Cold is the best id; at 1 the first ids are spread as softmax says; seeds differ."""
    prompts, rows = prompts_of([9]) * 600, 600
    best = model.generate(prompts[:1], [9], RANGES)[0]
    cold = model.generate(prompts[:1], [9], RANGES, draws=[Draw(1e-6, 3)])[0]
    np.testing.assert_array_equal(cold, best)
    drawn = model.generate(prompts, [1] * rows, [(5, 41)], draws=[Draw(1.0, i) for i in range(rows)])
    counts = np.bincount(np.concatenate(drawn) - 5, minlength=36)
    ids = torch.from_numpy(prompts[0])[None]
    with torch.inference_mode():
        cache = model.arena.view(1, 9)
        logits = model.network.prefill(ids, cache) @ model.network.weights.head[5:41].T
    expected = torch.softmax(logits[0].float(), 0).numpy() * rows
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected.max())
    assert counts.argmax() == expected.argmax() or counts.max() - counts[expected.argmax()] < 40


def test_leftovers_in_the_cache_do_not_reach_a_row(model: LanguageModel) -> None:
    """Fails when unused slots keep what memory held before: 0 * NaN is NaN."""
    prompts = prompts_of([20, 3])
    before = model.generate(prompts, [9, 9], RANGES)
    with torch.inference_mode():
        model.arena.memory.fill_(float("nan"))
    for ids, again in zip(before, model.generate(prompts, [9, 9], RANGES), strict=True):
        np.testing.assert_array_equal(ids, again)


def test_the_cache_is_reused_and_given_back(model: LanguageModel) -> None:
    """Fails when every batch allocates anew, or memory cannot be freed before a retry."""
    model.release()
    model.generate(prompts_of([20, 20]), [10, 10], RANGES)
    where, size = model.arena.memory.data_ptr(), model.arena.memory.numel()
    assert size * 4 == 2 * model.row_bytes(29)
    model.generate(prompts_of([7, 20]), [3, 10], RANGES)
    assert model.arena.memory.data_ptr() == where
    model.release()
    assert model.arena.memory.numel() == 0


def test_progress_is_reported_and_can_stop(model: LanguageModel) -> None:
    """Fails when a cancelled run goes on to its end, or a long batch looks dead."""
    heard: list[int] = []
    model.generate(prompts_of([4, 4]), [60, 101], RANGES, heard.append)
    assert heard == [0, 50, 100, 101]

    class Stop(Exception):
        pass

    def stop(step: int) -> None:
        if step:
            raise Stop

    with pytest.raises(Stop):
        model.generate(prompts_of([4]), [60], RANGES, stop)
    assert len(model.generate(prompts_of([4]), [6], RANGES)[0]) == 6


def test_nothing_to_do(model: LanguageModel) -> None:
    """Fails on an empty batch, or on requests of no tokens."""
    assert model.generate([], [], RANGES) == []
    assert [len(ids) for ids in model.generate(prompts_of([4, 5]), [0, 0], RANGES)] == [0, 0]


def test_the_context_is_a_limit(model: LanguageModel) -> None:
    """Fails when positions beyond the trained ones are used silently, or the last one is refused."""
    assert len(model.generate(prompts_of([100]), [28], RANGES)[0]) == 28
    with pytest.raises(UsageError, match=r"100 \+ 29 tokens .* 128 positions"):
        model.generate(prompts_of([100]), [29], RANGES)


@pytest.mark.parametrize(
    ("prompts", "news", "ranges"),
    [
        ([np.array([41])], [1], RANGES),
        ([np.array([-1])], [1], RANGES),
        ([np.array([], dtype=np.int64)], [1], RANGES),
        ([np.array([1])], [1, 2], RANGES),
        ([np.array([1])], [1], []),
        ([np.array([1])], [1], [(5, 5)]),
        ([np.array([1])], [1], [(0, 42)]),
    ],
)
def test_impossible_requests_are_refused(
    model: LanguageModel, prompts: list[np.ndarray], news: list[int], ranges: list[tuple[int, int]]
) -> None:
    """Fails when a bad id reads memory beyond the embedding, or a range slices an empty head."""
    with pytest.raises(ValueError, match=r"prompt|ranges"):
        model.generate(prompts, news, ranges)


def test_nan_is_an_error_not_a_token(write_model: WriteModel) -> None:
    """Fails when a network that overflows is decoded as if its first token were the best."""
    config = CONFIG | {"num_hidden_layers": 2}
    tensors = random_tensors(config)
    tensors["model.layers.0.mlp.down_proj.weight"] *= 1e4
    tensors["model.layers.0.mlp.up_proj.weight"] *= 1e4
    model = load_language_model(write_model(tensors=tensors), dtype="float16")
    with pytest.raises(CheckpointError, match="NaN or infinite values in float16"):
        model.generate(prompts_of([5]), [5], RANGES)


class Poison:
    """The network's step; the outputs of chosen rows are NaN at chosen steps (0 is the prompt's)."""

    def __init__(self, network: Llama, bad: set[tuple[int, int]]) -> None:
        self._prefill, self._step, self.bad, self.steps = network.prefill, network.step, bad, 0

    def prefill(self, ids: torch.Tensor, cache: object) -> torch.Tensor:
        return self._spoil(self._prefill(ids, cache), 0)

    def step(self, *args: object) -> torch.Tensor:
        self.steps += 1
        return self._spoil(self._step(*args), self.steps)

    def _spoil(self, h: torch.Tensor, step: int) -> torch.Tensor:
        for row, when in self.bad:
            if when == step and row < len(h):
                h[row, 3] = torch.nan
        return h


@pytest.mark.parametrize("way", ["torch", "kernel", "drafts", "graphs"])
@pytest.mark.parametrize(
    ("bad", "refused"),
    [({(0, 0)}, True), ({(1, 2)}, True), ({(0, 9)}, True), ({(1, 4), (1, 9)}, False), (set(), False)],
    ids=["prompt", "row that ends early", "last step", "after a row's end", "none"],
)
def test_nan_of_any_row_at_any_step_is_an_error(
    write_model: WriteModel,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    bad: set[tuple[int, int]],
    refused: bool,
) -> None:
    """Fails when a row that ended before the last step returns tokens picked from NaN.

    What is computed for a row after its end (by graphs) is no row's answer and must not stop the batch.
    """
    model = load_language_model(write_model(head_dim=16))
    if way == "torch":
        model.use(EagerDecoder(model.network, model.arena))
    elif way == "graphs":
        use_graphs(model, lambda body: body)
    poison = Poison(model.network, bad)
    monkeypatch.setattr(model.network, "prefill", poison.prefill)
    monkeypatch.setattr(model.network, "step", poison.step)
    monkeypatch.setattr(Widths, "choose", lambda self, rows, first: 1)
    drafts = [np.full(10, -1), np.full(4, -1)] if way == "drafts" else None
    prompts = [np.arange(5), np.arange(5)]
    if refused:
        with pytest.raises(CheckpointError, match="NaN or infinite values in float32"):
            model.generate(prompts, [10, 4], RANGES, drafts=drafts)
    else:
        assert [len(ids) for ids in model.generate(prompts, [10, 4], RANGES, drafts=drafts)] == [10, 4]


def test_what_runs_is_told(model: LanguageModel) -> None:
    """Fails when logs no longer say which engine ran."""
    assert model.describe() == (
        "Llama 2 x 32, 4/2 heads, float32 on cpu, attention: torch SDPA "
        "(dacse's CPU kernel: head dimension 8 is not a multiple of 16)"
    )
    assert (model.device, model.dtype, model.vocab_size, model.max_positions) == ("cpu", "float32", 41, 128)
    assert model.row_bytes(10) == 10 * 2 * 2 * 2 * 8 * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 8, 40])
def test_packed_products_equal_plain_ones(dtype: torch.dtype, bias: bool, rows: int) -> None:
    """Fails when oneDNN's private operators change their meaning in another torch."""
    if not can_pack(dtype):
        pytest.skip("this torch build cannot pack weights")
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(400, 256, generator=rng).to(dtype)
    offset = torch.randn(400, generator=rng).to(dtype) if bias else None
    x, residual = torch.randn(rows, 256, generator=rng).to(dtype), torch.randn(rows, 400, generator=rng)
    packed, plain = make_linear(weight, offset), PlainLinear(weight, offset)
    assert isinstance(packed, PackedLinear)
    near = {"rtol": 1e-4, "atol": 1e-4} if dtype is torch.float32 else {"rtol": 2e-2, "atol": 0.3}
    torch.testing.assert_close(packed(x), plain(x), **near)
    summed = packed.add_to(residual.clone(), x)
    assert summed.dtype is torch.float32
    torch.testing.assert_close(summed, plain.add_to(residual.clone(), x), **near)
