"""`--method filter`: what is heard is the recording, turned down where the model hears no voice."""

import numpy as np
import pytest
from engine_runs import enhance, noise
from fakes import LEVELS, EchoTranslator, fake_models

from dacse_cli import Enhancer
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import UsageError
from dacse_cli.filters.voice_gains import FLOOR
from dacse_cli.pipeline.request.find_models import find_models
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.messages import Form

FILTER = SoundOptions(method="filter", guard="normal")


class MuteTranslator(EchoTranslator):
    """Writes digital silence, whatever it reads."""

    def translate(self, noisy, draws=None, on_frame=None):
        return [np.full_like(units, LEVELS) for units in noisy]


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("samples", [1, 50, 16000])
def test_a_model_that_hears_only_voice_changes_nothing(rate, samples):
    """At any rate and length, to the sample: the recording and what steers it must not drift apart."""
    source = noise(2, samples, rate=rate)
    (result,) = enhance([source], fake_models(40, 4, 10, filtered=True), sound=FILTER)
    assert result.shape == source.samples.shape
    if rate == 16000:  # elsewhere the steps of the fake codec are noise to the model
        np.testing.assert_allclose(result, source.samples, atol=1e-5)


def test_a_model_that_hears_no_voice_turns_down_and_adds_nothing():
    source = noise(1, 16000)
    (result,) = enhance([source], fake_models(translator=MuteTranslator(), filtered=True), sound=FILTER)
    left = np.sqrt(np.square(result).mean() / np.square(source.samples).mean())
    assert FLOOR <= left < 1.25 * FLOOR


def test_the_card_decides_where_nothing_is_said(tmp_path):
    """A small model's own voice is not what its users shall hear by default."""
    for method, expected in (("auto", "mask"), ("filter", "filter"), ("generate", "generate")):
        request = Request(
            Form.ENHANCE, (), None, ModelOptions("nano"), ChunkOptions(), SoundOptions(method=method)
        )
        found = find_models(request)
        assert found.method == expected
        assert (found.plan.filter is not None) == (expected != "generate")
        assert (found.plan.translator is None) == (expected == "mask")


def test_other_methods_are_refused():
    with pytest.raises(UsageError, match="`method` magic"):
        SoundOptions(method="magic").check()
    request = Request(
        Form.ENHANCE, (), None, ModelOptions("deepfilternet3"), ChunkOptions(), SoundOptions(method="filter")
    )
    with pytest.raises(UsageError, match="deepfilternet3 has no method filter, only mask"):
        find_models(request).plan  # noqa: B018


def test_a_call_with_another_method_loads_what_that_needs():
    """An `Enhancer` of `nano` holds its filter alone until somebody asks for more."""
    sound = noise(1, 12_800).samples
    with Enhancer("nano", device="cpu", dtype="float32") as enhancer:
        masked = enhancer.enhance(sound, 16_000)
        assert enhancer.models.translator is None
        own_voice = enhancer.enhance(sound, 16_000, method="generate", guard="off")
        again = enhancer.enhance(sound, 16_000)
    with Enhancer("nano", device="cpu", dtype="float32", method="generate") as enhancer:
        assert enhancer.models.translator is not None
        expected = enhancer.enhance(sound, 16_000, guard="off")
    np.testing.assert_array_equal(masked.samples, again.samples)
    np.testing.assert_array_equal(own_voice.samples, expected.samples)
    assert not np.array_equal(masked.samples, own_voice.samples)
