"""Degradations of speech, as pure functions of samples.

Every function takes mono float samples `[S]` and returns `[S]` float32, aligned to the sample; random values
are drawn from the given `rng`. Ranges are in `recipes`. Levels are never normalised one-sidedly: a caller
that must avoid clipping scales speech and mixture alike (`fit_both`), because a difference in level is
something a model would learn.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from dacse_cli.training.sound.level import FULL_SCALE, Samples, power

SPEED_OF_DECAY = 60.0
"""Decibels by which a room's energy has fallen after its RT60, by definition."""


def add_at_snr(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """`speech + g * noise` with g such that 10 log10(P(speech) / P(g noise)) = `snr_db`.

    If either signal is silent, the speech is returned unchanged: no gain would give the ratio.
    """
    if speech.shape != noise.shape:
        raise ValueError(f"speech has {speech.shape} samples, noise {noise.shape}")
    signal, disturbance = power(speech), power(noise)
    if signal == 0.0 or disturbance == 0.0:
        return speech.astype(np.float32)
    gain = np.sqrt(signal / disturbance * 10.0 ** (-snr_db / 10.0))
    return np.asarray(speech + gain * noise, np.float32)


def fit_both(noisy: Samples, clean: Samples) -> tuple[Samples, Samples]:
    """Both scaled by one gain, the largest up to 1 with which neither exceeds full scale."""
    peak = max(float(np.abs(noisy).max(initial=0.0)), float(np.abs(clean).max(initial=0.0)))
    gain = np.float32(min(1.0, FULL_SCALE / peak) if peak else 1.0)
    return noisy * gain, clean * gain


def coloured_noise(samples: int, slope: float, rng: np.random.Generator) -> Samples:
    """Noise with amplitudes f^-`slope`: 0 white, 0.5 pink, 1 brown. RMS 1, flat at the lowest f."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    bins = np.arange(len(spectrum))
    spectrum *= np.maximum(bins, max(1.0, samples / 400.0)) ** -slope
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / (noise.std() + 1e-12), np.float32)


def hum(samples: int, rate: int, mains: float, rng: np.random.Generator, harmonics: int = 11) -> Samples:
    """Mains hum: `harmonics` of `mains` Hz with amplitudes 1/h and drawn phases, RMS 1."""
    order = np.arange(1, harmonics + 1)[:, None]
    phases = rng.uniform(0.0, 2.0 * np.pi, (harmonics, 1))
    seconds = np.arange(samples) / rate
    tone = (np.sin(2.0 * np.pi * mains * order * seconds + phases) / order).sum(0)
    return np.asarray(tone / (tone.std() + 1e-12), np.float32)


def clicks(samples: int, rate: int, per_second: float, rng: np.random.Generator) -> Samples:
    """Decaying 2 ms clicks at drawn places, `per_second` on average, RMS 1 (zeros where none is drawn)."""
    train = np.zeros(samples)
    places = rng.integers(0, samples, rng.poisson(per_second * samples / rate))
    train[places] = rng.standard_normal(len(places))
    length = max(2, int(0.002 * rate))
    shape = np.exp(-5.0 * np.arange(length) / length) * rng.standard_normal(length)
    sound = fftconvolve(train, shape)[:samples]
    return np.asarray(sound / (sound.std() + 1e-12), np.float32)


def drop_packets(speech: Samples, packet: int, probability: float, rng: np.random.Generator) -> Samples:
    """Zero packets of `packet` samples, each with `probability`, including a last partial packet."""
    if packet < 1:
        raise ValueError(f"a packet must have at least one sample, not {packet}")
    lost = rng.random(-(-len(speech) // packet)) < probability
    return np.where(np.repeat(lost, packet)[: len(speech)], np.float32(0.0), speech).astype(np.float32)


def limit_band(speech: Samples, rate: int, low_rate: int) -> Samples:
    """Resample to `low_rate` and back, which removes all above `low_rate / 2` Hz; keeps the alignment."""
    divisor = int(np.gcd(rate, low_rate))
    narrow = resample_poly(speech, low_rate // divisor, rate // divisor)
    wide = resample_poly(narrow, rate // divisor, low_rate // divisor)
    return np.asarray(wide[: len(speech)], dtype=np.float32)


def room_response(rate: int, rt60: float, rng: np.random.Generator, delay: float = 0.005) -> Samples:
    """A room without its direct sound: noise decaying by 60 dB in `rt60` s, after `delay` s. Energy 1."""
    samples = max(2, int(rt60 * rate))
    decay = 10.0 ** (-SPEED_OF_DECAY / 20.0 * np.arange(samples) / samples)
    response = rng.standard_normal(samples) * decay
    response[: int(delay * rate)] = 0.0
    return (response / (np.linalg.norm(response) + 1e-12)).astype(np.float32)


def add_reverb(speech: Samples, response: Samples, dry_to_wet_db: float) -> Samples:
    """Speech plus its convolution with `response`, at a ratio of powers of `dry_to_wet_db`.

    Causal: sample 0 of the response is time 0, so no echo comes before its sound.
    """
    wet = fftconvolve(speech, response)[: len(speech)].astype(np.float32)
    return add_at_snr(speech, wet, dry_to_wet_db)


def clip(speech: Samples, share: float) -> Samples:
    """Hard clipping at the level that a share `share` of all samples exceeds."""
    level = float(np.quantile(np.abs(speech), 1.0 - share)) if len(speech) else 0.0
    return np.clip(speech, -level, level).astype(np.float32)
