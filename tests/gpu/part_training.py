"""Training as the command does it, for some seconds: speed, waits for data, and whether the loss falls.

`train-lm` is the 250M size, `train-codec` the released codec's size and batch, `continue-nano` the model that
ships. All on the recordings in `examples/`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from part_machine import matrix_speed
from rows import Rows, part_options

from dacse_cli.lm.shape import parse_shape
from dacse_cli.tokens.layout import TokenLayout
from dacse_cli.training.lm.plan import Work, step_flops
from dacse_cli.training.lm.sizes import published_config

ROOT = Path(__file__).parents[2]
EXAMPLES, NANO = ROOT / "examples", ROOT / "dacse_cli" / "models" / "nano"
COPIES = 8
MINUTES = 0.3
"""Of steps: a part of the day has 40 s, with starting."""
FRAMES = 150
"""Of `nano`'s codec, 3 s: 4,203 tokens per pair."""
TINY = {"num_hidden_layers": 1, "hidden_size": 64, "head_dim": 4, "intermediate_size": 64}


def trained(words: list[str], settings: dict[str, object], rows: Rows, what: str) -> list[dict[str, Any]]:
    """The log of a `dacse train` that ends by itself. Every second, fourth, eighth ... line becomes a row."""
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "dacse_cli", "train", *words, *sets, "--json"]
    log: list[dict[str, Any]] = []
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        assert child.stdout is not None
        for line in child.stdout:
            record = json.loads(line)
            if record["type"] != "step":
                continue
            log.append(record)
            if len(log) > 1 and len(log) & (len(log) - 1) == 0:
                numbers = record["numbers"]
                shown = f"{numbers['seconds']:.4g}, {numbers['loss']:.4g}"
                rows.add("training", f"seconds of a step and loss, log line {len(log)}, {what}", shown)
        if child.wait():
            errors.seek(0)
            raise SystemExit(f"dacse train: {errors.read().strip()[-300:]}")
    return log


def report(rows: Rows, log: list[dict[str, Any]], what: str) -> dict[str, Any]:
    """Speed and waits of the last line of the log, which no compilation slows; the losses of both ends."""
    first, last = log[0]["numbers"], log[-1]["numbers"]
    rows.add("training", f"seconds per step, {what}", last["seconds"])
    if "wait" in last:
        rows.add(
            "training",
            f"share of a step spent waiting for data, {what}",
            last["wait"] / last["seconds"],
            "< 0.05",
        )
    rows.add("training", f"loss, first and last, {what}", f"{first['loss']:.4g}, {last['loss']:.4g}", "falls")
    return last


def linked(folder: Path, tiny: bool) -> Path:
    """The examples' pairs, as often as makes enough rows; in a rehearsal two short ones."""
    for copy in range(1 if tiny else COPIES):
        for side in ("noisy", "clean"):
            for path in sorted((EXAMPLES / side).rglob("*.*")):
                if tiny and path.stem not in ("kitchen", "keyboard"):
                    continue
                target = folder / side / str(copy) / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path)
    return folder


def train_lm(rows: Rows, device: str, tiny: bool, out: Path) -> None:
    """Tokens per second, and useful FLOP per second as a share of what a plain product reaches."""
    frames = 8 if tiny else FRAMES
    layout = TokenLayout(14, 1024)
    config = published_config("250M", layout) | (TINY if tiny else {})
    (out / "config.json").write_text(json.dumps(config))
    work = Work(frames=frames, rows=1, accumulate=2 if tiny else 4, checkpointing=False)
    settings: dict[str, object] = {
        "model.checkpointing": "false",
        "data.frames": frames,
        "data.valid": 0,
        "run.cadence": "{ log_every = 2, validate_every = 0, save_every = 0 }",
        "stage.steps": 4 if tiny else 1000,
        "stage.minutes": 0 if tiny else MINUTES,
        "stage.rows": work.rows,
        "stage.accumulate": work.accumulate,
    }
    words = ["lm", str(linked(out / "pairs", tiny)), str(out / "run"), "--config", str(out / "config.json")]
    words += ["--codec", str(NANO / "codec"), "--device", device]
    what = f"250M, {work.length(layout)} tokens per pair"
    last = report(rows, trained(words, settings, rows, what), what)
    rows.add("training", "tokens per second, 250M", last["tokens_per_second"])
    speed = step_flops(parse_shape(config), layout, work) / last["seconds"]
    rows.add(
        "MFU",
        "useful FLOP over a plain bfloat16 product's, 250M",
        speed / matrix_speed(device, tiny),
        ">= 0.4",
    )


def train_codec(rows: Rows, device: str, tiny: bool, out: Path) -> None:
    """The released codec's size and batch."""
    golden = ROOT / "tests" / "golden" / "dac" / "config.json"
    words = [
        "codec",
        str(EXAMPLES / "clean"),
        str(out / "run"),
        "--device",
        device,
        "--jobs",
        "1" if tiny else "8",
    ]
    words += ["--config", str(golden)] if tiny else ["--size", "44khz"]
    settings: dict[str, object] = {
        "data.seconds": 0.1 if tiny else 0.38,
        "data.valid": 0,
        "run.cadence": "{ log_every = 2, validate_every = 0, save_every = 0 }",
        "stage.steps": 4 if tiny else 100000,
        "stage.minutes": 0 if tiny else MINUTES,
        "stage.rows": 2 if tiny else 72,
    }
    if tiny:
        settings |= {
            "discriminators.width": 4,
            "discriminators.periods": "[2]",
            "discriminators.windows": "[512]",
        }
    what = f"codec, {settings['stage.rows']} crops of {settings['data.seconds']} s"
    last = report(rows, trained(words, settings, rows, what), what)
    sound = int(str(settings["stage.rows"])) * float(str(settings["data.seconds"])) / last["seconds"]
    rows.add("training", "seconds of sound per second, codec", sound)


def continue_nano(rows: Rows, device: str, tiny: bool, out: Path) -> None:
    """What ships, trained on: the loss on held-out pairs must not rise."""
    settings: dict[str, object] = {
        "data.frames": 40,
        "data.valid": 0.5 if tiny else 0.2,
        "data.valid_rows": 1 if tiny else 8,
        "run.cadence": f"{{ log_every = 2, validate_every = {2 if tiny else 50}, save_every = 0 }}",
        "stage.steps": 4 if tiny else 100000,
        "stage.minutes": 0 if tiny else MINUTES,
        "stage.rows": 1 if tiny else 6,
        "stage.accumulate": 1,
        "stage.rate": 1e-5,
        "stage.loss": "codebook",
    }
    words = [
        "lm",
        str(linked(out / "pairs", tiny)),
        str(out / "run"),
        "--from",
        str(NANO),
        "--device",
        device,
    ]
    log = trained(words, settings, rows, "nano continued")
    report(rows, log, "nano continued")
    losses = [line["numbers"]["valid_loss"] for line in log if "valid_loss" in line["numbers"]]
    rows.add("training", "held-out loss, last over first, nano continued", losses[-1] / losses[0], "<= 1")


PARTS = {"train-lm": train_lm, "train-codec": train_codec, "continue-nano": continue_nano}


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    options = part_options(arguments)
    rows = Rows(options.rows)
    with tempfile.TemporaryDirectory() as scratch:
        PARTS[options.part](rows, options.device, options.tiny, Path(scratch))
    return rows.rows


if __name__ == "__main__":
    main()
