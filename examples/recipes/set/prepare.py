"""Recordings for training and for scores, at 16 kHz: what is held out is in one, all else in the other.

    python prepare.py train --data FOLDER --out WORK    # WORK/speech/SPEAKER/*.flac, WORK/noise/*.flac
    python prepare.py score --data FOLDER --out WORK    # WORK/score/clean, WORK/score/noisy, drawn.json

`FOLDER` has `speech/kerstin`, `speech/intent`, `speech/prompts`, `speech/libri` and `noise`, folders of Opus
files. Speech is also written a tenth slower and faster, as speakers of their own, and at random levels around
-24 dB of full scale, as drawn from each name. Clips for scores are English: half spoken commands, half
audiobooks, 0 to 15 dB above noises that were never trained on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from dacse_cli.training.mix.signals import add_at_snr, fit_both

HERE = Path(__file__).parent
RATE = 16000
SPEEDS = {"": 1.0, "-slow": 0.9, "-fast": 1.1}
LEVEL_DB, SPREAD_DB = -24.0, 5.0
HELD_OUT = ("../nano/held_out.txt", "../nano/left_out.txt", "held_out_libri.txt")


def listed(name: str) -> list[str]:
    """The recordings of a list beside this script."""
    return [line for line in (HERE / name).read_text().splitlines() if line and line[0] != "#"]


def read(path: Path, speed: float = 1.0) -> NDArray[np.float32]:
    """A recording [S] at `RATE`, mono, played `speed` times as fast."""
    sound, rate = sf.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(sound.mean(axis=1), rate * speed, RATE), dtype=np.float32)


def at_level(sound: NDArray[np.float32], level_db: float) -> NDArray[np.float32]:
    """`sound` with its speech (frames within 30 dB of the loudest) at `level_db`, its peak at most 0.99."""
    frames = sound[: len(sound) // 400 * 400].reshape(-1, 400)
    power = np.square(frames).mean(axis=1)
    active = np.sqrt(power[power > 1e-3 * power.max()].mean())
    gain = min(10.0 ** (level_db / 20.0) / active, 0.99 / np.abs(sound).max())
    return sound * np.float32(gain)


def speaker(corpus: str, stem: str) -> str:
    """What tells speakers apart in a file's name."""
    if corpus in ("libri", "prompts"):
        return f"{corpus}-{stem.replace('_', '-').split('-')[0]}"
    return corpus


def for_training(data: Path, out: Path) -> None:
    """All recordings that are not held out."""
    unseen = {name for held in HELD_OUT for name in listed(held)}
    for path in sorted((data / "speech").rglob("*.opus")):
        name = path.relative_to(data).as_posix()
        if name in unseen:
            continue
        corpus = path.relative_to(data / "speech").parts[0]
        for suffix, speed in SPEEDS.items():
            if suffix and corpus == "kerstin":  # one speaker, and half of the hours
                continue
            spread = np.random.default_rng(crc32(f"{name}{suffix}".encode())).uniform(-SPREAD_DB, SPREAD_DB)
            sound = at_level(read(path, speed), LEVEL_DB + spread)
            write(out / "speech" / f"{speaker(corpus, path.stem)}{suffix}" / f"{path.stem}.flac", sound)
    for path in sorted((data / "noise").glob("*.opus")):
        if path.relative_to(data).as_posix() not in unseen:
            write(out / "noise" / f"{path.stem}.flac", read(path))


def for_scores(data: Path, out: Path, clips: int, seconds: float, seed: int) -> None:
    """Held-out speech in held-out noise."""
    rng = np.random.default_rng(seed)
    held = listed("../nano/held_out.txt")
    sources = [[n for n in held if n.startswith("speech/intent/")], listed("held_out_libri.txt")]
    noises = [name for name in held if name.startswith("noise/")]
    chosen = []
    for names in sources:
        chosen += [names[i] for i in rng.permutation(len(names))[: clips // 2]]
    ratios = rng.permutation(np.linspace(0.0, 15.0, len(chosen)))
    drawn = []
    for index, (name, snr) in enumerate(zip(chosen, ratios, strict=True)):
        clean = at_level(read(data / name)[: int(seconds * RATE)], LEVEL_DB)
        source = noises[index % len(noises)]
        noise = read(data / source)
        start = int(rng.integers(len(noise) - len(clean)))
        noisy, clean = fit_both(add_at_snr(clean, noise[start : start + len(clean)], float(snr)), clean)
        for side, sound in (("clean", clean), ("noisy", noisy)):
            write(out / "score" / side / f"{index:02d}.wav", sound)
        drawn.append(
            {"clip": f"{index:02d}", "speech": name, "noise": source, "snr_db": round(float(snr), 2)}
        )
    (out / "score" / "drawn.json").write_text(json.dumps(drawn, indent=1) + "\n")


def write(path: Path, sound: NDArray[np.float32]) -> None:
    """16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, sound, RATE, subtype="PCM_16")


def main() -> None:
    """Parse and do one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "score"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.what == "train":
        for_training(given.data, given.out)
    else:
        for_scores(given.data, given.out, given.clips, given.seconds, given.seed)


if __name__ == "__main__":
    main()
