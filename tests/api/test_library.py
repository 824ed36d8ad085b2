"""The library as the README shows it: arrays or paths in, arrays or files out, one error type."""

import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dacse_cli import DacseError, Enhanced, Enhancer
from dacse_cli.api.rendering import render
from dacse_cli.api.sources import full_scale, source_of
from dacse_cli.audio.read import AudioReader
from dacse_cli.config import SoundOptions
from dacse_cli.errors import InputError, LockedError, ModelError, OutputError, UsageError
from dacse_cli.pipeline.wire.failures import Failure


@pytest.fixture(scope="module")
def enhancer(tiny_model):
    with Enhancer(str(tiny_model), device="cpu", dtype="float32") as enhancer:
        yield enhancer


def noise(channels, samples, seed=0):
    return (0.2 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


def test_arrays_keep_shape_and_rate(enhancer):
    result = enhancer.enhance(noise(2, 12345), 48000)
    assert isinstance(result, Enhanced)
    assert (result.samples.shape, result.samples.dtype, result.sample_rate) == ((2, 12345), np.float32, 48000)
    assert enhancer.enhance(noise(1, 500)[0], 8000).samples.shape == (1, 500)
    assert enhancer.enhance(noise(1, 800), 8000, rate=16000).samples.shape == (1, 1600)


def test_a_path_equals_its_samples(enhancer, tmp_path):
    samples = noise(1, 4000)
    soundfile.write(tmp_path / "a.wav", samples.T, 16000, subtype="FLOAT")
    from_path = enhancer.enhance(tmp_path / "a.wav", guard="off").samples
    np.testing.assert_array_equal(from_path, enhancer.enhance(samples, 16000, guard="off").samples)
    target = enhancer.enhance_file(tmp_path / "a.wav", tmp_path / "new" / "b.wav", guard="off")
    np.testing.assert_allclose(soundfile.read(target, dtype="float32")[0], from_path[0], atol=1e-6)


def test_a_batch_equals_single_calls(enhancer):
    items = [(noise(1, n, seed=n), 44100) for n in (700, 9000, 15000)]
    together = enhancer.enhance_batch(items, guard="off")
    for (samples, rate), result in zip(items, together, strict=True):
        np.testing.assert_allclose(
            result.samples, enhancer.enhance(samples, rate, guard="off").samples, atol=1e-4
        )


def test_calls_from_threads_run_one_after_the_other(enhancer):
    results = {}

    def call(seed):
        results[seed] = enhancer.enhance(noise(1, 3000, seed), 16000, guard="off").samples

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, samples in results.items():
        np.testing.assert_array_equal(
            samples, enhancer.enhance(noise(1, 3000, seed), 16000, guard="off").samples
        )


def test_progress_counts_seconds(tiny_model):
    told = []
    with Enhancer(str(tiny_model), device="cpu", progress=told.append) as enhancer:
        enhancer.enhance(noise(1, 16000), 16000, guard="off")
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("audio", "rate", "error"),
    [
        (np.array([0.1, np.nan], np.float32), 16000, InputError),
        (np.zeros((1, 0), np.float32), 16000, InputError),
        (np.zeros((16000, 65)), 16000, UsageError),
        (np.zeros(100), None, UsageError),
        (np.zeros(100), 10, UsageError),
        (np.zeros(100, np.uint8), 16000, UsageError),
        (np.zeros(100, complex), 16000, UsageError),
        ("absent.wav", None, InputError),
    ],
)
def test_bad_audio_raises_input_error(enhancer, audio, rate, error):
    with pytest.raises(error) as caught:
        enhancer.enhance(audio, rate)
    assert isinstance(caught.value, DacseError)


def test_swapped_axes_get_a_suggestion():
    """`[S, 2]` is how soundfile reads a stereo recording."""
    with pytest.raises(UsageError, match=r"not \[8000, 2\]: did you mean samples\.T\?"):
        source_of(np.zeros((8000, 2)), 16000)
    with pytest.raises(UsageError, match=r"not \[2, 2, 2\]$"):
        source_of(np.zeros((2, 2, 2)), 16000)


