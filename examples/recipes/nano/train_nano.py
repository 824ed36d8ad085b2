"""Train the codec of `nano`, and lay out the recordings for `dacse train lm`; see `README.md`.

    python train_nano.py data      --data FOLDER --work WORK
    python train_nano.py codec     --work WORK --minutes 75 --codebooks 12 --rank 0 --count 2
    python train_nano.py codebooks --work WORK
    python train_nano.py decoder   --work WORK --minutes 90 --recogniser FOLDER
    python train_nano.py write     --work WORK --model RUN/nano --out dacse_cli/models/nano

A killed stage goes on from its last checkpoint when it is started again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DacConfig

from dacse_cli.codec.memory import tune_allocator
from dacse_cli.training import corpus, export, loop
from dacse_cli.training.codec import CodecTrainer, CodecTraining
from dacse_cli.training.hearing import Hearing
from dacse_cli.training.mix import recipes

HERE = Path(__file__).parent
RATE = 16000
CLEAN = {"kerstin": 0.25, "prompts": 0.35, "intent": 0.40}
"""Corpora and their shares: the one with most speakers has most."""
SPEEDS = {"": 1.0, "-slow": 0.9, "-fast": 1.1}
CODEC = {
    "sampling_rate": RATE,
    "downsampling_ratios": [10, 8, 2, 2],
    "encoder_hidden_size": 24,
    "decoder_hidden_size": 384,
    "n_codebooks": 12,
    "codebook_size": 1024,
    "codebook_dim": 48,
}
CODEBOOKS = 14
DIRECTIONS, QUIET = 96, 0.3
"""Of the latent space, and how much more than by energy quiet sounds count, when codebooks start anew."""
ONLY_DECODER = CodecTraining(
    rows=10, rate=6e-4, dropout=0.35, dropout_from=CODEBOOKS - 4, hearing=0.75, only_decoder=True, clip=10.0
)
CARD: dict[str, object] = {
    "training": "kerstin (CC0), Picovoice speech-to-intent (Apache-2.0), Asterisk core sounds "
    "(CC-BY-SA 3.0; ru: CC-BY 3.0), moodist noise (CC0 and Pixabay licence); see README.md",
    "licence": "CC-BY-SA-4.0",
    "method": "filter",
}
SAVE_SECONDS = 120.0


def listed(name: str) -> set[str]:
    """The recordings of a list beside this script."""
    return {line for line in (HERE / name).read_text().splitlines() if line and not line.startswith("#")}


def build_data(data: Path, work: Path) -> None:
    """Decode all recordings once, the clean ones at three speeds; link what `dacse train lm` may read."""
    for name in CLEAN:
        for suffix, speed in SPEEDS.items():
            found = sorted((data / "speech" / name).rglob("*.opus"))
            corpus.build_corpus(name + suffix, found, data, work / "data", RATE, speed)
    corpus.build_corpus("noise", sorted((data / "noise").glob("*.opus")), data, work / "data", RATE)
    unseen = listed("held_out.txt") | listed("left_out.txt")
    for folder in ("speech", "noise"):
        for path in sorted((data / folder).rglob("*.opus")):
            name = path.relative_to(data)
            if name.as_posix() not in unseen:
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                (work / name).unlink(missing_ok=True)
                (work / name).symlink_to(path.resolve())


class Pairs:
    """Noisy and clean crops, never the same twice."""

    def __init__(self, work: Path, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        unseen = listed("held_out.txt") | listed("left_out.txt")
        speech, shares = [], []
        for name, share in CLEAN.items():
            for suffix in SPEEDS:
                speech.append(corpus.open_corpus(name + suffix, work / "data").without(unseen))
                shares.append(share * (0.25 if suffix else 0.5))
        self._speech = corpus.Speech(speech, shares)
        noise = corpus.open_corpus("noise", work / "data").without(unseen)
        self._noise = corpus.NaturalNoise(noise, self._rng)

    def __call__(
        self, rows: int, samples: int, recipe: recipes.NanoRecipe | None = None, noisy_share: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(noisy [B, S], clean [B, S]); all but `noisy_share` of the rows are clean on both sides."""
        pairs = []
        for row in range(rows):
            clean = self._speech.draw(samples, self._rng)
            if row < round(rows * noisy_share):
                pairs.append(recipes.nano_pair(clean, RATE, self._noise, self._rng, recipe)[:2])
            else:
                pairs.append((clean, clean))
        noisy, clean_side = zip(*pairs, strict=True)
        return np.stack(noisy), np.stack(clean_side)


