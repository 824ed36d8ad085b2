"""Unusual sound and foreign token files on their way through the pipeline."""

import io

import numpy as np
import pytest
import torch
from fakes import LEVELS, fake_models, on_grid
from safetensors.numpy import save

from dacse_cli.codec.loading import load_codec
from dacse_cli.config import SoundOptions
from dacse_cli.errors import InputError
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.task.codec_work import alone
from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.task.open import open_task
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.task.token_files import fitted
from dacse_cli.pipeline.task.writing.sinks import ArraySink
from dacse_cli.pipeline.wire.messages import Form, Work
from dacse_cli.tokens.files import TokenFile
from dacse_cli.tokens.formats import load

RATE = 16000
RNG = np.random.default_rng(0)


def enhance(samples, **sound):
    """Samples and warnings of a run over models that change nothing."""
    samples = np.atleast_2d(samples).astype(np.float32)
    sink, models, results = ArraySink(), fake_models(40, 4, 10), []
    source = ArraySource(samples, Signal.of_array(samples, RATE))
    tasks = [(0, lambda: EnhanceAudio(source, sink, models, SoundOptions(**sound)))]

    def failed(key, failure):
        pytest.fail(str(failure))

    engine = Engine(
        models,
        4,
        lambda block: tasks.pop() if tasks else None,
        lambda key, done: results.append(done),
        failed,
    )
    engine.run()
    return sink.samples, results[0].warnings


SOUNDS = {
    "direct current": np.full(3000, 0.5),
    "speech on an offset": 0.25 + 0.2 * np.sin(np.arange(3000) / 9),
    "clipped": np.sign(np.sin(np.arange(3000) / 20)) * (1 - 1 / LEVELS),
    "eight bits in sixteen": np.rint(RNG.uniform(-1, 1, 3000) * 127) / 128,
    "dithered silence": RNG.choice([-1, 0, 1], 3000) / LEVELS,
    "denormals": np.full(3000, 1e-42),
    "one sample": np.array([0.5]),
    "a sample less than a frame": RNG.uniform(-0.5, 0.5, 511),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_unusual_sound_comes_back(name):
    """A click where an offset begins or ends, or a length that a codec cannot take."""
    wave = on_grid(SOUNDS[name])
    result, warnings = enhance(wave)
    np.testing.assert_allclose(result[0], wave, atol=2 / LEVELS)
    assert warnings == ()


@pytest.mark.parametrize("samples", [1, 511, 512, 513])
def test_a_codec_takes_any_length(tiny_model, samples):
    """Below a frame the network's kernels are longer than its input."""
    codec = load_codec(tiny_model / "codec")
    codes = codec.encode(0.1 * RNG.standard_normal((1, samples)).astype(np.float32))
    assert codes.shape[2] == -(-samples // codec.spec.hop_length)
    assert codec.decode(codes).shape == (1, codes.shape[2] * codec.spec.hop_length)


def test_channels_that_cancel_are_warned_of():
    """A microphone wired the wrong way round: the mean of the two is next to nothing."""
    wave = on_grid(RNG.uniform(-0.5, 0.5, 2000))
    assert "cancel" in enhance(np.stack([wave, -0.98 * wave]), channels="mono")[1][0]
    for other in (np.zeros(2000), wave, RNG.uniform(-0.5, 0.5, 2000)):
        assert enhance(np.stack([wave, other]), channels="mono")[1] == ()
    assert enhance(np.stack([wave, -wave]))[1] == ()


def tokens(**changes):
    codes = RNG.integers(0, LEVELS, (1, 4, 10)).astype(np.int16)
    facts = {"codec": "exact", "sample_rate": RATE, "hop_length": 4, "codebook_size": 2 * LEVELS}
    return TokenFile(
        **{
            "units": codes,
            **facts,
            "original_sample_rate": RATE,
            "original_length": 40,
            "source": "x",
            **changes,
        }
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"units": np.zeros((1, 3, 10), np.int16)},
        {"units": np.zeros((1, 5, 10), np.int16)},
        {"units": np.zeros((1, 10, 4), np.int16)},
        {"codec": "dac_24khz"},
        {"sample_rate": 24000},
        {"hop_length": 8},
        {"codebook_size": 1024},
    ],
)
def test_codes_of_another_codec_are_refused(changes):
    """Eight of nine codebooks decode without an error, into noise."""
    with pytest.raises(InputError) as caught:
        fitted(tokens(**changes), fake_models().spec, "exact")
    assert caught.value.reason == "other-codec"


@pytest.mark.parametrize("source", ["../../escape.wav", "/etc/escape.wav", "a\0b", "con"])
def test_a_token_file_does_not_choose_its_outputs_name(tmp_path, source):
    """A name from inside a file decides where something is written."""
    inner = tmp_path / "in"
    inner.mkdir()
    file = tokens(source=source)
    path = inner / "x.tokens.safetensors"
    path.write_bytes(save({"codes": file.codes}, metadata=file.metadata()))
    target = tmp_path / "out" / "x.wav"
    work = Work(0, path, target, Form.DETOKENIZE, SoundOptions(format="wav"), None)
    models = fake_models()
    task = open_task(work, models)
    list(alone(models.codec, task.chunks()))
    (made,) = task.finish().files
    assert made.target == target
    assert made.temp.parent == target.parent
    assert {p.name for p in tmp_path.iterdir()} == {"in", "out"}


@pytest.mark.parametrize(("dtype", "taken"), [(">i2", True), ("<u2", True), ("i8", True), ("?", False)])
def test_number_types_of_token_files(dtype, taken):
    """Big-endian codes read as they lie are other codes."""
    import json

    codes = RNG.integers(0, 2, (1, 4, 10))
    out = io.BytesIO()
    metadata = np.array(json.dumps(tokens().metadata()))
    np.savez(out, codes=codes.astype(dtype), metadata=metadata)
    if taken:
        assert (load(out.getvalue(), "npz").codes == codes).all()
    else:
        with pytest.raises(InputError, match="not whole numbers"):
            load(out.getvalue(), "npz")


def test_the_number_of_threads_changes_no_token(tiny_model):
    """The same folder on a bigger machine gives the same words."""
    prompt = [np.concatenate([[0], RNG.integers(5, 1029, 18), [1]])]
    ranges = [(5 + 1024 * k, 1029 + 1024 * k) for k in range(9)]
    written, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            model = load_language_model(tiny_model, dtype="float32")
            written.append(model.generate(prompt, [18], ranges)[0])
    finally:
        torch.set_num_threads(before)
    assert (written[0] == written[1]).all()
