"""Write the recordings `nano` is scored on: held-out speech in held-out noise, 0 to 15 dB.

    python held_out_set.py --data FOLDER --out SET          # SET/clean, SET/noisy, SET/drawn.json
    dacse enhance SET/noisy SET/nano --model nano
    dacse evaluate SET/clean SET/nano --noisy SET/noisy

English alone (speech/intent), because the small recogniser that scores words knows only English; `--corpus`
takes another folder of `speech/`. Speech at -24 dB of full scale, one clip a recording, drawn by one seed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from dacse_cli.training.mix.signals import add_at_snr, fit_both

RATE = 16000
LEVEL_DB = -24.0


def read(path: Path) -> NDArray[np.float32]:
    """A recording [S] at `RATE`, mono."""
    sound, rate = sf.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(sound.mean(axis=1), rate, RATE), dtype=np.float32)


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corpus", default="intent")
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    names = [
        name for name in (Path(__file__).parent / "held_out.txt").read_text().splitlines() if name[0] != "#"
    ]
    speech = [name for name in names if name.startswith(f"speech/{given.corpus}/")]
    noises = [name for name in names if name.startswith("noise/")]
    chosen = [speech[i] for i in rng.permutation(len(speech))[: given.clips]]
    ratios = rng.permutation(np.linspace(0.0, 15.0, len(chosen)))
    drawn = []
    for index, (name, snr) in enumerate(zip(chosen, ratios, strict=True)):
        clean = read(given.data / name)[: int(given.seconds * RATE)]
        clean = clean * np.float32(10.0 ** (LEVEL_DB / 20.0) / (clean.std() + 1e-9))
        source = noises[index % len(noises)]
        noise = read(given.data / source)
        start = int(rng.integers(len(noise) - len(clean)))
        noisy, clean = fit_both(add_at_snr(clean, noise[start : start + len(clean)], float(snr)), clean)
        for side, signal in (("clean", clean), ("noisy", noisy)):
            (given.out / side).mkdir(parents=True, exist_ok=True)
            sf.write(given.out / side / f"{index:02d}.wav", signal, RATE, subtype="PCM_16")
        drawn.append(
            {"clip": f"{index:02d}", "speech": name, "noise": source, "snr_db": round(float(snr), 2)}
        )
    (given.out / "drawn.json").write_text(json.dumps(drawn, indent=1) + "\n")


if __name__ == "__main__":
    main()