def test_an_input_is_never_written_to(enhancer, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(1, 400)[0], 16000)
    with pytest.raises(UsageError):
        enhancer.enhance_file(tmp_path / "a.wav", tmp_path / "a.wav")


def test_pieces_of_a_stream_join_to_the_whole(enhancer, tmp_path):
    """Pieces come one at a time, other calls in between; a stream that is left holds nothing up."""
    samples = noise(2, 30_000)
    whole = enhancer.enhance(samples, 16000, strength=0.7).samples
    stream = enhancer.stream(samples, 16000, strength=0.7)
    first = next(stream)
    assert 0 < first.samples.shape[1] < 20_000
    enhancer.enhance(noise(1, 500), 16000)  # the same thread: a lock that is held would stop here for ever
    pieces = [first.samples, *(piece.samples for piece in stream)]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-4)
    soundfile.write(tmp_path / "a.wav", samples.T, 16000, subtype="FLOAT")
    left = enhancer.stream(tmp_path / "a.wav", strength=0.7)
    np.testing.assert_allclose(next(left).samples, first.samples, atol=1e-4)
    left.close()
    with pytest.raises(InputError):
        enhancer.stream("absent.wav")  # at once, not at the first piece
    silent = list(enhancer.stream(np.zeros(9000), 8000, rate=16000))
    assert sum(piece.samples.shape[1] for piece in silent) == 18_000


def test_options_of_the_sound(enhancer):
    samples = noise(1, 8000)
    dry = enhancer.enhance(samples, 16000, strength=0.0)
    np.testing.assert_allclose(dry.samples, samples, atol=1e-6)
    quiet = enhancer.enhance(samples, 16000, strength=0.0, loudness=-40.0)
    factor = np.std(quiet.samples) / np.std(samples)
    np.testing.assert_allclose(quiet.samples, samples * factor, atol=1e-4)
    assert factor < 0.2
    gentle = enhancer.enhance(samples, 16000, strength="gentle").samples
    np.testing.assert_allclose(gentle, enhancer.enhance(samples, 16000, strength=0.75).samples, atol=1e-4)
    with pytest.raises(UsageError, match="`strength` wild"):
        enhancer.enhance(samples, 16000, strength="wild")


def test_a_model_is_named_by_text_or_a_path(tiny_model):
    """A `Path` ended as an AttributeError deep inside, a number as a TypeError."""
    with Enhancer(Path(tiny_model), codec=Path(tiny_model) / "codec", device="cpu") as enhancer:
        assert enhancer.model == str(tiny_model)
    for wrong in (3, b"nano", ["nano"]):
        with pytest.raises(UsageError, match="`model` must be a name or a folder"):
            Enhancer(wrong)
        with pytest.raises(UsageError, match="`codec` must be a name or a folder"):
            Enhancer("nano", codec=wrong)


def test_from_pretrained_takes_the_names_of_transformers(tiny_model):
    import torch

    with Enhancer.from_pretrained(
        tiny_model, device_map=torch.device("cpu"), dtype=torch.float32, local_files_only=True
    ) as enhancer:
        assert "float32 on cpu" in enhancer.models.translator.describe()
        assert enhancer.enhance(noise(1, 300), 16000).samples.shape == (1, 300)
    with pytest.raises(ModelError, match="absent/model@v1"):
        Enhancer.from_pretrained("absent/model", revision="v1", local_files_only=True)


