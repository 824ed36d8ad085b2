"""Noisy tokens as drafts of clean ones: the same samples as without, by fewer passes; small batches only."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import EchoLM, fake_chain

from dacse_cli import Enhancer
from dacse_cli.lm.cpu.drafts import Widths
from dacse_cli.pipeline.engine import generate as generating
from dacse_cli.pipeline.engine.generate import DRAFT_ROWS, Generator
from dacse_cli.pipeline.task.task import Chunk

RATE = 16000
SECONDS = 0.8


@pytest.fixture(scope="module")
def nano():
    with Enhancer("nano", device="cpu", dtype="float32") as enhancer:
        yield enhancer


def test_drafts_save_passes_and_change_no_sample(nano, monkeypatch):
    """Fails when drafts reach the model shifted (exact, and of no use), or what they bring is not checked."""
    swell = np.abs(np.sin(np.arange(int(SECONDS * RATE)) / 2000))
    samples = (0.1 * swell * np.sin(np.arange(len(swell)) / 20)).astype(np.float32)
    lm = nano.chain.lm
    monkeypatch.setattr(Widths, "choose", lambda self, rows, first: 4)  # else the clock decides
    drafted = nano.enhance(samples, RATE, guard="off", method="generate")
    passes = lm._drafter.passes
    monkeypatch.setattr(generating, "DRAFT_ROWS", 0)
    plain = nano.enhance(samples, RATE, guard="off", method="generate")
    assert plain.samples.tobytes() == drafted.samples.tobytes()
    assert lm._drafter.passes == passes < 0.9 * nano.chain.layout.n_codebooks * nano.chain.grid.chunk


@pytest.mark.parametrize("rows", [1, DRAFT_ROWS, DRAFT_ROWS + 1])
def test_only_small_batches_are_drafted(rows):
    """Fails when a batch that drafts slow down gets them, or one that they speed up does not."""
    seen = []

    class Watched(EchoLM):
        def generate(self, *args, drafts=None, **more):
            seen.append(drafts)
            return super().generate(*args, **more)

    chain = fake_chain(lm=Watched())
    codes = np.arange(40, dtype=np.int16).reshape(4, 10)
    chunks = [Chunk(None, index, 0, codes, 0.1) for index in range(rows)]
    with Generator(chain, 16, lambda seconds: None, beside=False) as generator:
        generator.start(chunks).result()
    if rows > DRAFT_ROWS:
        assert seen == [None]
    else:
        np.testing.assert_array_equal(seen[0], [chain.layout.prompt(codes)[1:-1]] * rows)
