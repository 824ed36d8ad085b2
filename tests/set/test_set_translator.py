"""Chunks in, chunks out: batches, fixed shapes, draws, long recordings, bad input."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_cuda import FakeCuda
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_set import BASELINE, CONFIG, LSTM, K, V, tiny_network

from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.interfaces import Codes, Draw, Latents, Translator
from dacse_cli.set.graphs import GraphSearch
from dacse_cli.set.shape import SearchShape
from dacse_cli.set.translator import SetTranslator

LATENTS = {
    k: v for k, v in BASELINE.items() if k not in ("codebooks", "codebook_size", "embedding_width")
} | {"latents": 6}
CPU = torch.device("cpu")


def translator(config: dict[str, Any] = CONFIG, **search: Any) -> SetTranslator:
    return SetTranslator(tiny_network(config), CPU, torch.float32, replace(SearchShape(), **search))


def rows(lengths: list[int], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(V, size=(K, length)).astype(np.int16) for length in lengths]


@pytest.mark.parametrize("config", [CONFIG, LSTM, BASELINE], ids=["conformer", "lstm", "baseline"])
@pytest.mark.parametrize("beam", [1, 3])
def test_a_batch_is_its_rows_in_their_order(config: dict[str, Any], beam: int) -> None:
    if config is BASELINE and beam > 1:
        pytest.skip("a baseline has no beam")
    made: Translator = translator(config, beam=beam)
    given_rows = rows([9, 0, 21, 1, 21])
    found = made.translate(given_rows)
    for row, clean in zip(given_rows, found, strict=True):
        assert clean.dtype == np.int16 and clean.shape == row.shape
        np.testing.assert_array_equal(clean, made.translate([row])[0])


@pytest.mark.parametrize(
    ("config", "beam"), [(CONFIG, 1), (CONFIG, 4), (BASELINE, 1)], ids=["conformer", "beam", "baseline"]
)
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_in_a_fixed_shape_no_row_depends_on_the_others(
    config: dict[str, Any], beam: int, lengths: list[int]
) -> None:
    made, free = translator(config, beam=beam), translator(config, beam=beam)
    made.fix(4, 20)
    given_rows = rows(lengths)
    if beam > 1:  # the best hypothesis was that of the last frame of the shape
        for clean, want in zip(made.translate(given_rows), free.translate(given_rows), strict=True):
            np.testing.assert_array_equal(clean, want)
    for row, clean in zip(given_rows, made.translate(given_rows), strict=True):
        np.testing.assert_array_equal(clean, made.translate([row])[0])
    with pytest.raises(ValueError, match="does not fit"):
        made.translate(rows([21]))


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("config", [CONFIG, LSTM], ids=["conformer", "lstm"])
def test_captured_steps_equal_plain_ones(config: dict[str, Any], beam: int) -> None:
    """A plain call stands in for the capture; attention spans more frames than there are."""
    plain, graphs = translator(config, beam=beam), translator(config, beam=beam)
    assert graphs._scoring is not None
    captured: list[int] = []
    graphs._graphs = GraphSearch(graphs._scoring, lambda body: captured.append(1) or body)
    batches = [rows([70, 9, 3]), rows([64, 30]), rows([70, 9, 3], seed=1), rows([5])]
    for batch in batches:
        for got, want in zip(graphs.translate(batch), plain.translate(batch), strict=True):
            np.testing.assert_array_equal(got, want)
    assert len(captured) == 3, "one graph a span; the last batch is too small for the first one's"


def test_a_batch_of_another_shape_gets_another_memory_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when torch refuses to capture into the pool of graphs that are gone."""
    cuda = FakeCuda().install(monkeypatch)
    made = translator()
    assert made._scoring is not None
    made._graphs = GraphSearch(made._scoring)
    for lengths in ([9, 3], [70], [5] * 9):
        made.translate(rows(lengths))
    made.release()
    made.translate(rows([9, 3]))
    assert "CUDA graphs" in made.describe()
    assert sorted(cuda.uses.values()) == [0, 0, 0, 1]


def test_released_steps_free_their_tensors_at_once() -> None:
    """Fails when plain functions in the place of graphs keep the tensors until Python collects garbage."""
    made = translator()
    assert made._scoring is not None
    made._graphs = GraphSearch(made._scoring, lambda body: body)
    made.translate(rows([9, 3]))
    state = weakref.ref(made._graphs._state)
    gc.collect()
    gc.disable()
    try:
        made.release()
        assert state() is None
    finally:
        gc.enable()


def test_where_graphs_cannot_be_captured_plain_steps_run() -> None:
    def refuse(body: Any) -> Any:
        raise RuntimeError("no capture here")

    plain, graphs = translator(), translator()
    assert graphs._scoring is not None
    graphs._graphs = GraphSearch(graphs._scoring, refuse)
    for got, want in zip(graphs.translate(rows([5])), plain.translate(rows([5])), strict=True):
        np.testing.assert_array_equal(got, want)
    assert "no capture here" in graphs.describe()


