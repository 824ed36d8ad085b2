"""Each way of making speech worse, measured against what it says it did."""

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import fftconvolve

from dacse_cli.errors import InputError
from dacse_cli.training.mix.lossy import opus_compression, round_trip
from dacse_cli.training.mix.recipes import Range, decaying_room
from dacse_cli.training.mix.rooms import recorded_room, simulated_room, without_direct_sound
from dacse_cli.training.mix.tasks import TASKS, TaskContext
from dacse_cli.training.sound.level import power
from dacse_cli.training.sound.noises import RecordedNoise, repeat
from dacse_cli.training.sound.recordings import FromFiles, Recording, look, read_part

RATE = 16_000


def recording(path, samples, rate, **options):
    sf.write(path, samples, rate, **options)
    (found,), refused = look([(path.name, path)])
    assert not refused
    return found


def no_noise(samples):
    raise AssertionError


def context(rng=None, noise=no_noise, room=None):
    return TaskContext(RATE, rng or np.random.default_rng(0), noise, room or simulated_room("decay", RATE))


def rt60(response, rate):
    """From -5 to -35 dB of the backward integrated energy (ISO 3382), doubled."""
    decay = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2) + 1e-12)
    return 2 * (np.argmax(decay < -35) - np.argmax(decay < -5)) / rate


def white(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * np.float32(0.1)


@pytest.mark.parametrize(
    ("own", "rate"), [(48_000, 44_100), (16_000, 44_100), (44_100, 16_000), (8_000, 8_000)]
)
@pytest.mark.parametrize("share", [0.0, 0.37, 0.93])
def test_a_part_is_the_same_part_of_the_whole(tmp_path, own, rate, share):
    """Resampled from its own first sample on, a part is shifted by up to a sample and rings at its edges."""
    source = recording(tmp_path / "a.wav", white(2 * own + 77), own, subtype="FLOAT")
    whole = read_part(source, 0, source.samples_at(rate), rate)
    start = int(share * len(whole))
    expected = whole[start : start + 5000]
    np.testing.assert_allclose(read_part(source, start, len(expected), rate), expected, atol=2e-4)


def test_stereo_is_averaged_at_its_own_rate(tmp_path):
    """Interleaved channels read as one signal put a 1 kHz tone at 500 Hz, other rates elsewhere again."""
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(96_000) / 48_000)
    source = recording(tmp_path / "a.wav", np.stack([tone, tone], 1), 48_000)
    part = read_part(source, 0, RATE, RATE)
    assert np.argmax(np.abs(np.fft.rfft(part))) == 1000
    assert np.sqrt(2) * part.std() == pytest.approx(0.1, rel=0.01)


def test_less_than_the_header_says_is_an_error(tmp_path):
    """A part filled up with zeros would be learnt as a way to speak."""
    source = recording(tmp_path / "a.wav", white(2 * RATE), RATE)
    longer = Recording(source.name, source.path, 3 * RATE, RATE, 1)
    with pytest.raises(InputError, match="shorter"):
        read_part(longer, 2 * RATE, 1000, RATE)


def test_short_noise_is_repeated_without_seams():
    """Hard seams are clicks; a linear fade dips by 3 dB in every turn."""
    noise = white(4000)
    long = repeat(noise, 50_000, 800)
    assert len(long) == 50_000
    np.testing.assert_array_equal(long[:3200], noise[:3200])
    levels = [power(long[i : i + 400]) for i in range(0, 50_000 - 400, 400)]
    assert 10 * np.log10(min(levels) / max(levels)) > -3
    seams = np.mean([power(repeat(white(4000, s), 7000, 800)[3200:4000]) for s in range(50)])
    assert 10 * np.log10(seams / power(noise)) == pytest.approx(0, abs=0.3)


