"""The vocabulary against the published tokenizer, and its algebra."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dacse_cli.tokens.layout import TokenLayout
from dacse_cli.tokens.text import from_text, to_text

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "layout.json").read_text())["layout"]
CODES = np.array(GOLDEN["codes_KxT"], dtype=np.int16)
DAC = TokenLayout(9, 1024)


def codes_of(layout: TokenLayout) -> st.SearchStrategy[np.ndarray]:
    shape = st.integers(0, 30).map(lambda frames: (layout.n_codebooks, frames))
    return shape.flatmap(
        lambda s: npst.arrays(np.int16, s, elements=st.integers(0, layout.codebook_size - 1))
    )


LAYOUTS = st.builds(TokenLayout, st.integers(1, 32), st.integers(1, 4096))


def test_published_ids_and_prompt():
    """A shifted block or a frame-minor order would feed the model other sounds."""
    assert DAC.vocab_size == GOLDEN["vocab_size"]
    assert DAC.flatten(CODES).tolist() == GOLDEN["ids"]
    assert DAC.prompt(CODES).tolist() == GOLDEN["prompt"]


def test_a_pair_takes_its_positions():
    """Prompt, answer, bos and start_clean: the released model's chunk of 344 frames fits 8192."""
    assert DAC.positions(CODES.shape[1]) == len(DAC.prompt(CODES)) + CODES.size
    assert DAC.positions(344) == 6194


def test_published_text():
    assert to_text(CODES) == GOLDEN["text"]
    assert (from_text(GOLDEN["text"]) == CODES).all()


@given(LAYOUTS.flatmap(lambda layout: st.tuples(st.just(layout), codes_of(layout))))
def test_ids_and_text_go_back(case):
    layout, codes = case
    assert (layout.unflatten(layout.flatten(codes)) == codes).all()
    if codes.shape[1]:
        assert (from_text(to_text(codes)) == codes).all()


@given(LAYOUTS.flatmap(lambda layout: st.tuples(st.just(layout), codes_of(layout))))
def test_every_id_lies_in_its_range(case):
    """The ranges are what generation may choose from: they must be just the ids of that position."""
    layout, codes = case
    ranges = layout.ranges
    assert all(
        start <= i < stop
        for n, i in enumerate(layout.flatten(codes))
        for start, stop in [ranges[n % len(ranges)]]
    )
    assert ranges[-1][1] == layout.vocab_size
    assert all(stop - start == layout.codebook_size for start, stop in ranges)


@pytest.mark.parametrize("codes", [np.full((9, 2), 1024), np.full((9, 2), -1), np.zeros((8, 2), int)])
def test_codes_outside_the_layout_are_refused(codes):
    with pytest.raises(ValueError, match="code"):
        DAC.flatten(codes)


def test_an_id_of_another_codebook_is_refused():
    """The published code drops such ids and so shifts all that follows."""
    ids = DAC.flatten(CODES)
    ids[3] += 1024
    with pytest.raises(ValueError, match="codebook of its position"):
        DAC.unflatten(ids)
    with pytest.raises(ValueError, match="whole number of frames"):
        DAC.unflatten(ids[:-1])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x<|s1_c1|>",
        "<|s1_c1|> <|s2_c1|>",
        "<|s1_c2|>",
        "<|s1_c1|><|s1_c1|><|s1_c2|>",
        "<|s99999_c1|>",
        "<|s32768_c1|>",
        "<|s100000_c1|>",
        "5<|s1_c1|>",
        "<|s1_c1|>5",
        "<|s1_c1|><|s2_c1",
        "<|s1_c|>",
        "<|c1_s1|>",
    ],
)
def test_stray_text_is_refused(line):
    with pytest.raises(ValueError, match=r"line|codebook|code"):
        from_text(line)


def test_text_longer_than_a_piece():
    """Pieces are cut behind tokens; one cut inside a number would change it."""
    codes = np.random.default_rng(0).integers(0, 32768, (3, 12_000)).astype(np.int16)
    assert (from_text(to_text(codes)) == codes).all()
    assert from_text("<|s32767_c1|>").tolist() == [[32767]]
