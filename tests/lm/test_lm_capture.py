"""Captured graphs and their memory, against torch's rules, without CUDA."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from device_attention import use_graphs
from fake_cuda import FakeCuda
from tiny_llama import WriteModel

from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.gpu.capture import GraphCapture, NoCapture
from dacse_cli.lm.gpu.graphs import GraphDecoder

RANGES = [(5, 17), (17, 29), (29, 41)]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    return FakeCuda().install(monkeypatch)


@pytest.fixture
def model(write_model: WriteModel) -> LanguageModel:
    return load_language_model(write_model())


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def generate(model: LanguageModel, rows: int, new: int) -> None:
    model.generate([np.arange(9)] * rows, [new] * rows, RANGES)


def decoder_of(model: LanguageModel) -> GraphDecoder:
    assert isinstance(model.decoder, GraphDecoder)
    return model.decoder


def test_no_graph_is_captured_into_a_pool_that_lost_its_graphs(cuda: FakeCuda, model: LanguageModel) -> None:
    """Fails when releasing the cache, or a batch that does not fit, ends in an assertion of torch's."""
    use_graphs(model, GraphCapture())
    generate(model, 3, 20)
    model.release()
    generate(model, 3, 20)
    generate(model, 2, 90)  # does not fit the layout
    model.prepare(4, 60, RANGES)
    assert decoder_of(model).name == "varlen_attn, CUDA graphs" and cuda.handles == 4
    assert sorted(cuda.uses.values()) == [0, 0, 0, 3], "graphs that exist share one pool"


def test_a_failed_capture_leaves_no_pool_without_graphs(cuda: FakeCuda) -> None:
    """Fails when the batch that follows one too large for the memory is refused by torch."""
    capture, calls = GraphCapture(), iter(range(9))

    def body() -> None:
        if next(calls) == 1:
            raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        capture(body)
    replay = capture(body)
    assert sorted(cuda.uses.values()) == [0, 1]
    del replay


def test_captures_on_one_device_share_a_stream(cuda: FakeCuda) -> None:
    """Fails when every capture keeps the memory of a stream of its own, or captures on another device's."""
    capture = GraphCapture()
    replays = [capture(lambda: None) for _ in range(3)]
    assert len(cuda.streams) == 1 and {stream for _, stream in cuda.used} == set(cuda.streams)
    cuda.device = 1
    replays.append(capture(lambda: None))
    assert len(cuda.streams) == 2
    assert cuda.used[-2:] == [("warm-up", cuda.streams[1]), ("capture", cuda.streams[1])]


@pytest.mark.parametrize("capture", [NoCapture, GraphCapture])
def test_releasing_frees_the_state_at_once(
    capture: type[NoCapture | GraphCapture], cuda: FakeCuda, model: LanguageModel, no_collection: None
) -> None:
    """Fails when the cache outlives `release` until Python collects garbage."""
    use_graphs(model, capture())
    generate(model, 3, 20)
    state = weakref.ref(decoder_of(model)._state)
    assert state() is not None
    model.release()
    assert state() is None


def test_a_layout_is_freed_before_the_next_is_allocated(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, no_collection: None
) -> None:
    """Fails when a cache that grows needs the memory of both."""
    use_graphs(model, NoCapture())
    generate(model, 3, 20)
    state, view, alive = weakref.ref(decoder_of(model)._state), model.arena.view, []

    def watched(rows: int, positions: int, **options: bool) -> object:
        alive.append(state() is not None)
        return view(rows, positions, **options)

    monkeypatch.setattr(model.arena, "view", watched)
    generate(model, 3, 90)
    assert alive[0] is False