def test_a_result_can_be_saved_and_played(tmp_path):
    result = Enhanced(noise(2, 11_025), 11_025)
    assert soundfile.info(result.save(tmp_path / "a.flac")).frames == 11_025
    assert soundfile.info(result.save(tmp_path / "b.opus")).samplerate == 48_000
    with pytest.raises(InputError):
        result.save(tmp_path / "c.xyz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.flac", "b.opus"]
    assert "<audio controls" in result._repr_html_() and "1.0 s, 2 channels" in result._repr_html_()
    assert "<audio" not in Enhanced(np.zeros((1, 8000 * 601), np.float32), 8000)._repr_html_()


def test_a_missing_model_raises_model_error():
    with pytest.raises(ModelError):
        Enhancer("absent/model", offline=True)


def test_public_names_have_docstrings():
    assert all(name.__doc__ for name in (Enhancer, Enhanced, Enhancer.enhance, Enhancer.enhance_file))


def test_files_fail_as_the_docstring_says(enhancer, tmp_path):
    """A caller who catches `OutputError` must not get another class; a wrong suffix must not become WAV."""
    soundfile.write(tmp_path / "a.wav", noise(1, 800).T, 16000)
    (tmp_path / "there.wav").write_bytes(b"")
    with pytest.raises(InputError, match="no such file"):
        enhancer.enhance_file(tmp_path / "absent.wav", tmp_path / "there.wav")
    with pytest.raises(InputError):
        enhancer.enhance_file(tmp_path / "a.wav", tmp_path / "b.xyz")
    with pytest.raises(UsageError, match="channels, S"):
        enhancer.enhance(np.zeros((0, 100), np.float32), 16000)
    for code, kind in ((5, ModelError), (6, OutputError), (7, LockedError)):
        assert type(Failure("reason", "message", None, code).error()) is kind


def test_integers_are_scaled_to_full_scale_one(enhancer):
    """int16 samples were taken for floats: the output had a peak of 22,990 and `save` clipped 99 % of it."""
    floats = np.clip(noise(1, 4000), -0.9, 0.9)
    for kind in (np.int16, np.int32):
        peak = -float(np.iinfo(kind).min)
        integers = np.rint(floats * peak).astype(kind)
        np.testing.assert_allclose(full_scale(integers), floats, atol=2e-5)
    result = enhancer.enhance(np.rint(floats * 32768).astype(np.int16), 16000, strength=0.0)
    np.testing.assert_allclose(result.samples, floats, atol=2e-5)


@pytest.mark.parametrize("audio", [np.zeros((1, 16000 * 8), np.float32), noise(1, 16000 * 8)])
def test_input_that_needs_no_model_streams_too(enhancer, audio):
    """Silence, and any recording with mix=0, came as one piece at the end."""
    pieces = [piece.samples.shape[1] for piece in enhancer.stream(audio, 16000, strength=0.0)]
    assert sum(pieces) == audio.shape[1] and max(pieces) <= 32_000
    silent = [piece.samples.shape[1] for piece in enhancer.stream(0 * audio, 16000)]
    assert sum(silent) == audio.shape[1] and max(silent) < audio.shape[1] / 2


def test_the_library_does_not_change_settings_of_its_process(tiny_model):
    """Loading a model set HF_HUB_OFFLINE: the next model could not be fetched any more."""
    import logging
    import os

    import torch

    before = dict(os.environ), torch.get_num_threads(), logging.getLogger("transformers").level
    with Enhancer(str(tiny_model), device="cpu") as enhancer:
        enhancer.enhance(noise(1, 500), 16000)
    assert before == (dict(os.environ), torch.get_num_threads(), logging.getLogger("transformers").level)


def test_a_small_model_gets_one_thread(tiny_model, monkeypatch):
    """Two threads took 11 times as long beside one busy core; only the command's worker knew."""
    import torch

    seen = []
    with Enhancer(str(tiny_model), device="cpu") as enhancer:
        translate = enhancer.models.translator.translate
        monkeypatch.setattr(
            enhancer.models.translator,
            "translate",
            lambda *args: seen.append(torch.get_num_threads()) or translate(*args),
        )
        torch.set_num_threads(2)
        try:
            enhancer.enhance(noise(1, 500), 16000)
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(1)
    assert set(seen) == {1}


