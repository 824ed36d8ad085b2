"""Write recordings of noise made from sound effects: barks, ticks, steps, doors, beeps, bird calls.

    mkdir packages && cd packages
    apt-get download scratch minetest-data megaglest-data lugaru-data
    apt-get download flare-game lomiri-sounds sonic-pi-samples
    for deb in *.deb; do dpkg -x $deb ${deb%%_*}; done
    python effects.py --packages packages --out WORK/noise/effects

Recordings of ambience hold few short sounds, and those are what a filter trained on ambience leaves in. A
recording here is three parts of 15 s, each of one kind of effect: short ones again and again, with regular or
random pauses, at several speeds and levels. A quarter of the parts are synthetic: whistles, knocks and barks.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf
from held_out_set import read as recording
from numpy.typing import NDArray

RATE = 16_000
PART = 15 * RATE
PARTS = 3
LONG = 3 * RATE
"""Effects of more samples are played through instead of being repeated with pauses."""
SYNTHETIC = 40
"""Parts of each synthetic kind."""
Samples = NDArray[np.float32]

WANTED = {
    "scratch": r"/(Animal|Effects|Electronic|Percussion|Instruments)/"
    r"|/Human/(Cough|Sneeze|Foot|Finger|Slurp|BabyCry)",
    "minetest-data": r"(?<!player_damage)\.ogg$",
    "megaglest-data": r"/(cow|pig|chicken|wolf|hawk|owl|rooster|eagle|anvil|arrow_hit|catapult|tower"
    r"|tech_building|worker_(harvest|mine|build)|golem_walk|horseman_walk|desertday|sunny_day|day|night|rain"
    r"|wind)[^/]*$",
    "lugaru-data": r"/(?!Music|Rabbit)[^/]+\.ogg$",
    "flare-game": r"/soundfx/(?!.*(merchant|male|theme))",
    "lomiri-sounds": r"\.ogg$",
    "sonic-pi-samples": r"\.flac$",
}
"""Package -> files without voices or long pieces of music. All are under CC-BY-SA, CC-BY or CC0."""


def groups(packages: Path) -> dict[str, list[Path]]:
    """Kinds of effects: files of a package whose names differ in a number alone."""
    found = defaultdict(list)
    for package, pattern in WANTED.items():
        for path in sorted((packages / package).rglob("*.*")):
            if path.suffix in (".ogg", ".wav", ".mp3", ".flac") and re.search(pattern, path.as_posix()):
                stem = path.stem.split("_")[0] if package == "sonic-pi-samples" else path.stem
                found[f"{package}-{re.sub(r'[^a-z]+', '-', stem.lower()).strip('-')}"].append(path)
    return dict(found)


def read(path: Path) -> Samples:
    """An effect at `RATE`, mono, its loudest sample at 1; empty if it is silent."""
    sound = recording(path, RATE)[: 2 * PART]
    loudest = np.abs(sound).max(initial=0.0)
    return np.asarray(sound / loudest, np.float32) if loudest > 1e-3 else np.zeros(0, np.float32)


def part(effects: list[Samples], rng: np.random.Generator) -> Samples:
    """`PART` samples of one kind of effect."""
    if max(map(len, effects)) > LONG:
        effect = max(effects, key=len)
        return np.tile(effect, -(-PART // len(effect)))[:PART]
    out, at = np.zeros(PART, np.float32), 0
    regular, pause = rng.random() < 0.4, np.exp(rng.uniform(np.log(0.1), np.log(1.5)))
    while at < PART:
        effect = respeed(effects[int(rng.integers(len(effects)))], rng.uniform(0.8, 1.25))
        effect = effect[: PART - at] * np.float32(10 ** (rng.uniform(-9, 0) / 20))
        out[at : at + len(effect)] += effect
        step = pause if regular else rng.exponential(pause)
        at += max(int(RATE * step), len(effect) // 2, RATE // 50)
    return out


def respeed(effect: Samples, speed: float) -> Samples:
    """The effect faster or slower, by linear interpolation."""
    times = np.arange(0, len(effect) - 1, speed)
    return np.interp(times, np.arange(len(effect)), effect).astype(np.float32)


def whistle(rng: np.random.Generator) -> Samples:
    """A call of a bird: a few glides of a nearly pure tone."""
    pieces = []
    for _ in range(int(rng.integers(1, 6))):
        length = int(RATE * rng.uniform(0.03, 0.25))
        glide = np.linspace(*rng.uniform(1500, 7000, 2), length)
        glide += rng.uniform(0, 600) * np.sin(2 * np.pi * rng.uniform(10, 60) * np.arange(length) / RATE)
        tone = np.sin(2 * np.pi * np.cumsum(glide) / RATE) * np.hanning(length) ** rng.uniform(0.3, 1.5)
        pieces += [tone, np.zeros(int(RATE * rng.uniform(0, 0.12)))]
    return np.concatenate(pieces).astype(np.float32)


def knock(rng: np.random.Generator) -> Samples:
    """A tick or a knock: one to six damped resonances, and a burst of noise."""
    times = np.arange(int(RATE * rng.uniform(0.02, 0.2))) / RATE
    sound = rng.standard_normal(len(times)) * np.exp(-times * rng.uniform(200, 2000)) * rng.uniform(0, 1)
    for _ in range(int(rng.integers(1, 7))):
        tone = np.sin(2 * np.pi * np.exp(rng.uniform(np.log(150), np.log(7500))) * times)
        sound += rng.uniform(0.1, 1) * tone * np.exp(-times * np.exp(rng.uniform(np.log(15), np.log(400))))
    return (sound / np.abs(sound).max()).astype(np.float32)


def bark(rng: np.random.Generator) -> Samples:
    """A bark: a harmonic tone that rises and falls, rough, through two wide resonances."""
    length = int(RATE * rng.uniform(0.07, 0.3))
    times = np.linspace(0, 1, length)
    pitch = rng.uniform(150, 700) * (1 + rng.uniform(0, 0.5) * np.sin(np.pi * times) - 0.3 * times)
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.02 * rng.standard_normal(length))) / RATE
    centres, sound = rng.uniform((400, 1200), (1200, 3500)), np.zeros(length)
    for number in range(1, 25):
        heights = np.exp(-(((number * pitch.mean() - centres) / rng.uniform(300, 700)) ** 2))
        sound += (heights.sum() + 0.03) * np.sin(number * phase) * (number * pitch < RATE / 2)
    sound += rng.uniform(0, 0.6) * rng.standard_normal(length)
    sound *= np.minimum(1, times * 12) * (1 - times) ** rng.uniform(0.5, 2)
    return (sound / np.abs(sound).max()).astype(np.float32)


def main() -> None:
    """Write all recordings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rng, parts = np.random.default_rng(0), []
    for name, paths in sorted(groups(given.packages).items()):
        effects = [sound for sound in map(read, paths) if len(sound) > RATE // 100]
        if effects:
            parts.append((name, part(effects, rng)))
    kinds: tuple[Callable[[np.random.Generator], Samples], ...] = (whistle, knock, bark)
    for make in kinds:
        for number in range(SYNTHETIC):
            parts.append((f"{make.__name__}-{number}", part([make(rng) for _ in range(4)], rng)))
    given.out.mkdir(parents=True, exist_ok=True)
    order = rng.permutation(len(parts))
    for at in range(0, len(order) - PARTS + 1, PARTS):
        chosen = [parts[index] for index in order[at : at + PARTS]]
        samples = np.concatenate([sound / max(1e-3, np.sqrt(np.mean(sound**2))) for _, sound in chosen])
        target = given.out / f"{at // PARTS:03d}.flac"
        sf.write(target, 0.5 * samples / np.abs(samples).max(), RATE, subtype="PCM_24")
        print(target.name, *(name for name, _ in chosen), flush=True)


if __name__ == "__main__":
    main()
