"""Noisy speech for training a filter: several noises at once, rooms, band limits, clipping, codec damage.

The target keeps whatever a filter must not change: early reflections, the band, the speaker's level.
Ranges are in `FilterRecipe`; every drawn parameter that decides the severity is entered in `drawn`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

from dacse_cli.training.mix.lossy import opus_compression, round_trip
from dacse_cli.training.mix.recipes import Drawn, DrawNoise, DrawRoom, Range
from dacse_cli.training.mix.signals import clicks, clip, coloured_noise, hum
from dacse_cli.training.sound.level import Samples, active_rms, gain_of, rms

EARLY = 0.05
"""Seconds of reflections that stay in the target."""
DAMPED = 0.25
"""Seconds in which the target's later reflections fall by 60 dB more than the room's own."""
NEARLY_CLEAN, DRY_TO_WET = Range(25.0, 50.0), Range(-3.0, 12.0)
"""Decibels."""
NOISE_ONLY = gain_of(-26.0)
"""RMS of a row without speech."""


@dataclass(frozen=True)
class FilterRecipe:
    """Probabilities and ranges; signal-to-noise ratios refer to active speech."""

    noise_only: float = 0.05
    nearly_clean: float = 0.10
    snr_mean_db: float = 6.0
    snr_deviation_db: float = 8.0
    snr_limits_db: tuple[float, float] = (-8.0, 30.0)
    nearly_clean_db: Range = NEARLY_CLEAN
    room: float = 0.30
    dry_to_wet_db: Range = DRY_TO_WET
    recorded: float = 0.74
    """Shares of recorded noise, coloured noise, hum and tones, babble, and clicks."""
    coloured: float = 0.10
    tonal: float = 0.06
    babble: float = 0.06
    another: float = 0.35
    """Chance of each further noise (geometric)."""
    band: float = 0.15
    clipped: float = 0.06
    coded: float = 0.04
    coarse: float = 0.08
    """Chance of 16 bit rounding at a low level."""


@dataclass(frozen=True)
class Sources:
    """The sources of a row other than its speech."""

    rate: int
    noise: DrawNoise
    voices: DrawNoise | None
    """Other speech for babble; None: no babble."""
    room: DrawRoom


def disturbed(
    clean: Samples,
    sources: Sources,
    rng: np.random.Generator,
    drawn: Drawn,
    recipe: FilterRecipe | None = None,
) -> tuple[Samples, Samples]:
    """Clean speech [S] -> noisy speech [S] and a filter's target for it [S]."""
    recipe, rate = recipe or FilterRecipe(), sources.rate
    if rng.random() < 0.5:
        clean = _equalised(clean, rng, 6.0)
    noisy = target = clean
    if rng.random() < recipe.room:
        noisy, target = _in_room(clean, sources, rng, drawn, recipe)
    kind = rng.random()
    if kind < recipe.noise_only:
        drawn["snr_db"] = None
        return _disturbance(len(clean), sources, rng, recipe) * np.float32(NOISE_ONLY), np.zeros_like(clean)
    if kind < recipe.noise_only + recipe.nearly_clean:
        snr = recipe.nearly_clean_db.draw(rng)
    else:
        snr = float(np.clip(rng.normal(recipe.snr_mean_db, recipe.snr_deviation_db), *recipe.snr_limits_db))
    drawn["snr_db"] = snr
    gain = np.float32(active_rms(noisy, rate) * gain_of(-snr))
    noisy = noisy + _disturbance(len(clean), sources, rng, recipe) * gain
    if rng.random() < recipe.band:
        noisy, target = _limited(noisy, target, rate, rng, drawn)
    if rng.random() < recipe.clipped:
        drawn["clipped_share"] = float(10.0 ** rng.uniform(-3.0, -1.2))
        noisy = clip(noisy, drawn["clipped_share"])
    if rng.random() < recipe.coded:
        noisy = _coded(noisy, rate, rng, drawn)
    if rng.random() < recipe.coarse:
        noisy = _rounded(noisy, rng, drawn)
    return np.asarray(noisy, np.float32), np.asarray(target, np.float32)


def _in_room(
    clean: Samples, sources: Sources, rng: np.random.Generator, drawn: Drawn, recipe: FilterRecipe
) -> tuple[Samples, Samples]:
    """Speech in a room, and the same with late reflections attenuated."""
    response, size = sources.room(rng, drawn), len(clean)
    late = np.maximum(0.0, np.arange(len(response)) / sources.rate - EARLY)
    drawn["dry_to_wet_db"] = recipe.dry_to_wet_db.draw(rng)
    wet = fftconvolve(clean, response)[:size]
    damped = fftconvolve(clean, response * 10.0 ** (-3.0 * late / DAMPED))[:size]
    gain = rms(clean) / max(rms(np.asarray(wet, np.float32)), 1e-9) * gain_of(-drawn["dry_to_wet_db"])
    return np.asarray(clean + gain * wet, np.float32), np.asarray(clean + gain * damped, np.float32)


