"""Decoding with positions on the device. On a CPU, kernel and capture are plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from device_attention import run_first, use_graphs, varlen_stand_in
from tiny_llama import WriteModel

from dacse_cli.interfaces import Draw
from dacse_cli.lm.attention.prefix import BackendUnavailableError
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.decoding.backends import find_decoders
from dacse_cli.lm.decoding.greedy import EagerDecoder
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.gpu import varlen
from dacse_cli.lm.gpu.capture import NoCapture, graph_rows
from dacse_cli.lm.gpu.graphs import GraphDecoder
from dacse_cli.lm.gpu.varlen import load_varlen
from dacse_cli.lm.rows import FixedShape

RANGES = [(5, 17), (17, 29), (29, 41)]
REQUESTS = [
    [(9, 20)],
    [(9, 20), (9, 20)],
    [(30, 7), (4, 40), (1, 1), (12, 40)],
    [(5, 1)],
    [(99, 29), (2, 29)],
]


class CountedCapture:
    """Counts captures."""

    name = ", counted"

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, body: Callable[[], None]) -> Callable[[], None]:
        self.count += 1
        return run_first(body)


@pytest.fixture
def pair(write_model: WriteModel) -> tuple[LanguageModel, LanguageModel]:
    folder = write_model()
    return load_language_model(folder), use_graphs(load_language_model(folder))


def prompts_of(requests: list[tuple[int, int]]) -> list[np.ndarray]:
    return [np.random.default_rng(i).integers(0, 41, length) for i, (length, _) in enumerate(requests)]


def generated(
    model: LanguageModel, requests: list[tuple[int, int]], draws: list[Draw] | None = None
) -> list[np.ndarray]:
    return model.generate(prompts_of(requests), [new for _, new in requests], RANGES, draws=draws)


def test_positions_on_the_device_write_the_same_tokens(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a cycle slips against the ranges, a row reads another's slots, or state leaks."""
    plain, graphs = pair
    for requests in (*REQUESTS, *REQUESTS[::-1]):
        for ids, want in zip(generated(graphs, requests), generated(plain, requests), strict=True):
            np.testing.assert_array_equal(ids, want)


