"""`deterministic`: the same samples for a recording, to the last bit, whatever is enhanced beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli import Enhancer
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import DeviceError
from dacse_cli.lm import memory
from dacse_cli.pipeline.engine.load import FIXED_ROWS, fitting_batch, load_models
from dacse_cli.pipeline.request.find_models import find_models
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.settings import settings_hash_of
from dacse_cli.pipeline.wire.messages import Form

RATE = 44100


@pytest.fixture(scope="module")
def enhancer(tiny_model):
    """In bfloat16, where another order of summation shows soonest."""
    with Enhancer(str(tiny_model), dtype="bfloat16", device="cpu", deterministic=True, batch_size=3) as made:
        yield made


def noise(samples, seed):
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@settings(max_examples=3, deadline=None)
@given(st.lists(st.integers(1, 20000), min_size=1, max_size=2), st.integers(0, 2))
def test_company_changes_no_sample(enhancer, others, place):
    mine = noise(15000, 1)
    batch = [noise(samples, seed + 2) for seed, samples in enumerate(others)]
    batch.insert(min(place, len(batch)), mine)
    results = enhancer.enhance_batch([(samples, RATE) for samples in batch], guard="off")
    alone = enhancer.enhance(mine, RATE, guard="off")
    assert results[min(place, len(others))].samples.tobytes() == alone.samples.tobytes()


def plan_for(folder, **options):
    models = ModelOptions(str(folder), device="cpu", **options)
    request = Request(Form.ENHANCE, (), None, models, ChunkOptions(), SoundOptions())
    found = find_models(request)
    return found.plan, settings_hash_of(request, found)


def test_the_batch_does_not_follow_free_memory(tiny_model, monkeypatch):
    """A machine with less free memory today would sound different."""
    monkeypatch.setattr(memory, "free_memory", lambda device: 0)
    plan, _ = plan_for(tiny_model, deterministic=True)
    assert fitting_batch(plan, load_models(plan)) == FIXED_ROWS["cpu"]
    plan, _ = plan_for(tiny_model)
    assert fitting_batch(plan, load_models(plan)) == 1


def test_outputs_of_another_mode_are_not_taken_for_these(tiny_model):
    """`--deterministic` on a folder enhanced without it must not skip what is there."""
    seen = [
        plan_for(tiny_model, **o)[1]
        for o in ({}, {"deterministic": True}, {"kv": "int8"}, {"dtype": "bfloat16"}, {})
    ]
    assert len(set(seen)) == 4
    assert seen[0] == seen[4]


def test_a_shape_that_does_not_fit_is_said_at_once(tiny_model):
    plan, _ = plan_for(tiny_model, deterministic=True, batch_size=10**9)
    with pytest.raises(DeviceError, match=r"no memory for 1000000000 chunks at once .* `deterministic`"):
        load_models(plan)