def test_strength_is_a_share_or_a_name(enhancer):
    samples = noise(1, 4000)
    full = enhancer.enhance(samples, 16000).samples
    for strength, sound in (("gentle", SoundOptions(profile="gentle")), (0.4, SoundOptions(mix=0.4))):
        made = enhancer.enhance(samples, 16000, strength=strength).samples
        np.testing.assert_allclose(made, render(samples, full, 16000, sound), atol=1e-4)
    for wrong in (1.5, float("nan"), "loud", [1]):
        with pytest.raises(UsageError, match="is neither gentle, normal, strong nor a number"):
            enhancer.enhance(samples, 16000, strength=wrong)


def test_mix_and_profile_still_work_and_warn_their_caller(enhancer):
    samples = noise(1, 4000)
    now = enhancer.enhance(samples, 16000, strength=0.75).samples
    for old in ({"mix": 0.75}, {"profile": "gentle"}):
        with pytest.warns(DeprecationWarning, match="use `strength`") as caught:
            before = enhancer.enhance(samples, 16000, **old).samples
        assert caught[0].filename == __file__
        np.testing.assert_allclose(before, now, atol=1e-4)
    with pytest.raises(UsageError, match="`strength` replaces `mix` and `profile`"):
        enhancer.enhance(samples, 16000, strength=0.5, mix=0.5)


def test_an_unknown_keyword_names_the_call_and_a_near_word(enhancer):
    """It named `SoundOptions.__init__`, which no caller has heard of."""
    samples = noise(1, 400)
    with pytest.raises(
        TypeError, match=r"^Enhancer\.enhance\(\) got .*'strenght'\. Did you mean strength\?$"
    ):
        enhancer.enhance(samples, 16000, strenght=0.5)
    with pytest.raises(TypeError, match=r"^Enhancer\.enhance_file\(\) got .* 'colour'$"):
        enhancer.enhance_file("a.wav", "b.wav", colour="red")
    for call in (enhancer.stream, enhancer.enhance_batch):
        with pytest.raises(TypeError, match=rf"^Enhancer\.{call.__name__}\(\)"):
            call([], x=1)


def test_without_a_name_the_model_is_chosen_as_by_the_command(monkeypatch):
    monkeypatch.setattr("dacse_cli.hub.choice.has_gpu", lambda: False)
    with Enhancer() as enhancer:
        assert enhancer.model == "nano"
    with pytest.raises(ModelError) as caught:
        Enhancer("absent/model", offline=True)
    assert "--" not in f"{caught.value.hint}"


@pytest.mark.parametrize("sound", [{}, {"loudness": -20.0, "limiter": True, "strength": 0.8}])
@pytest.mark.parametrize("built_in", [True, False], ids=["filter", "generation"])
def test_a_file_is_decoded_twice_and_no_more(enhancer, built_in, sound, tmp_path, monkeypatch):
    """Once to check it, once for the model and every option that needs the input."""
    source = tmp_path / "a.flac"
    soundfile.write(source, noise(2, 12_000).T, 16000)
    decoded, begin, step = {}, AudioReader.__init__, AudioReader._next

    def opened(reader, path, *args, **options):
        begin(reader, path, *args, **options)
        decoded[reader] = [str(path), 0]

    def counted(reader, count):
        samples = step(reader, count)
        decoded[reader][1] += samples.shape[1]
        return samples

    with Enhancer("nano") if built_in else nullcontext(enhancer) as model:
        monkeypatch.setattr(AudioReader, "__init__", opened)
        monkeypatch.setattr(AudioReader, "_next", counted)
        model.enhance_file(source, tmp_path / "b.wav", **sound)
    frames = [frames for path, frames in decoded.values() if path == str(source)]
    assert sum(frames) == 2 * 12_000