def _disturbance(samples: int, sources: Sources, rng: np.random.Generator, recipe: FilterRecipe) -> Samples:
    """One or several noises [S], RMS 1."""
    noise = _noise(samples, sources, rng, recipe)
    while rng.random() < recipe.another:
        noise = noise + _noise(samples, sources, rng, recipe) * np.float32(gain_of(rng.uniform(-15.0, 3.0)))
    if rng.random() < 0.5:
        noise = _equalised(noise, rng, 10.0)
    if rng.random() < 0.15:
        levels = [gain_of(level) for level in rng.uniform(-20.0, 0.0, int(rng.integers(3, 10)))]
        places = np.linspace(0.0, 1.0, len(levels))
        curve = np.interp(np.linspace(0.0, 1.0, samples), places, levels)
        noise = noise * curve.astype(np.float32)
    return _unit(noise)


def _noise(samples: int, sources: Sources, rng: np.random.Generator, recipe: FilterRecipe) -> Samples:
    """One noise [S], RMS 1."""
    kinds = np.cumsum([recipe.recorded, recipe.coloured, recipe.tonal, recipe.babble])
    kind = int(np.searchsorted(kinds, rng.random(), side="right"))
    if kind == 1:
        return coloured_noise(samples, rng.uniform(0.0, 1.2), rng)
    if kind == 2:
        mains = rng.random() < 0.6
        base = float(rng.choice((50.0, 60.0)) if mains else np.exp(rng.uniform(np.log(40.0), np.log(1500.0))))
        return hum(samples, sources.rate, base, rng, max(1, min(15, int(sources.rate * 0.49 / base))))
    if kind == 3 and sources.voices is not None:
        voices = [sources.voices(samples) for _ in range(int(rng.integers(4, 10)))]
        return _unit(np.sum([_unit(v) * gain_of(rng.uniform(-6.0, 0.0)) for v in voices], axis=0))
    if kind == 4:
        return clicks(samples, sources.rate, rng.uniform(1.0, 12.0), rng)
    return _unit(_played(sources, samples, rng))


def _played(sources: Sources, samples: int, rng: np.random.Generator) -> Samples:
    """Recorded noise, sometimes faster, slower or backwards."""
    speed = float(rng.uniform(0.8, 1.25)) if rng.random() < 0.4 else 1.0
    noise = sources.noise(int(samples * speed) + 2)
    if rng.random() < 0.2:
        noise = noise[::-1]
    if speed == 1.0:
        return noise[:samples]
    played = np.interp(np.arange(samples) * speed, np.arange(len(noise)), noise)
    return np.asarray(played, np.float32)


def _unit(sound: Samples) -> Samples:
    level = rms(sound)
    return np.asarray(sound / level if level > 1e-7 else np.zeros_like(sound), np.float32)


def _equalised(sound: Samples, rng: np.random.Generator, depth_db: float) -> Samples:
    """A smooth random frequency response of at most `depth_db`."""
    bins = len(sound) // 2 + 1
    places = np.concatenate([[0.0], np.sort(rng.uniform(0.0, 1.0, 4)), [1.0]])
    decibels = np.interp(np.linspace(0.0, 1.0, bins) ** 0.5, places, rng.uniform(-depth_db, depth_db, 6))
    return np.fft.irfft(np.fft.rfft(sound) * 10.0 ** (decibels / 20.0), len(sound)).astype(np.float32)


def _limited(
    noisy: Samples, target: Samples, rate: int, rng: np.random.Generator, drawn: Drawn
) -> tuple[Samples, Samples]:
    """Both signals band-limited as by a telephone: without the highest and often the lowest frequencies."""
    frequencies = np.fft.rfftfreq(len(noisy), 1.0 / rate)
    drawn["band_high"] = float(rng.uniform(3300.0, min(7500.0, 0.47 * rate)))
    curve = 1.0 / (
        1.0 + np.exp(np.clip((frequencies - drawn["band_high"]) / rng.uniform(20.0, 150.0), -50, 50))
    )
    if rng.random() < 0.5:
        drawn["band_low"] = float(rng.uniform(60.0, 320.0))
        curve /= 1.0 + np.exp(np.clip((drawn["band_low"] - frequencies) / 20.0, -50, 50))
    both = np.fft.irfft(np.fft.rfft(np.stack([noisy, target]), axis=1) * curve, len(noisy), axis=1)
    return both[0].astype(np.float32), both[1].astype(np.float32)


def _coded(noisy: Samples, rate: int, rng: np.random.Generator, drawn: Drawn) -> Samples:
    """Through Opus or MP3, at a level that does not clip."""
    gain = np.float32(0.5 / (np.abs(noisy).max() + 1e-6))
    drawn["codec"] = str(rng.choice(("opus", "mp3")))
    kbps = float(np.exp(rng.uniform(np.log(8.0), np.log(48.0))))
    compression = opus_compression(kbps) if drawn["codec"] == "opus" else float(rng.uniform(0.5, 0.95))
    coded, drawn["kbps"] = round_trip(np.ascontiguousarray(noisy * gain), rate, drawn["codec"], compression)
    return np.asarray(coded / gain, np.float32)


def _rounded(noisy: Samples, rng: np.random.Generator, drawn: Drawn) -> Samples:
    """Rounded to 16 bits at a peak of -45 to -5 dB."""
    drawn["peak_db"] = float(rng.uniform(-45.0, -5.0))
    gain = gain_of(drawn["peak_db"]) / (np.abs(noisy).max() + 1e-9) * 32768.0
    return np.asarray(np.round(noisy * gain) / gain, np.float32)
