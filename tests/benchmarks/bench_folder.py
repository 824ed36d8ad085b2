"""A folder of clips: dacse, against one chunk after the other through transformers `generate`.

    python tests/benchmarks/bench_folder.py --clips 100 --model nano

Both ways share the codec, the chunk plan and the cross-fade, so what differs is how ids are generated and
that dacse pools the chunks of all clips. Ways run in turn on quarters of the folder, so a machine that slows
down slows both. The codes of both ways are compared. Prints a Markdown table; `--json FILE` writes it too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from bench_decode import PublishedMask, hf_generate
from transformers import LlamaForCausalLM

from dacse_cli.config import SoundOptions
from dacse_cli.hub import resolve
from dacse_cli.pipeline.engine import Engine
from dacse_cli.pipeline.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.enhancer import Enhancer
from dacse_cli.pipeline.sources import ArraySink, ArraySource, Signal

SOURCES = Path(__file__).parents[2] / "examples" / "sources"
QUARTERS = 4


def make_clips(count: int, rate: int, seconds: float) -> list[ArraySource]:
    """`count` clips of real speech in white noise of 0 to 20 dB, `seconds` give or take a third."""
    rng = np.random.default_rng(0)
    speech = []
    for path in sorted(SOURCES.glob("*.opus")):
        samples, source_rate = soundfile.read(path, dtype="float32")
        speech.append(soxr.resample(samples, source_rate, rate))
    clips = []
    for _ in range(count):
        voice = speech[rng.integers(len(speech))]
        length = int(seconds * rng.uniform(0.67, 1.33) * rate)
        start = rng.integers(max(1, len(voice) - length))
        clip = np.resize(voice[start:], length)
        noise = rng.standard_normal(length) * clip.std() * 10 ** (-rng.uniform(0, 20) / 20)
        clip = (clip + noise).astype(np.float32)[None]
        clips.append(ArraySource(clip, Signal.of_array(clip, rate)))
    return clips


class Recorder(EnhanceAudio):
    """The usual task; remembers the codes it is given."""

    def deliver(self, chunk, codes):
        self.codes = {**getattr(self, "codes", {}), chunk.index: codes}
        super().deliver(chunk, codes)


def by_dacse(enhancer: Enhancer, clips: list[ArraySource]) -> list[dict[int, np.ndarray]]:
    """Codes of every chunk, by clip; chunks of all clips share batches."""
    tasks = [Recorder(clip, ArraySink(), enhancer.chain, SoundOptions()) for clip in clips]
    todo = list(tasks)[::-1]

    def next_task(block: bool):
        task = todo.pop() if todo else None
        return task and (task, lambda: task)

    def failed(task, failure):
        raise RuntimeError(failure.trace or failure.message)

    Engine(enhancer.chain, enhancer.batch_size, next_task, lambda task, done: None, failed).run()
    return [task.codes for task in tasks]


def one_by_one(
    enhancer: Enhancer, hf: LlamaForCausalLM, clips: list[ArraySource]
) -> list[dict[int, np.ndarray]]:
    """The same, each chunk alone through `generate` with a Python mask, as the published script does it."""
    layout = enhancer.chain.layout
    tasks = [Recorder(clip, ArraySink(), enhancer.chain, SoundOptions()) for clip in clips]
    for task in tasks:
        for chunk in task.chunks():
            if chunk is not None:
                prompt = layout.prompt(chunk.codes)
                ids = hf_generate(hf, [prompt], chunk.codes.size, PublishedMask(list(layout.ranges)))[0]
                task.deliver(chunk, layout.unflatten(np.asarray(ids)))
        task.finish()
    return [task.codes for task in tasks]


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=2.5, help="mean length of a clip")
    parser.add_argument("--threads", type=int, default=None, help="torch's; default: its own choice")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    clips = make_clips(args.clips, 16000, args.seconds)
    folder = resolve(args.model, kind="model").folder
    hf = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    ratios, ours, theirs, same, total = [], 0.0, 0.0, 0, 0
    with Enhancer(args.model, device="cpu", dtype="float32") as enhancer:
        by_dacse(enhancer, clips[:1])
        for quarter in range(QUARTERS):
            part = clips[quarter::QUARTERS]
            began = time.perf_counter()
            fast = by_dacse(enhancer, part)
            middle = time.perf_counter()
            slow = one_by_one(enhancer, hf, part)
            end = time.perf_counter()
            ratios.append((end - middle) / (middle - began))
            ours += middle - began
            theirs += end - middle
            for a, b in zip(fast, slow, strict=True):
                same += sum(int((a[i] == b[i]).sum()) for i in b)
                total += sum(codes.size for codes in b.values())
    seconds = sum(clip.signal.seconds for clip in clips)
    result = {
        "clips": len(clips),
        "audio_seconds": round(seconds, 1),
        "dacse_x_real_time": round(seconds / ours, 3),
        "one_by_one_x_real_time": round(seconds / theirs, 3),
        "ratio_median": round(statistics.median(ratios), 2),
        "ratio_min": round(min(ratios), 2),
        "equal_codes": same / total,
    }
    print("| " + " | ".join(result) + " |")
    print("|" + "---:|" * len(result))
    print("| " + " | ".join(f"{value:g}" for value in result.values()) + " |")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return result


if __name__ == "__main__":
    main()
