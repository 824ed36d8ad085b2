"""From a job to the file it makes, with models that change nothing: formats, token files, wrong kinds."""

import os
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from fakes import LEVELS, fake_models, on_grid

from dacse_cli.audio.loudness import loudness
from dacse_cli.audio.probe import scan
from dacse_cli.codec.descript.container import read_dac
from dacse_cli.config import SoundOptions
from dacse_cli.errors import InputError
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.task.open import open_task
from dacse_cli.pipeline.task.token_files import read_tokens
from dacse_cli.pipeline.wire.failures import failure_of
from dacse_cli.pipeline.wire.messages import Form, Work
from dacse_cli.tokens.files import TokenFile
from dacse_cli.tokens.formats import dump, load

CODES = np.random.default_rng(0).integers(0, 2 * LEVELS, (2, 4, 50)).astype(np.int16)
TOKENS = TokenFile(CODES, "exact", 16000, 4, 2 * LEVELS, 16000, 200, "x.wav")


def sine(path, seconds=1.0, rate=44100, channels=1, **kwargs):
    wave = on_grid(0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate))
    with open(path, "wb") as file:
        soundfile.write(file, np.tile(wave[:, None], channels), rate, format="WAV", **kwargs)
    return path


def make(source, target, form="enhance", **sound):
    """Bring one job to its end; the file it made and its warnings, or the failure."""
    audio = not source.name.endswith((".safetensors", ".npz", ".txt"))
    work = Work(0, source, target, Form(form), SoundOptions(**sound), scan(source) if audio else None)
    models = fake_models(1000, 50, 250)
    if form != "enhance":
        models = replace(models, translator=None)
    tasks, ends = [(0, lambda: open_task(work, models))], []
    Engine(
        models,
        4,
        lambda block: tasks.pop() if tasks else None,
        lambda key, finished: ends.append(finished),
        lambda key, error: ends.append(failure_of(error)),
    ).run()
    return ends[0]


@pytest.mark.parametrize(("suffix", "rate", "stored"), [(".opus", 44100, 48000), (".mp3", 96000, 48000)])
def test_a_format_with_rates_of_its_own_keeps_pitch_and_length(tmp_path, suffix, rate, stored):
    """Samples at 44.1 kHz under a header that says 48 kHz play 8.8 % too fast."""
    end = make(sine(tmp_path / "a.wav", 2, rate), tmp_path / f"a{suffix}", format=suffix[1:], mix=0.0)
    wave, found = soundfile.read(end.files[0].temp)
    assert found == stored
    assert len(wave) == 2 * stored
    peak = np.argmax(np.abs(np.fft.rfft(wave[stored // 2 : stored // 2 * 3])))
    assert abs(peak - 440) <= 1  # one second: a bin is a hertz
    assert any(str(stored) in warning for warning in end.warnings)


def test_a_name_that_is_not_utf8_goes_into_a_token_file(tmp_path):
    source = sine(tmp_path / os.fsdecode(b"a\xff.wav"), 0.1, 16000)
    end = make(source, tmp_path / "a.tokens.safetensors", form="tokenize")
    assert load(end.files[0].temp.read_bytes(), "safetensors").source == "a\\xff.wav"


@pytest.mark.parametrize(
    ("form", "target", "sound", "reason"),
    [
        ("tokenize", "y.tokens.npz", {}, "not-audio"),
        ("enhance", "y.wav", {"channels": "mono"}, "options"),
        ("enhance", "y.wav", {"mix": 0.5}, "options"),
    ],
)
def test_what_a_token_file_cannot_be_used_for_is_said(tmp_path, form, target, sound, reason):
    (tmp_path / "x.tokens.npz").write_bytes(dump(TOKENS, "npz"))
    failure = make(tmp_path / "x.tokens.npz", tmp_path / target, form, **sound)
    assert (failure.reason, failure.trace) == (reason, None)
    assert not list(tmp_path.glob(".*"))


def test_a_recording_cannot_be_detokenised(tmp_path):
    failure = make(sine(tmp_path / "a.wav", 0.1, 16000), tmp_path / "a.decoded.wav", "detokenize")
    assert (failure.reason, failure.trace) == ("not-tokens", None)


def test_reading_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.tokens.npz")
    with pytest.raises(InputError) as caught:
        read_tokens(tmp_path / "x.tokens.npz")
    assert caught.value.reason == "not-a-file"


@pytest.mark.parametrize("channels", ["keep", "mono"])
def test_a_dac_file_holds_the_loudness_of_what_is_in_it(tmp_path, channels):
    """With `mono` it was channel 0's loudness; and the whole recording was loaded to measure it."""
    wave = on_grid(0.25 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000))
    soundfile.write(tmp_path / "a.wav", np.stack([wave, 0.5 * wave], axis=1), 16000, subtype="FLOAT")
    end = make(tmp_path / "a.wav", tmp_path / "a.dac", form="tokenize", channels=channels)
    levels = read_dac(end.files[0].temp.read_bytes()).input_db
    expected = [loudness(one, 16000) for one in ([0.75 * wave] if channels == "mono" else [wave, 0.5 * wave])]
    np.testing.assert_allclose(levels, expected, atol=0.05)