@pytest.mark.parametrize("config", [CONFIG, BASELINE], ids=["conformer", "baseline"])
def test_draws_repeat_by_seed_and_not_by_batch(config: dict[str, Any]) -> None:
    made = translator(config)
    given_rows = rows([12, 15])
    draws = [Draw(3.0, 1), Draw(3.0, 2)]
    first, second = made.translate(given_rows, draws), made.translate(given_rows, draws)
    alone = [made.translate([row], [draw])[0] for row, draw in zip(given_rows, draws, strict=True)]
    for found in zip(first, second, alone, strict=True):
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])
    assert (first[0] != made.translate(given_rows)[0]).any()
    cold = made.translate(given_rows, [Draw(1e-6, 1)] * 2)
    np.testing.assert_array_equal(cold[0], made.translate(given_rows)[0])


def test_latents_go_in_and_out() -> None:
    made = translator(LATENTS)
    assert made.units == Latents(6) and not made.redraws
    noisy = [np.random.default_rng(i).normal(size=(6, t)).astype(np.float32) for i, t in enumerate((7, 12))]
    found = made.translate(noisy)
    assert [row.shape for row in found] == [(6, 7), (6, 12)] and found[0].dtype == np.float32
    np.testing.assert_allclose(found[0], made.translate(noisy[:1])[0], atol=2e-5)


def test_progress_and_stopping() -> None:
    told: list[int] = []
    translator().translate(rows([60, 30]), on_frame=told.append)
    assert told == [25, 50, 60]

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translator().translate(rows([60]), on_frame=stop)


def test_units_that_do_not_fit_are_refused() -> None:
    made = translator()
    assert made.units == Codes(K, V) and made.max_frames == 200 and made.context == (5, 4)
    with pytest.raises(UsageError, match="201 frames with their context are more than the model's 200"):
        made.translate(rows([201]))
    with pytest.raises(ValueError, match="codes must be from 0 to 10"):
        made.translate([np.full((K, 3), V, np.int16)])
    with pytest.raises(ValueError, match="units must be"):
        made.translate([np.zeros((K + 1, 3), np.int16)])


@pytest.mark.parametrize("config", [CONFIG, BASELINE], ids=["conformer", "baseline"])
def test_nan_outputs_raise_an_error(config: dict[str, Any]) -> None:
    made = translator(config)
    with torch.no_grad():
        made._network.encoder.conformer.norm.bias[0] = torch.nan
    with pytest.raises(CheckpointError, match="computes NaN"):
        made.translate(rows([4]))


def test_describe_names_size_and_search() -> None:
    assert translator(beam=4).describe() == (
        "SET conformer 2 x 16, conformer 2 x 16, beam 4 (best), float32 on cpu"
    )
    assert translator(BASELINE).describe() == "SET conformer 2 x 16, no predictor, float32 on cpu"
    made = translator()
    assert made.row_bytes(20) == 2 * made.row_bytes(10) > 0
    made.release()


def test_a_model_folder_is_loaded_and_its_faults_are_named(tmp_path: Path) -> None:
    """Written, read, the same answers; what is wrong with a folder is one line."""
    from dacse_cli.set.checkpoint import save_network
    from dacse_cli.set.translator import load_set

    for name, config in {"set": CONFIG, "lstm": LSTM, "baseline": BASELINE, "latents": LATENTS}.items():
        folder = tmp_path / name
        folder.mkdir()
        network = tiny_network(config)
        save_network(network, folder)
        loaded = load_set(folder)
        assert loaded.shape == network.shape
        if name != "latents":
            want = translator(config).translate(rows([8]))[0]
            np.testing.assert_array_equal(loaded.translate(rows([8]))[0], want)
    assert load_set(tmp_path / "set", beam=4, expansion="ranked").search == SearchShape(4, "ranked")
    for beam in (0, 65, 10_000):
        with pytest.raises(UsageError, match=f"beam must be from 1 to 64, not {beam}"):
            load_set(tmp_path / "set", beam=beam)
    with pytest.raises(UsageError, match="cannot be searched with a beam"):
        load_set(tmp_path / "baseline", beam=2)
    with pytest.raises(CheckpointError, match="over 3 codebooks of 11 codes, the codec over 14 codebooks"):
        load_set(tmp_path / "set", units=Codes(14, 1024))


def test_nan_in_one_batch_does_not_reach_the_next() -> None:
    """It stayed in the caches of the captured steps, and every later chunk failed with it."""
    made = translator(CONFIG)
    assert made._scoring is not None
    made._graphs = GraphSearch(made._scoring, lambda body: body)
    network = made._network.encoder
    whole = network.forward
    network.forward = lambda *given: whole(*given) * torch.tensor([1.0, torch.nan])[:, None, None]  # type: ignore[method-assign]
    with pytest.raises(CheckpointError, match="NaN"):
        made.translate(rows([9, 9]))
    network.forward = whole  # type: ignore[method-assign]
    for clean, want in zip(made.translate(rows([9])), translator(CONFIG).translate(rows([9])), strict=True):
        np.testing.assert_array_equal(clean, want)


def test_long_chunks_do_not_overflow_in_half_precision() -> None:
    """The sum over all values is above 65,504, the largest number of float16, long before a value is."""
    made = SetTranslator(tiny_network(BASELINE), CPU, torch.float16, SearchShape())
    with torch.inference_mode():
        made._network.joined = lambda encoded, past: torch.full((1, 400, 8), 30.0, dtype=torch.float16)  # type: ignore[method-assign,assignment]
        made._network.head = torch.nn.Linear(8, K * V).half()
        assert made._each_frame_alone(torch.zeros(1, 400, 8), None, None).shape[:2] == (1, 400)
