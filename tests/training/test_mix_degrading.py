"""Each way of making speech worse is measured against what it claims."""

import numpy as np
import pytest

from dacse_cli.training.mix import signals
from dacse_cli.training.sound.level import power

RATE = 16000


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def speech(rng):
    """Two seconds of noise with a speech-like envelope, RMS near 0.1."""
    seconds = np.arange(2 * RATE) / RATE
    envelope = 0.1 * (1.1 + np.sin(2 * np.pi * 4 * seconds))
    return (envelope * rng.standard_normal(2 * RATE)).astype(np.float32)


@pytest.mark.parametrize("snr", [-8.0, 0.0, 15.0])
def test_noise_is_added_at_the_ratio_asked_for(speech, rng, snr):
    noise = signals.coloured_noise(len(speech), 0.5, rng)
    added = signals.add_at_snr(speech, noise, snr) - speech
    measured = 10 * np.log10(power(speech) / power(added))
    assert measured == pytest.approx(snr, abs=0.01)


def test_silence_has_no_ratio_and_stays_as_it_is(speech):
    silence = np.zeros_like(speech)
    assert np.array_equal(signals.add_at_snr(speech, silence, 0.0), speech)
    assert not signals.add_at_snr(silence, speech, 0.0).any()


def test_one_gain_for_both_sides(speech):
    noisy, clean = signals.fit_both(speech * 40, speech * 10)
    assert np.abs(noisy).max() == pytest.approx(signals.FULL_SCALE, rel=1e-5)
    assert np.allclose(noisy, clean * 4)


@pytest.mark.parametrize("probability", [0.02, 0.2])
def test_packets_are_lost_whole_and_as_often_as_said(rng, probability):
    speech = np.ones(1_000_050, np.float32)
    lossy = signals.drop_packets(speech, 100, probability, rng)
    packets = lossy[:1_000_000].reshape(-1, 100)
    lost = packets[:, 0] == 0
    assert np.array_equal(packets, np.repeat(packets[:, :1], 100, axis=1))
    assert lost.mean() == pytest.approx(probability, abs=4 * np.sqrt(probability / len(lost)))


def test_the_last_partial_packet_can_be_lost(rng):
    """It never was in the published generator."""
    assert not signals.drop_packets(np.ones(150, np.float32), 100, 1.0, rng).any()


def test_nothing_is_left_above_the_low_rate(speech):
    narrow = signals.limit_band(speech, RATE, 4000)
    assert len(narrow) == len(speech)
    spectrum = np.abs(np.fft.rfft(narrow)) ** 2
    hertz = np.fft.rfftfreq(len(narrow), 1 / RATE)
    assert spectrum[hertz > 2200].sum() < 1e-4 * spectrum[hertz < 1800].sum()
    kept = np.fft.irfft(np.where(hertz < 1500, np.fft.rfft(narrow - speech), 0))
    assert power(kept) < 1e-3 * power(speech)


def test_no_echo_before_its_sound(rng):
    """The published generator centred the response, so a click was heard half a response early."""
    click = np.zeros(RATE, np.float32)
    click[8000] = 1.0
    heard = signals.add_reverb(click, signals.room_response(RATE, 0.5, rng), 3.0)
    assert np.abs(heard[:8000]).max() < 1e-6
    assert np.abs(heard[8080:]).max() > 1e-3


@pytest.mark.parametrize("rt60", [0.2, 0.6])
def test_a_room_decays_by_its_rt60(rng, rt60):
    response = signals.room_response(RATE, rt60, rng, delay=0.0)
    remaining = np.cumsum(response[::-1] ** 2)[::-1]  # Schroeder 1965
    level = 10 * np.log10(remaining / remaining[0])
    falls = [np.argmax(level < mark) / RATE for mark in (-5.0, -25.0)]
    assert 3 * (falls[1] - falls[0]) == pytest.approx(rt60, rel=0.15)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_noise_has_its_colour(rng, slope):
    spectrum = np.abs(np.fft.rfft(signals.coloured_noise(1 << 17, slope, rng)))
    bands = [spectrum[low : 2 * low].mean() for low in (2048, 16384)]
    assert np.log2(bands[0] / bands[1]) / 3 == pytest.approx(slope, abs=0.05)


def test_hum_is_at_its_mains(rng):
    spectrum = np.abs(np.fft.rfft(signals.hum(RATE, RATE, 50.0, rng)))
    assert int(spectrum.argmax()) == 50
    assert spectrum[[75, 125]].max() < 1e-3 * spectrum[50]


def test_clipping_flattens_the_share_asked_for(speech):
    clipped = signals.clip(speech, 0.05)
    assert np.mean(np.abs(clipped) >= np.abs(clipped).max() - 1e-7) == pytest.approx(0.05, abs=0.001)
