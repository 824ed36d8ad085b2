"""Noisy tokens as drafts of clean ones: the same samples as without, by fewer passes; small batches only."""

from __future__ import annotations

import numpy as np
import pytest

from dacse_cli import Enhancer
from dacse_cli.lm import translator as translating
from dacse_cli.lm.cpu.drafts import Widths
from dacse_cli.lm.translator import DRAFT_ROWS, LlamaTranslator
from dacse_cli.tokens.layout import TokenLayout

RATE = 16000
SECONDS = 0.5


@pytest.fixture(scope="module")
def nano():
    with Enhancer("nano", device="cpu", dtype="float32", method="generate") as enhancer:
        yield enhancer


def test_drafts_save_passes_and_change_no_sample(nano, monkeypatch):
    """Fails when drafts reach the model shifted (exact, and of no use), or what they bring is not checked."""
    swell = np.abs(np.sin(np.arange(int(SECONDS * RATE)) / 2000))
    samples = (0.1 * swell * np.sin(np.arange(len(swell)) / 20)).astype(np.float32)
    model = nano.models.translator.model
    monkeypatch.setattr(Widths, "choose", lambda self, rows, first: 4)  # else the clock decides
    drafted = nano.enhance(samples, RATE, guard="off", method="generate")
    passes = model._drafter.passes
    monkeypatch.setattr(translating, "DRAFT_ROWS", 0)
    plain = nano.enhance(samples, RATE, guard="off", method="generate")
    assert plain.samples.tobytes() == drafted.samples.tobytes()
    assert (
        model._drafter.passes
        == passes
        < 0.9 * nano.models.translator.steps_per_frame * nano.models.grid.chunk
    )


@pytest.mark.parametrize("rows", [1, DRAFT_ROWS, DRAFT_ROWS + 1])
def test_only_small_batches_are_drafted(rows):
    """Fails when a batch that drafts slow down gets them, or one that they speed up does not."""
    seen = []

    class Watched:
        def generate(self, prompts, news, ranges, *, on_step, draws, drafts):
            seen.append(drafts)
            return [prompt[1:-1] for prompt in prompts]

    layout = TokenLayout(4, 64)
    codes = np.arange(40, dtype=np.int16).reshape(4, 10)
    answers = LlamaTranslator(Watched(), layout).translate([codes] * rows)
    assert len(answers) == rows and all((answer == codes).all() for answer in answers)
    if rows > DRAFT_ROWS:
        assert seen == [None]
    else:
        np.testing.assert_array_equal(seen[0], [layout.flatten(codes)] * rows)
