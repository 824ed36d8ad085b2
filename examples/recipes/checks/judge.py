"""Wrong codes of language models on held-out pairs, by distortion.

    python judge.py HELD joint=RUN/joint 'two stages=RUN/{}' --out scores.csv

HELD has a folder per distortion, made by `dacse mix`: `clean/`, `noisy/`. A system is NAME=FOLDER; `{}` in
FOLDER stands for the distortion. `copied` is what the noisy side has right already. Codes are generated
greedily; the interval is a bootstrap over pairs.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch

from dacse_cli import registry
from dacse_cli.codec.loading import load_codec
from dacse_cli.evaluation.bootstrap import estimate
from dacse_cli.interfaces import Units

Pair = tuple[Units, Units]
ROWS = 20


def main() -> None:
    """All systems, all distortions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("held", type=Path)
    parser.add_argument("systems", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for distortion in sorted(path.name for path in given.held.iterdir() if path.is_dir()):
        for system in given.systems:
            name, _, folder = system.partition("=")
            place = Path(folder.replace("{}", distortion))
            pairs = coded(given.held / distortion, place / "codec")
            if system == given.systems[0]:
                rows.append(["copied", distortion, *wrong([noisy for noisy, _ in pairs], pairs)])
            rows.append([name, distortion, *wrong(written(place, pairs), pairs)])
            print(*rows[-1])
    with given.out.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["system", "distortion", "pairs", "wrong", "low", "high", "wrong_first"])
        lines.writerows(rows)


def coded(pairs: Path, codec_folder: Path) -> list[Pair]:
    """Noisy and clean codes `[K, T]` of every pair."""
    codec = load_codec(codec_folder)
    found = []
    for path in sorted((pairs / "clean").glob("*.wav")):
        sides = (sf.read(pairs / side / path.name, dtype="float32")[0] for side in ("noisy", "clean"))
        noisy, clean = (codec.encode(side[None])[0] for side in sides)
        found.append((noisy, clean))
    return found


def written(folder: Path, pairs: list[Pair]) -> list[Units]:
    """What the model writes for the noisy codes."""
    kind, _ = registry.kind_of(folder, "translator")
    spec = load_codec(folder / "codec").spec
    translator = registry.load_translator(kind, folder, registry.LoadOptions(dtype="float32", codec=spec))
    noisy = [noisy for noisy, _ in pairs]
    batches = [noisy[start : start + ROWS] for start in range(0, len(noisy), ROWS)]
    return [codes for batch in batches for codes in translator.translate(batch)]


def wrong(found: list[Units], pairs: list[Pair]) -> list[Any]:
    """Pairs; share of wrong codes with the ends of its interval; share of the first codebook."""
    differ = [codes != clean for codes, (_, clean) in zip(found, pairs, strict=True)]
    totals = np.array([one.sum() for one in differ], float)
    counts = np.array([one.size for one in differ], float)
    mean = estimate(totals, counts, 2000, 0)
    assert mean is not None
    first = sum(one[0].sum() for one in differ) / sum(one.shape[1] for one in differ)
    low, high = (None if end is None else round(end, 4) for end in (mean.low, mean.high))
    return [len(pairs), round(mean.mean, 4), low, high, round(float(first), 4)]


if __name__ == "__main__":
    main()
