"""Let trained models write clean speech for the clips of `prepare.py score`, and count wrong codes.

    python judge.py --work WORK nar=runs/nar/teacher set-beam=runs/set/teacher:beam10 \
        set-teacher=runs/set/teacher:teacher codec=CODEC:codec

A system is NAME=FOLDER or NAME=FOLDER:HOW. HOW is `greedy` (the default), `beamN`, `teacher` (every frame
with the right codes of the frames before, as in training; not possible in use). FOLDER may also be a codec:
`codec` encodes and decodes the clean clips, `copy` the noisy ones. Writes WORK/judged/NAME/*.wav for
`dacse evaluate`, and WORK/judged/tokens.csv: wrong codes of every clip, over all codebooks and in the first.
Systems that are there already are skipped.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch

from dacse_cli.codec.loading import load_codec
from dacse_cli.set.checkpoint import load_network, read_shape
from dacse_cli.set.network import shifted
from dacse_cli.set.translator import load_set

OF_CODEC = ("codec", "copy")
Units = Any
Write = Callable[[Units, Units], Units]
"""Noisy and clean units `[U, T]` -> what the system writes `[U, T]`."""
ENCODED: dict[Any, tuple[Units, Units]] = {}
"""(Clip, codec) -> its clean and noisy units: systems with one codec encode once."""


def writer(folder: Path, how: str) -> Write:
    """A system as a function."""
    if how in OF_CODEC:
        return lambda noisy, clean: clean if how == "codec" else noisy
    if how == "teacher":
        network = load_network(folder)
        bos = network.shape.codes.size

        def teacher(noisy: Units, clean: Units) -> Units:
            given, right = (torch.from_numpy(side.T[None].astype(np.int64)) for side in (noisy, clean))
            with torch.inference_mode():
                return network(given, shifted(right, bos)).argmax(-1)[0].numpy().T

        return teacher
    beam = int(how.removeprefix("beam")) if how.startswith("beam") else 1
    translator = load_set(folder, beam=beam)
    return lambda noisy, clean: translator.translate([noisy])[0]


def main() -> None:
    """All systems, all clips."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("systems", nargs="+", metavar="NAME=FOLDER[:HOW]")
    given = parser.parse_args()
    torch.set_num_threads(1)
    judged = given.work / "judged"
    judged.mkdir(exist_ok=True)
    for system in given.systems:
        name, _, rest = system.partition("=")
        folder, _, how = rest.partition(":")
        if (judged / name).exists():
            print(f"{name}: there already")
            continue
        rows = judge(Path(folder), how or "greedy", given.work / "score", judged / f".{name}.part")
        table = judged / "tokens.csv"
        new = not table.exists()
        with table.open("a", newline="") as file:
            lines = csv.writer(file)
            if new:
                lines.writerow(["system", "clip", "codebooks", "frames", "error", "error_first"])
            lines.writerows([name, *row] for row in rows)
        (judged / f".{name}.part").rename(judged / name)
        print(f"{name}: {len(rows)} clips, wrong codes {np.mean([row[3] for row in rows]):.3f}")


def judge(folder: Path, how: str, score: Path, out: Path) -> list[list[Any]]:
    """Write all clips; clip, codebooks, frames, wrong codes, wrong codes of the first codebook."""
    own_codec = folder if how in OF_CODEC else folder / "codec"
    latent = how not in OF_CODEC and read_shape(folder).latents is not None
    codec = load_codec(own_codec, units="latents" if latent else "codes")
    mark = (codec.spec.units, sha256((own_codec / "model.safetensors").read_bytes()).hexdigest())
    write = writer(folder, how)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in sorted((score / "clean").glob("*.wav")):
        clean, rate = sf.read(path, dtype="float32")
        noisy, _ = sf.read(score / "noisy" / path.name, dtype="float32")
        if (path, mark) not in ENCODED:
            ENCODED[path, mark] = (codec.encode(clean[None])[0], codec.encode(noisy[None])[0])
        wanted, heard = ENCODED[path, mark]
        written = write(heard, wanted)
        sound = codec.decode(written[None])[0]
        sound = np.pad(sound, (0, max(0, len(clean) - len(sound))))[: len(clean)]
        sf.write(out / path.name, np.clip(sound, -1, 1), rate, subtype="PCM_16")
        wrong = np.zeros_like(wanted, float) if latent else written != wanted
        rows.append([path.stem, len(wanted), wanted.shape[1], float(wrong.mean()), float(wrong[0].mean())])
    return rows


if __name__ == "__main__":
    main()
