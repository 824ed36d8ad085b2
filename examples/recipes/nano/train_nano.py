"""Train `nano` from public recordings: data laid out, then `dacse train mask`, `train codec` and `train lm`.

    python train_nano.py --data FOLDER --effects EFFECTS --work WORK --recogniser WHISPER \\
        [--set TABLE.KEY=VALUE ...]

WORK/nano is the model folder. Every part continues where it was stopped; see `README.md`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from dacse_cli.weights.saving import save_tensors

HERE = Path(__file__).parent
WEIGHTS = "model.safetensors"
CARD = {
    "training": "kerstin (CC0), Picovoice speech-to-intent (Apache-2.0), Asterisk core sounds "
    "(CC-BY-SA 3.0; ru: CC-BY 3.0), LibriSpeech (CC BY 4.0; the filter), moodist noise (CC0 and Pixabay "
    "licence), sound effects of Debian packages (CC-BY-SA, CC-BY, CC0; the filter); see README.md",
    "licence": "CC-BY-SA-4.0",
    "filter": "mask",
    "method": "mask",
}


def lay_out(data: Path, effects: Path, work: Path) -> None:
    """Link the recordings that may be trained on: `work/speech`, `work/noise`, `work/sounds`.

    `sounds` are those of `effects`, and the noises twice, so that these are nearly half of them.
    """
    lists = (HERE / "held_out.txt").read_text() + (HERE / "left_out.txt").read_text()
    unseen = {line for line in lists.splitlines() if line and not line.startswith("#")}
    for path in sorted((*(data / "speech").rglob("*.opus"), *(data / "noise").rglob("*.opus"))):
        name = path.relative_to(data)
        if name.as_posix() not in unseen:
            link(path, work / name)
            if name.parts[0] == "noise":
                for turn in ("once", "again"):
                    link(path, work / "sounds" / turn / name.name)
    for path in sorted(effects.glob("*.flac")):
        link(path, work / "sounds" / "effects" / path.name)


def link(path: Path, name: Path) -> None:
    """Let `name` be `path`."""
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)
    name.symlink_to(path.resolve())


def dacse(*words: str | Path) -> None:
    """Run a command of dacse to its end."""
    subprocess.run([sys.executable, "-m", "dacse_cli", *map(str, words)], check=True)


def train(work: Path, recogniser: Path, settings: Sequence[str]) -> None:
    """The filter; a codec, then a language model on its codes; then all in one folder."""
    noise = ("--noise", work / "noise", "--device", "cpu", "--jobs", "2")
    further = [word for setting in settings for word in ("--set", setting)]
    heard = ("--set", f"data.recogniser={recogniser}")
    dacse(
        "train", "codec", work / "speech", work / "codec", *noise, "-r", HERE / "codec.toml", *heard, *further
    )
    dacse("train", "mask", work / "speech", work / "mask", *noise, "-r", HERE / "mask.toml", *heard)
    mean(work / "mean", {work / "mask" / "listeners": 0.5, work / "mask" / "words": 0.5})
    sounds = ("--noise", work / "sounds", "--device", "cpu", "--jobs", "2", "--from", work / "mean")
    dacse("train", "mask", work / "speech", work / "effects", *sounds, "-r", HERE / "effects.toml", *heard)
    codec = work / "codec" / "decoder"
    dacse("train", "lm", work / "speech", work / "lm", *noise, "-r", HERE / "lm.toml", "--codec", codec)
    shutil.copytree(work / "lm" / "nano", work / "nano", dirs_exist_ok=True)
    parts = {work / "mean": 0.3, work / "effects" / "all": 0.4, work / "effects" / "last": 0.3}
    mean(work / "nano" / "mask", parts)
    card = json.loads((work / "nano" / "dacse.json").read_text())
    (work / "nano" / "dacse.json").write_text(json.dumps({**card, **CARD}, indent=2) + "\n")


def mean(folder: Path, shares: Mapping[Path, float]) -> None:
    """Write the weighted mean of networks of one shape as `folder`; the shares add up to 1."""
    shutil.copytree(next(iter(shares)), folder, dirs_exist_ok=True)
    summed: dict[str, Tensor] = {}
    for model, share in shares.items():
        for name, weight in load_file(model / WEIGHTS).items():
            summed[name] = summed.get(name, torch.zeros_like(weight)) + share * weight
    save_tensors(folder, summed)


def main() -> None:
    """Parse and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--effects", type=Path, required=True, help="what effects.py wrote")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument(
        "--recogniser", type=Path, required=True, help="a CTranslate2 folder of Whisper tiny.en"
    )
    parser.add_argument("--set", action="append", default=[], help="change a setting of codec.toml")
    given = parser.parse_args()
    lay_out(given.data, given.effects, given.work)
    train(given.work, given.recogniser, given.set)


if __name__ == "__main__":
    main()
