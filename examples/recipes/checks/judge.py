"""Wrong codes of language models on held-out pairs, by distortion.

    python judge.py HELD joint=RUN/joint 'two stages=RUN/{}' --out tokens.csv
    python ../set/table.py --tokens tokens.csv --out by_distortion

HELD has a folder per distortion, made by `dacse mix`: `clean/`, `noisy/`. A system is NAME=FOLDER; `{}` in
FOLDER stands for the distortion. `copied` is what the noisy side has right already. Codes are generated
greedily. With --all, one line per system over all distortions.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile as sf
import torch

from dacse_cli import registry
from dacse_cli.codec.loading import load_codec
from dacse_cli.interfaces import Units

Pair = tuple[Units, Units]
ROWS = 20
FRAMES = 40
"""Of each pair: the recipes train on this length alone, and a longer chunk is garbled."""


def main() -> None:
    """All systems, all distortions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("held", type=Path)
    parser.add_argument("systems", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with given.out.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["system", "clip", "codebooks", "frames", "error", "error_first"])
        for distortion in sorted(path.name for path in given.held.iterdir() if path.is_dir()):
            for place, system in enumerate(given.systems):
                name, _, folder = system.partition("=")
                model = Path(folder.replace("{}", distortion))
                pairs = coded(given.held / distortion, model / "codec")
                ways = {"copied": [noisy for noisy, _ in pairs]} if place == 0 else {}
                for way, found in {**ways, name: written(model, pairs)}.items():
                    label = way if given.all else f"{distortion}: {way}"
                    rows = wrong(found, pairs)
                    lines.writerows([label, f"{distortion} {clip}", *row] for clip, row in enumerate(rows))
                    print(label, len(pairs), "pairs")


def coded(pairs: Path, codec_folder: Path) -> list[Pair]:
    """Noisy and clean codes `[K, T]` of every pair."""
    codec = load_codec(codec_folder)
    found = []
    for path in sorted((pairs / "clean").glob("*.wav")):
        sides = (sf.read(pairs / side / path.name, dtype="float32")[0] for side in ("noisy", "clean"))
        noisy, clean = (codec.encode(side[None])[0] for side in sides)
        found.append((noisy[:, :FRAMES], clean[:, :FRAMES]))
    return found


def written(folder: Path, pairs: list[Pair]) -> list[Units]:
    """What the model writes for the noisy codes."""
    kind, _ = registry.kind_of(folder, "translator")
    spec = load_codec(folder / "codec").spec
    translator = registry.load_translator(kind, folder, registry.LoadOptions(dtype="float32", codec=spec))
    noisy = [noisy for noisy, _ in pairs]
    batches = [noisy[start : start + ROWS] for start in range(0, len(noisy), ROWS)]
    return [codes for batch in batches for codes in translator.translate(batch)]


def wrong(found: list[Units], pairs: list[Pair]) -> Iterator[list[Any]]:
    """Of every pair: codebooks, frames, share of wrong codes, share of the first codebook."""
    for codes, (_, clean) in zip(found, pairs, strict=True):
        differ = codes != clean
        yield [len(clean), clean.shape[1], float(differ.mean()), float(differ[0].mean())]


if __name__ == "__main__":
    main()