def train_codec(work: Path, minutes: float, peers: loop.Peers, codebooks: int) -> None:
    """Warm start, then steps until the time is over. `codebooks` may grow from run to run, see README.md."""
    options = CodecTraining(dropout_from=max(3, codebooks - 4))
    config = DacConfig(**{**CODEC, "n_codebooks": codebooks})
    trainer = CodecTrainer(config, options, peers)
    pairs = Pairs(work, seed=peers.rank)
    recipe = recipes.NanoRecipe(clean=0.0, reverb=0.0, snr_db=recipes.Range(0.0, 22.0))

    def batch(rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return pairs(rows, 40 * config.hop_length, recipe, noisy_share=0.25)

    state = loop.load_state(work / "codec.safetensors")
    if state is None:
        _, clean = pairs(300, 2 * RATE, noisy_share=0.0)
        trainer.start(torch.from_numpy(clean)[:, None], 40 * options.rows * peers.count)
    else:
        trainer.restore(state)

    def step(gone: float) -> str:
        return str(trainer.step(batch, gone))

    run(step, trainer.state, work / "codec.safetensors", minutes, peers)
    if peers.first:
        export.write_codec(work / "codec", config, trainer.model, trainer.quantizer)


def restart_codebooks(work: Path) -> None:
    """Codebooks anew by k-means on the latents of a quarter of an hour of speech, a third of it noisy."""
    state = loop.load_state(work / "codec.safetensors")
    if state is None:
        raise SystemExit(f"no codec in {work}")
    trainer = CodecTrainer(
        DacConfig(**{**CODEC, "n_codebooks": stages(state)}), CodecTraining(), loop.Peers()
    )
    trainer.restore(state)
    trainer.model.config.n_codebooks = CODEBOOKS
    wav, _ = Pairs(work, seed=21)(400, 2 * RATE, noisy_share=0.33)
    trainer.restart_codebooks(torch.from_numpy(wav)[:, None], DIRECTIONS, QUIET)
    config = DacConfig(**{**CODEC, "n_codebooks": CODEBOOKS})
    fresh = CodecTrainer(config, ONLY_DECODER, loop.Peers())
    fresh.model.encoder.load_state_dict(trainer.model.encoder.state_dict())
    fresh.model.decoder.load_state_dict(trainer.model.decoder.state_dict())
    fresh.quantizer.load_state_dict(trainer.quantizer.state_dict())
    loop.save_state(work / "decoder.safetensors", fresh.state())
    export.write_codec(work / "codec", config, trainer.model, trainer.quantizer)


def stages(state: dict[str, Any]) -> int:
    """How many codebooks a stored codec has."""
    return 1 + max(int(name.split(".")[1]) for name in state["quantizer"])


def train_decoder(work: Path, minutes: float, recogniser: Path) -> None:
    """The decoder alone: codes stay, so a language model can be trained on them at the same time."""
    config = DacConfig(**{**CODEC, "n_codebooks": CODEBOOKS})
    trainer = CodecTrainer(config, ONLY_DECODER, loop.Peers(), hearing=Hearing(recogniser))
    state = loop.load_state(work / "decoder.safetensors")
    if state is None:
        raise SystemExit(f"no codebooks in {work}")
    trainer.restore(state)
    pairs = Pairs(work, seed=22)
    recipe = recipes.NanoRecipe(clean=0.0, reverb=0.0, snr_db=recipes.Range(0.0, 22.0))

    def step(gone: float) -> str:
        return str(
            trainer.step(lambda rows: pairs(rows, 60 * config.hop_length, recipe, noisy_share=0.5), gone)
        )

    run(step, trainer.state, work / "decoder.safetensors", minutes, loop.Peers())
    export.write_codec(work / "codec", config, trainer.model, trainer.quantizer)


def run(
    step: Callable[[float], str],
    state: Callable[[], dict[str, Any]],
    path: Path,
    minutes: float,
    peers: loop.Peers,
) -> None:
    """Call `step` until `minutes` are over; print now and then, save every `SAVE_SECONDS` and at the end."""
    began = saved = time.monotonic()
    count = 0
    while (gone := peers.agree((time.monotonic() - began) / 60.0 / minutes)) < 1.0:
        line, count = step(gone), count + 1
        if peers.first and count % 20 == 0:
            print(f"{count} {gone:.1%} {line}", flush=True)
        if peers.first and time.monotonic() - saved > SAVE_SECONDS:
            loop.save_state(path, state())
            saved = time.monotonic()
    if peers.first:
        loop.save_state(path, state())


def write(work: Path, model: Path, out: Path) -> None:
    """The model folder: what `dacse train lm` wrote, with the codec as its decoder is now."""
    shutil.copytree(model, out, dirs_exist_ok=True)
    shutil.copytree(work / "codec", out / "codec", dirs_exist_ok=True)
    card = json.loads((out / "dacse.json").read_text())
    (out / "dacse.json").write_text(json.dumps({**card, **CARD}, indent=2) + "\n")


def main() -> None:
    """Parse, prepare torch for a shared CPU, call the stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("data", "codec", "codebooks", "decoder", "write"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--recogniser", type=Path, help="a CTranslate2 folder of Whisper tiny.en")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--codebooks", type=int, default=CODEC["n_codebooks"])
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    given = parser.parse_args()
    tune_allocator()
    torch.set_flush_denormal(True)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // given.count))
    if given.stage == "data":
        build_data(given.data, given.work)
    elif given.stage == "codebooks":
        restart_codebooks(given.work)
    elif given.stage == "decoder":
        train_decoder(given.work, given.minutes, given.recogniser)
    elif given.stage == "write":
        write(given.work, given.model, given.out)
    else:
        peers = loop.join(given.rank, given.count, given.work / "codec.meeting")
        train_codec(given.work, given.minutes, peers, given.codebooks)


if __name__ == "__main__":
    main()
