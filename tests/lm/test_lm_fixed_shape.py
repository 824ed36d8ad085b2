"""Batches of one fixed shape: a row's numbers, to the last bit, whatever else is in the batch."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from device_attention import use_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny_llama import CONFIG, random_tensors

from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.decoding.choice import Choice
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.rows import FixedShape, plan_batch

RANGES = [(5, 17), (17, 29), (29, 41)]
SHAPE = FixedShape(rows=5, end=24, positions=48)
LENGTHS = st.tuples(st.integers(1, 24), st.integers(1, 24))


class Recorder(Choice):
    """Keeps the logits that ids were picked from."""

    def __init__(self, choice: Choice, kept: list[torch.Tensor]) -> None:
        self.__dict__.update(choice.__dict__)
        self._kept = kept

    def pick(self, normed: torch.Tensor, out: torch.Tensor, noise: torch.Tensor | None = None) -> None:
        self._kept.append(self.head(normed).clone())
        super().pick(normed, out, noise)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguageModel]:
    """One model for every attention that runs on a CPU, in float32 and bfloat16, with packed weights."""
    made = {}
    for kind, changes in {
        "torch": {"head_dim": 8, "hidden_size": 256, "intermediate_size": 400},
        "kernel": {"head_dim": 16, "hidden_size": 256, "intermediate_size": 400},
    }.items():
        for dtype in ("float32", "bfloat16"):
            folder = tmp_path_factory.mktemp(kind)
            config = CONFIG | changes
            (folder / "config.json").write_text(json.dumps(config))
            save_file(random_tensors(config), folder / "model.safetensors")
            made[f"{kind} {dtype}"] = load_language_model(folder, dtype=dtype)
    return made | {"graphs float32": use_graphs(load_language_model(folder, dtype="float32"))}


def logits_of(
    model: LanguageModel, prompts: list[np.ndarray], news: list[int]
) -> dict[int, list[torch.Tensor]]:
    """Logits of every step, by request."""
    plan = plan_batch([len(p) for p in prompts], news, SHAPE)
    kept: list[torch.Tensor] = []
    with torch.inference_mode():
        choices = [Recorder(model._choice(lo, hi), kept) for lo, hi in RANGES]
        ordered = [prompts[i] if i >= 0 else np.zeros(1, np.int64) for i in plan.order]
        model.decoder.run(plan, ordered, choices, lambda step: None)
    return {
        request: [step[row] for step in kept[: news[request]]]
        for row, request in enumerate(plan.order)
        if request >= 0
    }


@pytest.mark.parametrize("kind", ["torch float32", "torch bfloat16", "kernel float32", "kernel bfloat16"])
@given(LENGTHS, st.lists(LENGTHS, max_size=4), st.integers(0, 4))
@settings(max_examples=15, deadline=None)
def test_company_changes_no_bit(
    models: dict[str, LanguageModel],
    kind: str,
    mine: tuple[int, int],
    others: list[tuple[int, int]],
    seed: int,
) -> None:
    """Fails when another row's length, place or mere presence reaches a row's sums."""
    rng = np.random.default_rng(seed)
    prompts = [np.random.default_rng(1).integers(0, 41, mine[0])]
    prompts += [rng.integers(0, 41, p) for p, _ in others]
    news = [mine[1], *(n for _, n in others)]
    alone = logits_of(models[kind], prompts[:1], news[:1])[0]
    among = logits_of(models[kind], prompts, news)[0]
    assert len(alone) == len(among) == mine[1]
    assert all(torch.equal(a, b) for a, b in zip(alone, among, strict=True))


@pytest.mark.parametrize("kind", ["torch float32", "kernel float32", "graphs float32"])
def test_a_fixed_shape_writes_the_same_tokens(models: dict[str, LanguageModel], kind: str) -> None:
    """Fails when rows that fill the shape, or rows past their end, disturb the ids."""
    model = models[kind]
    rng = np.random.default_rng(0)
    prompts, news = [rng.integers(0, 41, p) for p in (20, 3, 24)], [9, 24, 1]
    free = model.generate(prompts, news, RANGES)
    model.fix(SHAPE)
    try:
        fixed = model.generate(prompts, news, RANGES)
    finally:
        model._fixed = None
    for a, b in zip(free, fixed, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("lengths", [[(25, 1)], [(1, 26)], [(1, 1)] * 6])
def test_what_does_not_fit_the_shape_is_refused(
    models: dict[str, LanguageModel], lengths: list[tuple[int, int]]
) -> None:
    """Fails when a longer chunk than planned silently gets another shape."""
    with pytest.raises(ValueError, match="do not fit"):
        plan_batch([p for p, _ in lengths], [n for _, n in lengths], SHAPE)
