"""Drafts: whatever they say, the ids are those of one at a time; good ones save passes, bad ones stop."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny_llama import CONFIG, random_tensors

from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.cpu.drafts import NONE, WIDTHS, Widths
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.rows import FixedShape

RANGES = [(5, 17), (17, 29), (29, 41)]
ROWS = st.lists(st.tuples(st.integers(1, 24), st.integers(1, 30)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder = tmp_path_factory.mktemp("drafts")
    config = CONFIG | {"head_dim": 16}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(random_tensors(config), folder / "model.safetensors")
    return load_language_model(folder, dtype="float32")


def spoilt(ids: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The ids with a share of them wrong: other ids, ids of no range, or none."""
    wrong = rng.choice([NONE, 0, 7, 20, 35, 40], len(ids))
    return np.where(rng.random(len(ids)) < share, wrong, ids)


@given(ROWS, st.floats(0, 1), st.integers(0, 99), st.sampled_from(WIDTHS))
@settings(max_examples=40, deadline=None)
def test_drafts_change_no_id(
    model: LanguageModel, lengths: list[tuple[int, int]], share: float, seed: int, width: int
) -> None:
    """Fails when a wrong guess is kept, a right one shifts the codebooks, or a row overtakes its end."""
    rng = np.random.default_rng(seed)
    prompts, news = [rng.integers(0, 41, p) for p, _ in lengths], [n for _, n in lengths]
    alone = model.generate(prompts, news, RANGES)
    drafts = [spoilt(ids, share, rng)[: rng.integers(0, len(ids) + 1)] for ids in alone]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Widths, "choose", lambda self, rows, first: width)
        drafted = model.generate(prompts, news, RANGES, drafts=drafts)
    for a, b in zip(alone, drafted, strict=True):
        np.testing.assert_array_equal(a, b)


def passes(model: LanguageModel, prompts: list[np.ndarray], news: list[int], drafts: list[np.ndarray]) -> int:
    before = model._drafter.passes if model._drafter else 0
    model.generate(prompts, news, RANGES, drafts=drafts)
    return model._drafter.passes - before


def test_right_drafts_save_passes(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when agreed tokens are thrown away: exact, and of no use."""
    monkeypatch.setattr(Widths, "choose", lambda self, rows, first: 8)
    prompts, news = [np.arange(9), np.arange(20)], [81, 81]
    ids = model.generate(prompts, news, RANGES)
    assert passes(model, prompts, news, ids) == 10
    assert passes(model, prompts, news, [np.full(81, NONE)] * 2) == 80


def test_drafts_that_lose_are_left_alone() -> None:
    """Fails when a hopeless codebook is drafted for ever, or never tried again."""
    widths = Widths(2)
    for width in WIDTHS:
        for _ in range(3):
            widths.record_cost(4, width, 1.0 + 0.3 * (width - 1))
    first = np.zeros(4, np.int64)
    for _ in range(60):
        widths.record_guess(0, False)
        widths.record_guess(1, True)
    chosen = [widths.choose(4, first) for _ in range(200)]
    assert chosen.count(1) > 190
    assert set(chosen) == {1, 2}
    assert widths.choose(4, first + 1) == 2  # the other codebook's guess is good, the one behind it is not
    for _ in range(60):
        widths.record_guess(0, True)
    assert widths.choose(4, first) == 8


def test_a_width_that_costs_too_much_is_not_chosen() -> None:
    """Fails when good drafts are taken although a wider pass takes longer than it saves."""
    widths = Widths(1)
    widths.acceptance[:] = 0.9
    for width in WIDTHS:
        widths.record_cost(16, width, float(width))
    assert widths.choose(16, np.zeros(16, np.int64)) == 1
    assert widths.expected(4, np.zeros(16, np.int64)) == pytest.approx(1 + 0.9 + 0.81 + 0.729)


def test_other_numbers_take_no_drafts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fails when bfloat16, where sums of another width round to other ids, is drafted."""
    folder = tmp_path_factory.mktemp("undrafted")
    config = CONFIG | {"head_dim": 16}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(random_tensors(config), folder / "model.safetensors")
    assert not load_language_model(folder, dtype="bfloat16").takes_drafts
    assert load_language_model(folder, kv="int8").takes_drafts
    assert not load_language_model(folder, kv="fp8").takes_drafts


def test_a_fixed_shape_takes_no_drafts(model: LanguageModel) -> None:
    """Fails when `--deterministic` lets the clock choose the shape of a pass."""
    assert model.takes_drafts
    model.fix(FixedShape(2, 24, 60))
    try:
        assert not model.takes_drafts
        ids = model.generate([np.arange(5)], [6], RANGES, drafts=[np.arange(6)])
    finally:
        model._fixed = None
    np.testing.assert_array_equal(ids[0], model.generate([np.arange(5)], [6], RANGES)[0])
