"""Answers of which it is known whether they say what was said: good ones, and good ones with a planted fault.

A scene is real speech of one voice, with pauses, in real noise. A good answer to it is the clean speech, the
clean speech through a codec, or the noisy input under an ideal mask. Faults are gross: at least 0.3 s of
speech is concerned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.signal import istft, stft

from dacse_cli.pipeline.guard.frames import HOP, RATE, listen
from dacse_cli.pipeline.guard.measures import VOICED
from dacse_cli.training.mix.signals import add_at_snr, coloured_noise, fit_both

FAULTS = ("words", "invented", "repeat", "dropped", "too loud", "too quiet")
SPOKEN = 0.3
"""Seconds of speech that a fault must concern."""


@dataclass
class Scene:
    """Samples `[S]` at 16 kHz: what the model hears, what was said, and good answers by kind."""

    noisy: np.ndarray
    clean: np.ndarray
    snr: float
    answers: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        energy = _energy(self.clean)
        self.active = energy > np.quantile(energy, 0.95) * 1e-3
        """Which hops of 10 ms hold speech."""


@dataclass(frozen=True)
class Case:
    """One chunk: its place in the scene, the answer, and what is wrong with it (empty: nothing)."""

    start: int
    stop: int
    answer: np.ndarray
    kind: str
    fault: str = ""


def _energy(samples: np.ndarray) -> np.ndarray:
    hops = len(samples) // HOP
    return np.square(samples[: hops * HOP].reshape(hops, HOP), dtype=np.float64).mean(axis=1)


def read(path: Path, start: float = 0.0, seconds: float = 1e9) -> np.ndarray:
    """A part of a recording, mono at 16 kHz."""
    info = soundfile.info(path)
    first, count = int(start * info.samplerate), int(min(seconds, info.duration - start) * info.samplerate)
    samples, rate = soundfile.read(path, frames=count, start=first, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE).astype(np.float32)


def voices(folder: Path) -> list[list[Path]]:
    """Recordings by voice: one folder and one `xx_` prefix are one voice, other names one each."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.opus")):
        prefix = re.match(r"[a-z]+_", path.name)
        found.setdefault(f"{path.parent}/{prefix[0] if prefix else path.name}", []).append(path)
    return list(found.values())


def monologue(recordings: list[Path], seconds: float, rng: np.random.Generator) -> np.ndarray | None:
    """Speech of one voice with pauses of up to 1.2 s; None where there is no speech (a tone, music)."""
    parts, have = [], 0
    for path in rng.permutation(np.array(recordings, dtype=object))[:12]:
        if have >= seconds * RATE:
            break
        pause = np.zeros(int(rng.uniform(0, 1.2) * RATE), np.float32)
        parts += [read(path, seconds=6.0), pause]
        have += len(parts[-2]) + len(pause)
    speech = np.concatenate(parts)[: int(seconds * RATE)]
    frames = listen(speech)
    loud = frames.power > frames.power.max() * 1e-3
    if len(speech) < 2 * RATE or (frames.harmonic[loud].max(axis=1) > VOICED).mean() < 0.15:
        return None
    level = 10 ** (rng.uniform(-34, -18) / 20)
    return (speech * level / speech[np.abs(speech) > 1e-4].std()).astype(np.float32)


def scenes(
    speech: Path, noise: Path | None, count: int, seconds: float, rng: np.random.Generator
) -> Iterator[Scene]:
    """`count` scenes at 0 to 15 dB, every fifth without noise."""
    people = voices(speech)
    noises = sorted(noise.rglob("*.opus")) if noise else []
    made = 0
    while made < count:
        clean = monologue(people[rng.integers(len(people))], seconds, rng)
        if clean is None:
            continue
        made += 1
        snr = np.inf if made % 5 == 0 else rng.uniform(0, 15)
        noisy = clean
        if np.isfinite(snr):
            noisy = add_at_snr(clean, _noise(noises, len(clean), rng), snr)
        noisy, clean = fit_both(noisy, clean)
        scene = Scene(noisy, clean, snr, {"clean": clean})
        if np.isfinite(snr):
            scene.answers["mask"] = ideal_mask(noisy, clean)
        yield scene


def _noise(noises: list[Path], samples: int, rng: np.random.Generator) -> np.ndarray:
    if not noises:
        return coloured_noise(samples, rng.choice([0.0, 0.5, 1.0]), rng)
    path = noises[rng.integers(len(noises))]
    start = rng.uniform(0, max(0.0, soundfile.info(path).duration - samples / RATE - 1))
    return np.resize(read(path, start, samples / RATE + 0.5), samples).astype(np.float32)


def ideal_mask(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The noisy input under the best real gain of every time and frequency, at least -24 dB."""
    mixed, speech = (stft(x, nperseg=512, noverlap=384)[2] for x in (noisy, clean))
    powers = np.abs(speech) ** 2, np.abs(mixed - speech) ** 2
    gains = np.maximum(powers[0] / (powers[0] + powers[1] + 1e-12), 0.06)
    return istft(mixed * gains, nperseg=512, noverlap=384)[1][: len(noisy)].astype(np.float32)


def cases(scene: Scene, seconds: float, rng: np.random.Generator) -> Iterator[Case]:
    """Every chunk of `seconds`, as it is in every good answer, and with every fault that fits there."""
    size = int(seconds * RATE)
    for start in range(0, len(scene.clean) - size + 1, max(size // 2, RATE // 2)):
        for kind, answer in scene.answers.items():
            good = Case(start, start + size, answer[start : start + size], kind)
            yield good
            if kind != "mask":
                yield from _faulty(scene, good, answer, rng)


def _faulty(scene: Scene, good: Case, whole: np.ndarray, rng: np.random.Generator) -> Iterator[Case]:
    size = good.stop - good.start
    spoken = _spoken(scene, good.start, good.stop)

    def fault(name: str, answer: np.ndarray) -> Case:
        return Case(good.start, good.stop, answer.astype(np.float32), good.kind, name)

    far = [
        at for at in range(0, len(whole) - size + 1, RATE // 10) if abs(at - good.start) >= min(size, RATE)
    ]
    if far:
        at = far[rng.integers(len(far))]
        others = _spoken(scene, at, at + size)
        if min(spoken, others) >= SPOKEN:
            yield fault("words", whole[at : at + size])
        if spoken < 0.05 and others >= SPOKEN:
            yield fault("invented", whole[at : at + size])
    if spoken < SPOKEN + 0.1:
        return
    yield fault("dropped", good.answer * 10**-2.5)
    decibels = rng.uniform(12, 20)
    yield fault("too loud", np.clip(good.answer * 10 ** (decibels / 20), -1, 1))
    yield fault("too quiet", good.answer * 10 ** (-decibels / 20))
    first = int(np.flatnonzero(scene.active[good.start // HOP : good.stop // HOP])[0] * HOP)
    syllable = good.answer[first : first + RATE // 5]
    if size - first - len(syllable) > RATE // 4 and _spoken(scene, good.start + first, good.stop) >= 0.4:
        yield fault("repeat", np.concatenate([good.answer[:first], np.resize(syllable, size - first)]))


def _spoken(scene: Scene, start: int, stop: int) -> float:
    """Seconds of speech between two samples."""
    return float(scene.active[start // HOP : stop // HOP].sum() * HOP / RATE)