def test_graphs_draw_as_eager_steps_do(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when noise is shifted against the tokens, or is left over for the next batch."""
    plain, graphs = pair
    for requests in REQUESTS:
        draws = [Draw(0.9, seed) for seed in range(len(requests))]
        for some in (draws, None):
            for ids, want in zip(
                generated(graphs, requests, some), generated(plain, requests, some), strict=True
            ):
                np.testing.assert_array_equal(ids, want)


def test_a_smaller_batch_keeps_the_graphs(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a tail or a batch of fewer rows captures anew, which takes seconds each."""
    capture = CountedCapture()
    graphs = use_graphs(pair[1], capture)
    generated(graphs, [(30, 30)] * 4)
    assert capture.count == 1
    generated(graphs, [(30, 30)] * 3)
    generated(graphs, [(9, 20)] * 4)
    assert capture.count == 1
    generated(graphs, [(30, 30), (9, 3)])  # two rows, then one
    assert capture.count == 3
    generated(graphs, [(60, 60)])  # longer than the layout, which grows and keeps its rows
    generated(graphs, [(30, 30)] * 4)
    assert capture.count == 5
    generated(graphs, [(60, 60)] * 4)
    assert capture.count == 5


def test_a_layout_that_cannot_grow_gives_way(
    pair: tuple[LanguageModel, LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when one long row is refused because all rows of the largest batch could not be as long."""
    graphs = pair[1]
    view = graphs.arena.view

    def limited(rows: int, positions: int, **options: bool) -> object:
        if rows * positions > 256:
            raise torch.OutOfMemoryError("out of memory")
        return view(rows, positions, **options)

    monkeypatch.setattr(graphs.arena, "view", limited)
    generated(graphs, [(20, 20)] * 4)
    assert len(generated(graphs, [(60, 60)])[0]) == 60
    assert len(generated(graphs, [(20, 20)] * 4)) == 4


def test_all_graphs_can_be_captured_before_the_first_batch(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a batch waits for a capture although the model was loaded for batches of its size."""
    capture = CountedCapture()
    graphs = use_graphs(pair[1], capture)
    graphs.prepare(6, 128, RANGES)
    assert capture.count == 4  # 6, 4, 2 and 1 rows
    for requests in REQUESTS:
        generated(graphs, requests)
    assert capture.count == 4


def test_graphs_do_not_outlive_their_memory(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when the cache grows for another decoder and graphs keep the old memory, or read it."""
    plain, graphs = pair
    decoder = graphs.decoder
    assert isinstance(decoder, GraphDecoder)
    generated(graphs, [(9, 20)])
    assert decoder._state is not None
    graphs.arena.view(8, 128)
    assert decoder._state is None
    np.testing.assert_array_equal(generated(graphs, [(9, 20)])[0], generated(plain, [(9, 20)])[0])
    graphs.release()
    assert decoder._state is None and graphs.arena.memory.numel() == 0


def test_a_fixed_shape_has_one_graph(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when the rows of a fixed shape are computed in another shape for another batch."""
    capture = CountedCapture()
    graphs = use_graphs(pair[1], capture)
    graphs.fix(FixedShape(5, 30, 60))
    graphs.prepare(8, 40, RANGES)
    assert capture.count == 1
    for requests in ([(9, 20)], [(30, 7), (4, 30), (1, 1)], [(12, 30)] * 5):
        for ids, want in zip(generated(graphs, requests), generated(pair[0], requests), strict=True):
            np.testing.assert_array_equal(ids, want)
    assert capture.count == 1


def test_progress_of_graphs(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a long batch of graphs is silent or counts beyond its end."""
    heard: list[int] = []
    pair[1].generate(prompts_of([(4, 0)]), [110], RANGES, heard.append)
    assert heard == sorted(heard)
    assert (heard[0], heard[-1], len(heard)) == (0, 110, 4)


def test_a_capture_that_fails_steps_down(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a driver that cannot capture stops the run, or the reason is not reported."""
    plain, graphs = pair

    def fail(body: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    ids = generated(use_graphs(graphs, fail), [(9, 20)])[0]
    np.testing.assert_array_equal(ids, generated(plain, [(9, 20)])[0])
    assert graphs.describe().endswith(
        "torch SDPA (varlen_attn: RuntimeError: operation not permitted when stream is capturing)"
    )


def test_steps_run_without_graphs(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when the second way of the ladder, the same kernel without graphs, differs from the first."""
    plain, graphs = pair
    graphs = use_graphs(graphs, NoCapture())
    assert graphs.decoder.name == "varlen_attn, no graphs"
    for ids, want in zip(generated(graphs, REQUESTS[2]), generated(plain, REQUESTS[2]), strict=True):
        np.testing.assert_array_equal(ids, want)


def test_out_of_memory_is_not_a_reason_to_step_down(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a batch that is too large silently moves the rest of the run to the slow way."""

    def fail(body: Callable[[], None]) -> Callable[[], None]:
        raise torch.OutOfMemoryError("out of memory")

    graphs = use_graphs(pair[1], fail)
    with pytest.raises(torch.OutOfMemoryError):
        generated(graphs, [(9, 20)])
    assert isinstance(graphs.decoder, GraphDecoder)


def test_captured_rows_hold_their_rows() -> None:
    """Fails when a graph has fewer rows than it serves, or there are too many to capture at load."""
    sizes = {rows: graph_rows(rows, 48) for rows in range(1, 49)}
    assert all(size >= rows for rows, size in sizes.items())
    assert sorted(set(sizes.values())) == [1, 2, 4, 8, 16, 32, 48]


def test_a_cpu_is_told_from_a_gpu(pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Fails when a CUDA kernel is chosen where there is no CUDA."""
    plain = pair[0]
    assert all(isinstance(way, EagerDecoder) for way in find_decoders(plain.network, plain.arena).decoders)
    with pytest.raises(BackendUnavailableError, match="needs a CUDA device"):
        load_varlen(plain.network, torch.bfloat16)


def test_an_old_torch_says_what_it_lacks(
    pair: tuple[LanguageModel, LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when torch 2.10 and 2.11, whose varlen_attn_out reads no lengths from the device, stop a run."""
    network = pair[0].network
    monkeypatch.setattr(network, "device", torch.device("cuda"))
    monkeypatch.setattr(network, "dtype", torch.bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(varlen, "NEEDED", ("seqused_k", "an_argument_of_the_future"))
    with pytest.raises(BackendUnavailableError, match=r"_out of torch 2.* has no (seqused_k|an_arg)"):
        load_varlen(network, torch.bfloat16)
    with pytest.raises(BackendUnavailableError, match="takes bfloat16 or float16"):
        load_varlen(network, torch.float8_e4m3fn)


def test_the_stand_in_is_called_as_torch_allows() -> None:
    """Fails when the fallback passes `varlen_attn_out` an argument it does not have (torch 2.12 on)."""
    import inspect

    from torch.nn.attention.varlen import varlen_attn_out

    theirs = inspect.signature(varlen_attn_out).parameters
    if "seqused_k" not in theirs:
        pytest.skip("torch before 2.12")
    ours = inspect.signature(varlen_stand_in).parameters
    assert {name for name in ours if ours[name].kind is inspect.Parameter.KEYWORD_ONLY} <= set(theirs)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_graphs_on_a_gpu_agree_with_eager_steps(write_model: WriteModel, dtype: str) -> None:
    """Fails when the captured graph or the kernel computes something else than eager steps.

    Half precision flips near-ties, so the first tokens are compared, and most of all.
    """
    folder = write_model(hidden_size=128, head_dim=32)
    graphs = load_language_model(folder, device="cuda", dtype=dtype)
    assert isinstance(graphs.decoder, GraphDecoder)
    eager = load_language_model(folder, device="cuda", dtype=dtype)
    eager.use(EagerDecoder(eager.network, eager.arena))
    for requests in REQUESTS:
        pairs: Any = zip(generated(graphs, requests), generated(eager, requests), strict=True)
        for ids, want in pairs:
            np.testing.assert_array_equal(ids[:3], want[:3])
            assert (ids == want).mean() > 0.5
    assert graphs.describe().endswith("Triton split-KV kernel, CUDA graphs")


@pytest.mark.gpu
def test_float32_on_a_gpu_writes_the_tokens_of_the_cpu(write_model: WriteModel) -> None:
    """Fails when TF32 or another kernel makes the exact path inexact."""
    folder = write_model(head_dim=16)
    on_cpu, on_gpu = load_language_model(folder), load_language_model(folder, device="cuda", dtype="float32")
    for requests in REQUESTS:
        for ids, want in zip(generated(on_gpu, requests), generated(on_cpu, requests), strict=True):
            np.testing.assert_array_equal(ids, want)
