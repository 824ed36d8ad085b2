"""Write the recordings `nano` is scored on: speech and noises that no training has seen.

    python held_out_set.py --data FOLDER --out SETS
    dacse enhance SETS/mixtures/noisy SETS/mixtures/nano --model nano
    dacse evaluate SETS/mixtures/clean SETS/mixtures/nano --noisy SETS/mixtures/noisy

SETS/mixtures   60 clips in four languages and any noise, -5 to 15 dB
SETS/streets    40 clips of English audiobooks in the noise of streets, rooms and trains, 2.5 to 17.5 dB,
                the ratios of VoiceBank-DEMAND's test set
and in each `manifest.csv`: file, language, snr, speech, noise. Speech at -24 dB of full scale, pauses aside.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from dacse_cli.training.mix.signals import fit_both
from dacse_cli.training.sound.level import active_rms, gain_of, rms

LEVEL = gain_of(-24.0)
SECONDS = 6.0
LANGUAGES = {"libri": "en", "intent": "en", "prompts": "it", "kerstin": "de"}
STREETS = (
    "busy-street",
    "cafe",
    "inside-a-train",
    "supermarket",
    "construction-site",
    "washing-machine",
    "wind",
)


@dataclass(frozen=True)
class Recipe:
    """One set: clips of each corpus, noises (empty: all that are held out), ratios in turn."""

    clips: dict[str, int]
    noises: tuple[str, ...]
    ratios_db: tuple[float, ...]
    seed: int


SETS = {
    "mixtures": Recipe(
        {"libri": 25, "intent": 15, "prompts": 10, "kerstin": 10}, (), (-5.0, 0.0, 5.0, 10.0, 15.0), 5
    ),
    "streets": Recipe({"libri": 25, "intent": 15}, STREETS, (2.5, 7.5, 12.5, 17.5), 6),
}


def rate_of(name: str) -> int:
    """Full band where the recording has it, Hz."""
    return 44_100 if "/kerstin/" in name else 16_000


def read(path: Path, rate: int) -> NDArray[np.float32]:
    """A recording [S] at `rate`, mono."""
    sound, own = sf.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(sound.mean(axis=1), own, rate), dtype=np.float32)


def write(data: Path, out: Path, recipe: Recipe, held_out: list[str]) -> None:
    """One set."""
    rng, rows = np.random.default_rng(recipe.seed), []
    noises = [
        n for n in held_out if n.startswith("noise/") and (not recipe.noises or Path(n).stem in recipe.noises)
    ]
    speech = []
    for corpus, count in recipe.clips.items():
        names = [name for name in held_out if name.startswith(f"speech/{corpus}/")]
        speech += [names[i] for i in rng.permutation(len(names))[:count]]
    for side in ("clean", "noisy"):
        (out / side).mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(speech):
        rate, snr = rate_of(name), recipe.ratios_db[index % len(recipe.ratios_db)]
        clean = read(data / name, rate)[: int(SECONDS * rate)]
        clean = clean * np.float32(LEVEL / active_rms(clean, rate))
        source = noises[int(rng.integers(len(noises)))]
        noise = read(data / source, rate)
        start = int(rng.integers(len(noise) - len(clean)))
        noise = noise[start : start + len(clean)]
        noise = noise * np.float32(LEVEL * gain_of(-snr) / max(rms(noise), 1e-6))
        noisy, clean = fit_both(clean + noise, clean)
        for side, signal in (("clean", clean), ("noisy", noisy)):
            sf.write(out / side / f"{index:02d}.wav", signal, rate, subtype="PCM_16")
        language = LANGUAGES[name.split("/")[1]]
        rows.append(
            {"file": f"{index:02d}.wav", "language": language, "snr": snr, "speech": name, "noise": source}
        )
    with (out / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    lines = (Path(__file__).parent / "held_out.txt").read_text().splitlines()
    held_out = [line for line in lines if line and line[0] != "#"]
    for name, recipe in SETS.items():
        write(given.data, given.out / name, recipe, held_out)


if __name__ == "__main__":
    main()
