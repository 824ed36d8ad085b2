"""A folder of clips: dacse, against one chunk after the other through transformers `generate`.

    python tests/benchmarks/bench_folder.py --model nano --clips 100
    python tests/benchmarks/bench_folder.py --model 250m --clips 16 --seconds 0.1 --even --chunk 0.1 --parts 1

The other way is the published script's: batch 1, transformers `generate`, float32, a Python mask that looks
at the last token of every row. Both share the codec, the chunk plan and the cross-fade, so what differs is
how ids are generated and that dacse pools the chunks of all clips. Ways run in turn on parts of the folder,
so a machine that slows down slows both; with one thread it is processor time that counts. The codes of both
ways are compared. `250m` and `1b` are random weights of these shapes with a random 44.1 kHz codec: weights
cost the same whatever they say. Prints Markdown tables, the second with the time of every stage of dacse's
way; `--json FILE` writes both. Where the whole takes too long for one go, `--minutes` ends it between two
parts, and the same command goes on with what its file lacks.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from bench_decode import PublishedMask, hf_generate
from timing import SHAPES, config_of, table
from transformers import DacConfig, DacModel, LlamaConfig, LlamaForCausalLM, logging

from dacse_cli.api.enhancer import Enhancer
from dacse_cli.config import SoundOptions
from dacse_cli.hub import resolve
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.task.codec_work import alone
from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.task.task import Chunk
from dacse_cli.pipeline.task.writing.sinks import ArraySink

SOURCES = Path(__file__).parents[2] / "examples" / "sources"
RATE = 16000


def make_pairs(
    count: int, rate: int, seconds: float, spread: float = 1 / 3
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`count` times speech `[S]` and the same in white noise of 0 to 20 dB.

    `seconds` long, give or take the share `spread`.
    """
    rng = np.random.default_rng(0)
    speech = []
    for path in sorted(SOURCES.glob("*.opus")):
        samples, source_rate = soundfile.read(path, dtype="float32")
        speech.append(soxr.resample(samples, source_rate, rate))
    pairs = []
    for _ in range(count):
        voice = speech[rng.integers(len(speech))]
        length = int(seconds * rng.uniform(1 - spread, 1 + spread) * rate)
        start = rng.integers(max(1, len(voice) - length))
        clean = np.resize(voice[start:], length)
        noise = rng.standard_normal(length) * clean.std() * 10 ** (-rng.uniform(0, 20) / 20)
        pairs.append((clean, (clean + noise).astype(np.float32)))
    return pairs


def source_of(clip: np.ndarray, rate: int) -> ArraySource:
    """Samples `[S]` as a task takes them."""
    return ArraySource(clip[None], Signal.of_array(clip[None], rate))


PLAIN = SoundOptions(guard="off", method="generate")
"""Both ways alike: what the model says is taken as it comes."""


class Recorder(EnhanceAudio):
    """The usual task; remembers the codes it is given."""

    def deliver(self, chunk, codes):
        self.codes = {**getattr(self, "codes", {}), chunk.index: codes}
        return super().deliver(chunk, codes)


def by_dacse(enhancer: Enhancer, clips: list[ArraySource]) -> list[dict[int, np.ndarray]]:
    """Codes of every chunk, by clip; chunks of all clips share batches."""
    tasks = [Recorder(clip, ArraySink(), enhancer.models, PLAIN) for clip in clips]
    todo = list(tasks)[::-1]

    def next_task(block: bool):
        task = todo.pop() if todo else None
        return task and (task, lambda: task)

    def failed(task, failure):
        raise failure

    Engine(enhancer.models, enhancer.batch_size, next_task, lambda task, done: None, failed).run()
    return [task.codes for task in tasks]


def one_by_one(
    enhancer: Enhancer, hf: LlamaForCausalLM, clips: list[ArraySource]
) -> list[dict[int, np.ndarray]]:
    """The same, each chunk alone through `generate` with a Python mask, as the published script does it."""
    layout = enhancer.models.translator.layout
    tasks = [Recorder(clip, ArraySink(), enhancer.models, PLAIN) for clip in clips]
    for task in tasks:
        for chunk in alone(enhancer.models.codec, task.chunks()):
            if isinstance(chunk, Chunk):
                prompt = layout.prompt(chunk.units)
                ids = hf_generate(hf, [prompt], chunk.units.size, PublishedMask(list(layout.ranges)))[0]
                list(alone(enhancer.models.codec, task.deliver(chunk, layout.unflatten(np.asarray(ids)))))
        task.finish()
    return [task.codes for task in tasks]


