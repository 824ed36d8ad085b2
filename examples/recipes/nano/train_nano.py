"""Train `nano` from public recordings: data laid out, then `dacse train mask`, `train codec` and `train lm`.

    python train_nano.py --data FOLDER --work WORK --recogniser WHISPER [--set TABLE.KEY=VALUE ...]

WORK/nano is the model folder. Every part continues where it was stopped; see `README.md`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file

from dacse_cli.weights.saving import save_tensors

HERE = Path(__file__).parent
WEIGHTS = "model.safetensors"
CARD = {
    "training": "kerstin (CC0), Picovoice speech-to-intent (Apache-2.0), Asterisk core sounds "
    "(CC-BY-SA 3.0; ru: CC-BY 3.0), LibriSpeech (CC BY 4.0; the filter), moodist noise (CC0 and Pixabay "
    "licence); see README.md",
    "licence": "CC-BY-SA-4.0",
    "filter": "mask",
    "method": "mask",
}


def lay_out(data: Path, work: Path) -> None:
    """Link the recordings that may be trained on: `work/speech` and `work/noise`."""
    lists = (HERE / "held_out.txt").read_text() + (HERE / "left_out.txt").read_text()
    unseen = {line for line in lists.splitlines() if line and not line.startswith("#")}
    for path in sorted((*(data / "speech").rglob("*.opus"), *(data / "noise").rglob("*.opus"))):
        name = path.relative_to(data)
        if name.as_posix() not in unseen:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).unlink(missing_ok=True)
            (work / name).symlink_to(path.resolve())


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
    codec = work / "codec" / "decoder"
    dacse("train", "lm", work / "speech", work / "lm", *noise, "-r", HERE / "lm.toml", "--codec", codec)
    shutil.copytree(work / "lm" / "nano", work / "nano", dirs_exist_ok=True)
    shutil.copytree(work / "mask" / "words", work / "nano" / "mask", dirs_exist_ok=True)
    parts = [load_file(work / "mask" / stage / WEIGHTS) for stage in ("listeners", "words")]
    save_tensors(work / "nano" / "mask", {k: (parts[0][k] + parts[1][k]) / 2 for k in parts[0]})
    card = json.loads((work / "nano" / "dacse.json").read_text())
    (work / "nano" / "dacse.json").write_text(json.dumps({**card, **CARD}, indent=2) + "\n")


def main() -> None:
    """Parse and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument(
        "--recogniser", type=Path, required=True, help="a CTranslate2 folder of Whisper tiny.en"
    )
    parser.add_argument("--set", action="append", default=[], help="change a setting of codec.toml")
    given = parser.parse_args()
    lay_out(given.data, given.work)
    train(given.work, given.recogniser, given.set)


if __name__ == "__main__":
    main()