def test_silent_noise_is_passed_over(tmp_path):
    """Noise of silence makes a pair at infinite SNR whose record says 5 dB."""
    silent = recording(tmp_path / "a.wav", np.zeros(RATE), RATE)
    loud = recording(tmp_path / "b.wav", white(RATE), RATE)
    drawn = []
    for seed in range(8):
        RecordedNoise([silent, loud], FromFiles(RATE), np.random.default_rng(seed), drawn)(500)
    assert {record["file"] for record in drawn} == {"b.wav"}
    with pytest.raises(InputError, match="silent"):
        RecordedNoise([silent], FromFiles(RATE), np.random.default_rng(0), drawn)(500)


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.8])
def test_simulated_rooms_reverberate_as_long_as_they_say(seconds):
    response = decaying_room(RATE, Range(seconds, seconds))(np.random.default_rng(0), {})
    assert rt60(response, RATE) == pytest.approx(seconds, rel=0.1)


def test_image_rooms_reverberate_about_as_long_as_they_say():
    """Sabine's formula is an estimate; and the package's own generator must follow the row's."""
    pytest.importorskip("pyroomacoustics", reason="comes with dacse[mix]")
    draw, first, second = simulated_room("image", RATE), {}, {}
    response = draw(np.random.default_rng(5), first)
    np.testing.assert_array_equal(response, draw(np.random.default_rng(5), second))
    assert first == second
    assert rt60(response, RATE) == pytest.approx(first["room"]["rt60"], rel=0.35)


def test_recorded_rooms_start_with_their_direct_sound(tmp_path):
    """A response whose first 8 ms are travel delays the noisy speech against the clean; one that is centred
    echoes before the sound."""
    response = np.zeros((RATE, 2))
    response[800] = 1.0
    response[800 + 400] = 0.5
    room = recorded_room([recording(tmp_path / "r.wav", response, RATE, subtype="FLOAT")], RATE)
    speech = np.zeros(3 * RATE, np.float32)
    speech[RATE] = 0.5
    drawn = {}
    noisy, _ = TASKS["reverb"](speech, context(room=room), drawn)
    assert set(np.flatnonzero(np.abs(noisy) > 1e-6)) == {RATE, RATE + 400}
    assert noisy[RATE] == speech[RATE]
    assert 20 * np.log10(0.5 / noisy[RATE + 400]) == pytest.approx(drawn["dry_to_wet_db"], abs=0.01)
    assert drawn["room"]["channel"] in (0, 1)


def test_a_room_without_reverberation_is_refused():
    with pytest.raises(InputError, match="without reverberation"):
        without_direct_sound(np.array([0, 1, 0, 0], np.float32), RATE)


def test_reverberation_can_be_measured_in_the_pair():
    click = np.zeros(2 * RATE, np.float32)
    click[100] = 0.5
    drawn = {}
    wet = TASKS["reverb"](click, context(), drawn)[0] - click
    assert rt60(wet[100:], RATE) == pytest.approx(drawn["room"]["rt60"], rel=0.1)
    assert 10 * np.log10(power(click) / power(wet)) == pytest.approx(drawn["dry_to_wet_db"], abs=0.05)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize(
    ("codec", "compression"), [("opus", opus_compression(32)), ("mp3", 0.5), ("mp3", 0.7), ("mp3", 0.97)]
)
def test_coded_speech_stays_in_its_place(rate, codec, compression):
    """MP3 below 60 kbit/s comes back 1,105 samples late; a model would learn to move speech."""
    speech = np.convolve(white(rate + 321), np.ones(12) / 4, "same").astype(np.float32)
    coded, kbps = round_trip(speech, rate, codec, compression)
    assert coded.shape == speech.shape
    correlation = fftconvolve(coded, speech[::-1])
    assert abs(int(np.argmax(correlation)) - (len(speech) - 1)) <= (0 if codec == "mp3" else 1)
    assert 4 < kbps < 200


def test_opus_takes_the_bit_rate_drawn():
    _, kbps = round_trip(white(4 * RATE), RATE, "opus", opus_compression(24.0))
    assert kbps == pytest.approx(24, rel=0.15)