class Stages:
    """Where dacse's time goes: counts it inside the calls that a chain is made of."""

    def __init__(self, enhancer: Enhancer) -> None:
        self.spent: dict[str, float] = {}
        codec, lm = enhancer.models.codec, enhancer.models.translator.model
        assert lm is not None
        self._watch(codec, "encode_rows", "codec encode")
        self._watch(codec, "decode_rows", "codec decode")
        self._watch(lm.network, "prefill", "prefill")
        self._watch(lm, "generate", "generate")

    def _watch(self, owner: object, method: str, name: str) -> None:
        inner = getattr(owner, method)

        def timed(*args, **kwargs):
            began = clock()
            try:
                return inner(*args, **kwargs)
            finally:
                self.spent[name] = self.spent.get(name, 0.0) + clock() - began

        setattr(owner, method, timed)


def shares(spent: dict[str, float], whole: float) -> dict[str, float]:
    """Shares of `whole` seconds, every stage once."""
    stages = dict(spent)
    stages["decode steps"] = stages.pop("generate", 0.0) - stages.get("prefill", 0.0)
    stages["all else"] = whole - sum(stages.values())
    return {f"{name} %": round(100 * value / whole, 1) for name, value in stages.items()}


def clock() -> float:
    """Processor time of one thread, which other processes do not lengthen; else the time on the wall."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def random_folder(shape: str, folder: Path, layers: int | None = None, **codec: int) -> Path:
    """A model of a named shape with the 44.1 kHz codec's shape, random weights, as a model folder.

    `codec` are changes of the codec's config.
    """
    config = LlamaConfig(**config_of(shape, layers))
    config.update({"bos_token_id": None, "eos_token_id": None, "pad_token_id": None, "architectures": None})
    torch.manual_seed(0)
    # a CPU takes seconds to draw the 1B shape
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    strides, books = [2, 4, 8, 8], SHAPES[shape][-1]
    DacModel(
        DacConfig(sampling_rate=44100, n_codebooks=books, downsampling_ratios=strides, **codec)
    ).save_pretrained(folder / "codec")
    (folder / "dacse.json").write_text(json.dumps({"codec": "codec"}))
    return folder


def compare(folder: Path, clips: list[ArraySource], args: argparse.Namespace, book: Book) -> str:
    """Both ways in turn on every part that is not in the book yet; says what ran."""
    hf = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    hf.to(args.device)
    options = {"device": args.device, "dtype": args.dtype, "chunk": args.chunk, "batch_size": args.batch_size}
    until = time.monotonic() + 60 * args.minutes
    with Enhancer(str(folder), method="generate", **options) as enhancer:
        by_dacse(enhancer, clips[:1])
        stages = Stages(enhancer)
        for number in range(args.parts):
            if number not in book.parts and time.monotonic() < until:
                book.add(number, one_part(enhancer, hf, stages, clips[number :: args.parts], args.every))
        return enhancer.models.translator.describe()


def by_stages(
    folder: Path, clips: list[ArraySource], **options: Any
) -> tuple[dict[str, float], float, dict[str, float]]:
    """dacse's way alone: seconds of every stage, of all, and every stage's share in percent."""
    with Enhancer(str(folder), method="generate", **options) as enhancer:
        by_dacse(enhancer, clips)
        stages = Stages(enhancer)
        began = clock()
        by_dacse(enhancer, clips)
        whole = clock() - began
        return stages.spent, whole, shares(stages.spent, whole)


def one_part(
    enhancer: Enhancer, hf: LlamaForCausalLM, stages: Stages, clips: list[ArraySource], every: int
) -> dict[str, Any]:
    """Seconds of both ways, and how many codes are equal; one by one every `every`-th clip only.

    There a clip costs the same whatever else is in the folder, so their time stands for the others'.
    """
    few = clips[::every]
    share = sum(clip.signal.seconds for clip in few) / sum(clip.signal.seconds for clip in clips)
    stages.spent.clear()
    began = clock()
    fast = by_dacse(enhancer, clips)
    middle = clock()
    spent = dict(stages.spent)  # the codec's time in the other way is not ours
    slow = one_by_one(enhancer, hf, few)
    end = clock()
    pairs = [(a[i], b[i]) for a, b in zip(fast[::every], slow, strict=True) for i in b]
    return {
        "clips": len(clips),
        "audio_seconds": sum(clip.signal.seconds for clip in clips),
        "dacse": middle - began,
        "one_by_one": (end - middle) / share,
        "equal": sum(int((a == b).sum()) for a, b in pairs),
        "codes": sum(b.size for _, b in pairs),
        "stages": spent,
    }


class Book:
    """What is measured, part by part; kept in a file, so that the rest can be measured another time."""

    def __init__(self, file: Path | None, settings: dict[str, Any]) -> None:
        self.file, self.settings = file, settings
        self.parts: dict[int, dict[str, Any]] = {}
        if file is not None and file.exists():
            kept = json.loads(file.read_text())
            if kept["settings"] != settings:
                raise SystemExit(f"{file} holds another measurement: {kept['settings']}")
            self.parts = {int(number): part for number, part in kept["parts"].items()}

    def add(self, number: int, part: dict[str, Any]) -> None:
        self.parts[number] = part
        if self.file is not None:
            kept = {"settings": self.settings, "parts": self.parts, "result": self.result()}
            self.file.write_text(json.dumps(kept, indent=1) + "\n")

    def result(self) -> dict[str, Any]:
        """All parts so far as one."""
        parts = self.parts.values()

        def total(key: str) -> float:
            return sum(part[key] for part in parts)

        ratios = [part["one_by_one"] / part["dacse"] for part in parts]
        names = list(next(iter(parts))["stages"])
        spent = {name: sum(part["stages"][name] for part in parts) for name in names}
        return {
            "model": self.settings["model"],
            "dtype": self.settings["dtype"],
            "parts": len(ratios),
            "clips": total("clips"),
            "audio_seconds": round(total("audio_seconds"), 1),
            "dacse_x_real_time": round(total("audio_seconds") / total("dacse"), 4),
            "one_by_one_x_real_time": round(total("audio_seconds") / total("one_by_one"), 4),
            "ratio_median": round(statistics.median(ratios), 2),
            "ratio_min": round(min(ratios), 2),
            "equal_codes": round(total("equal") / total("codes"), 5),
            "stages": shares(spent, total("dacse")),
        }


def main(arguments: list[str] | None = None) -> dict[str, object]:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="nano", help="a name, a folder, or the shape 250m or 1b")
    parser.add_argument("--layers", type=int, help="fewer than the shape 250m or 1b has")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=2.5, help="mean length of a clip")
    parser.add_argument("--even", action="store_true", help="clips of one length, else give or take a third")
    parser.add_argument("--chunk", type=float, help="seconds a chunk; default: the model's")
    parser.add_argument("--parts", type=int, default=4, help="how often the ways take turns")
    parser.add_argument("--every", type=int, default=1, help="one by one does only each so manieth clip")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--dtype", default="float32", help="of dacse's way")
    parser.add_argument("--device", default="cpu", help="of both ways")
    parser.add_argument("--threads", type=int, default=None, help="torch's; default: its own choice")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no part later than that")
    parser.add_argument("--json", type=Path, help="keep the parts here, and go on with those it lacks")
    args = parser.parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    logging.set_verbosity_error()
    pairs = make_pairs(args.clips, RATE, args.seconds, 0 if args.even else 1 / 3)
    clips = [source_of(noisy, RATE) for _, noisy in pairs]
    unsaid = ("json", "minutes")
    book = Book(args.json, {key: value for key, value in vars(args).items() if key not in unsaid})
    with tempfile.TemporaryDirectory() as scratch:
        if args.model in ("250m", "1b"):
            folder = random_folder(args.model, Path(scratch, "model"), args.layers)
        else:
            folder = resolve(args.model, kind="model").folder
        print(compare(folder, clips, args, book))
    result = book.result()
    print(table([{key: value for key, value in result.items() if key != "stages"}]), end="\n\n")
    print(table([result["stages"]]), flush=True)
    return result


if __name__ == "__main__":
    main()
