"""`--method filter`: what is heard is the recording, turned down where the model hears no voice."""

import numpy as np
import pytest
from fakes import LEVELS, EchoLM, fake_chain
from test_engine import enhance, noise

from dacse_cli.audio.steering import FLOOR
from dacse_cli.config import SoundOptions
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.task.task import Chain

FILTER = SoundOptions(method="filter", guard="normal")


class MuteLM(EchoLM):
    """Writes digital silence, whatever it reads."""

    def generate(self, prompts, new_tokens, ranges, **_):
        answers = []
        for n in new_tokens:
            starts = np.array([ranges[i % len(ranges)][0] for i in range(n)])
            answers.append(starts + LEVELS)
        return answers


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("samples", [1, 50, 16000])
def test_a_model_that_hears_only_voice_changes_nothing(rate, samples):
    """At any rate and length, to the sample: the recording and what steers it must not drift apart."""
    source = noise(2, samples, rate=rate)
    (result,) = enhance([source], fake_chain(40, 4, 10), sound=FILTER)
    assert result.shape == source.samples.shape
    if rate == 16000:  # elsewhere the steps of the fake codec are noise to the model
        np.testing.assert_allclose(result, source.samples, atol=1e-5)


def test_a_model_that_hears_no_voice_turns_down_and_adds_nothing():
    source = noise(1, 16000)
    (result,) = enhance([source], fake_chain(lm=MuteLM()), sound=FILTER)
    left = np.sqrt(np.square(result).mean() / np.square(source.samples).mean())
    assert FLOOR <= left < 1.25 * FLOOR


def test_the_card_decides_where_nothing_is_said():
    """A small model's own voice is not what its users shall hear by default."""
    source, chain = noise(1, 4000), fake_chain(lm=MuteLM())
    steered = Chain(chain.codec, chain.lm, chain.layout, chain.grid, "exact", "filter")
    (by_card,) = enhance([source], steered)
    assert np.abs(by_card).max() > 0
    (asked,) = enhance([source], steered, sound=SoundOptions(method="generate", guard="off"))
    assert np.abs(asked).max() == 0


def test_other_methods_are_refused():
    with pytest.raises(UsageError, match="--method mask"):
        SoundOptions(method="mask").check()
