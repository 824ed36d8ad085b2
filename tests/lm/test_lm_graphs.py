"""The CUDA rung. On a CPU the kernel and the capture are replaced by plain functions with their contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_llama import WriteModel

from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.graphs import GraphDecoder, find_kernel, row_bucket
from dacse_cli.lm.greedy import EagerDecoder

RANGES = [(5, 17), (17, 29), (29, 41)]
REQUESTS = [
    [(9, 20)],
    [(9, 20), (9, 20)],
    [(30, 7), (4, 40), (1, 1), (12, 40)],
    [(5, 1)],
    [(99, 29), (2, 29)],
]


def varlen_stand_in(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    query_bounds: torch.Tensor,
    key_bounds: torch.Tensor,
    longest_query: int,
    longest_key: int,
    *,
    enable_gqa: bool,
    seqused_k: torch.Tensor,
    num_splits: int | None,
) -> torch.Tensor:
    """`varlen_attn` with one query a row, as its documentation defines it."""
    assert query_bounds.tolist() == list(range(len(q) + 1))
    assert q.shape[1] == k.shape[1] or enable_gqa
    rows = []
    for row, used in enumerate(seqused_k.tolist()):
        start, stop = key_bounds[row : row + 2].tolist()
        assert 1 <= used <= stop - start <= longest_key
        keys, values = (t[start : start + used].transpose(0, 1) for t in (k, v))
        rows.append(
            F.scaled_dot_product_attention(q[row][:, None], keys, values, enable_gqa=enable_gqa)[:, 0]
        )
    return torch.stack(rows)


def play_twice(body: Callable[[], None]) -> Callable[[], None]:
    """What capturing does to memory: the body has run before its first replay."""
    body()
    body()
    return body


@pytest.fixture
def pair(write_model: WriteModel) -> tuple[LanguageModel, LanguageModel]:
    folder = write_model()
    plain, graphs = load_language_model(folder), load_language_model(folder)
    graphs.decoder = GraphDecoder(graphs.network, graphs.arena, varlen_stand_in, play_twice)
    return plain, graphs


def prompts_of(requests: list[tuple[int, int]]) -> list[np.ndarray]:
    return [np.random.default_rng(i).integers(0, 41, length) for i, (length, _) in enumerate(requests)]


def test_positions_on_the_device_write_the_same_tokens(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a cycle slips against the ranges, a row reads another's slots, or state leaks."""
    plain, graphs = pair
    for requests in (*REQUESTS, *REQUESTS[::-1]):
        prompts, news = prompts_of(requests), [new for _, new in requests]
        expected = plain.generate(prompts, news, RANGES)
        for ids, want in zip(graphs.generate(prompts, news, RANGES), expected, strict=True):
            np.testing.assert_array_equal(ids, want)


def test_graphs_are_kept_between_batches_of_one_layout(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when every batch captures anew (seconds each), or graphs outlive the memory they point to."""
    _, graphs = pair
    captured: list[int] = []

    def count(body: Callable[[], None]) -> Callable[[], None]:
        captured.append(1)
        return play_twice(body)

    graphs.decoder = GraphDecoder(graphs.network, graphs.arena, varlen_stand_in, count)
    prompts = prompts_of([(9, 20), (9, 20)])
    for _ in range(3):
        graphs.generate(prompts, [20, 20], RANGES)
    assert len(captured) == 1
    graphs.release()
    assert graphs.arena.memory.numel() == 0
    graphs.generate(prompts, [20, 20], RANGES)
    assert len(captured) == 2


def test_progress_of_graphs(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a long batch of graphs is silent or counts beyond its end."""
    heard: list[int] = []
    pair[1].generate(prompts_of([(4, 0)]), [110], RANGES, heard.append)
    assert heard == sorted(heard)
    assert (heard[0], heard[-1], len(heard)) == (0, 110, 4)


def test_a_capture_that_fails_steps_down_the_ladder(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a driver that cannot capture stops the run, or the reason is not told."""
    plain, graphs = pair

    def fail(body: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing")

    graphs.decoder = GraphDecoder(graphs.network, graphs.arena, varlen_stand_in, fail)
    prompts = prompts_of([(9, 20)])
    ids = graphs.generate(prompts, [20], RANGES)[0]
    np.testing.assert_array_equal(ids, plain.generate(prompts, [20], RANGES)[0])
    assert "torch SDPA (CUDA graphs over varlen_attn failed: operation not permitted" in graphs.describe()


def test_out_of_memory_is_not_a_reason_to_step_down(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a batch that is too large silently moves the rest of the run to the slow rung."""

    def fail(body: Callable[[], None]) -> Callable[[], None]:
        raise torch.OutOfMemoryError("out of memory")

    graphs = pair[1]
    graphs.decoder = GraphDecoder(graphs.network, graphs.arena, varlen_stand_in, fail)
    with pytest.raises(torch.OutOfMemoryError):
        graphs.generate(prompts_of([(9, 20)]), [20], RANGES)
    assert isinstance(graphs.decoder, GraphDecoder)


def test_buckets_hold_their_rows() -> None:
    """Fails when a bucket is smaller than the rows it serves, or there are too many to capture."""
    sizes = {rows: row_bucket(rows, 64) for rows in range(1, 65)}
    assert all(size >= rows for rows, size in sizes.items())
    assert sorted(set(sizes.values())) == [1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64]
    assert row_bucket(5, 6) == 6


def test_no_kernel_on_a_cpu(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when the CUDA rung is chosen where there is no CUDA."""
    assert find_kernel(pair[0].network) is None


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_graphs_on_a_gpu_agree_with_eager_steps(write_model: WriteModel, dtype: str) -> None:
    """Fails when the captured graph or the kernel computes something else than the eager rung.

    Half precision flips near-ties, so the first tokens are compared, and most of all.
    """
    folder = write_model(hidden_size=128, head_dim=32)
    graphs = load_language_model(folder, device="cuda", dtype=dtype)
    assert isinstance(graphs.decoder, GraphDecoder)
    eager = load_language_model(folder, device="cuda", dtype=dtype)
    eager.decoder = EagerDecoder(eager.network, eager.arena)
    for requests in REQUESTS:
        prompts, news = prompts_of(requests), [new for _, new in requests]
        pairs: Any = zip(
            graphs.generate(prompts, news, RANGES), eager.generate(prompts, news, RANGES), strict=True
        )
        for ids, want in pairs:
            np.testing.assert_array_equal(ids[:3], want[:3])
            assert (ids == want).mean() > 0.5
    assert "failed" not in graphs.describe()


@pytest.mark.gpu
def test_float32_on_a_gpu_writes_the_tokens_of_the_cpu(write_model: WriteModel) -> None:
    """Fails when TF32 or another kernel makes the exact path inexact."""
    folder = write_model()
    for requests in REQUESTS:
        prompts, news = prompts_of(requests), [new for _, new in requests]
        on_cpu = load_language_model(folder).generate(prompts, news, RANGES)
        on_gpu = load_language_model(folder, device="cuda", dtype="float32").generate(prompts, news, RANGES)
        for ids, want in zip(on_gpu, on_cpu, strict=True):
            np.testing.assert_array_equal(ids, want)
