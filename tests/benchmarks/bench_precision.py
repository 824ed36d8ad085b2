"""How often cheaper numbers choose what float32 chooses: teacher-forced agreement on real noisy speech.

    python tests/benchmarks/bench_precision.py --model nano --clips 32

float32 writes the answers. Every other mode is then shown the same past, token by token, and asked for the
next one; `agreement` is the share of equal choices, by codebook from the first (the loudest) to the last.
`free` is the share of equal codes where the mode writes on its own, once a token has differed all that
follows may. The first lines show what is noise: float32 by torch's attention, and float32 in batches of one.
The last columns score the sound of what a mode wrote on its own, all chunks one behind the other, against the
clean speech.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from bench_folder import RATE, make_pairs, source_of
from timing import table

from dacse_cli import Enhancer
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.evaluation.metric import Clip, ScoringOptions
from dacse_cli.evaluation.metrics import mos, pesq, stoi
from dacse_cli.evaluation.recording import fit
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.decoding.choice import Choice
from dacse_cli.lm.decoding.greedy import EagerDecoder
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.gpu.capture import NoCapture
from dacse_cli.lm.gpu.graphs import GraphDecoder
from dacse_cli.lm.rows import plan_batch
from dacse_cli.pipeline.request.find_models import FoundModels, find_models
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.task.codec_work import alone
from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.task.task import Chunk
from dacse_cli.pipeline.task.writing.sinks import ArraySink
from dacse_cli.pipeline.wire.messages import Form

MODES = {  # name: dtype, cache, torch's own attention, rows a batch
    "float32, torch's attention": ("float32", "auto", True, None),
    "float32, one row": ("float32", "auto", False, 1),
    "float32, int8 cache": ("float32", "int8", False, None),
    "float32, fp8 cache": ("float32", "fp8", False, None),
    "bfloat16": ("bfloat16", "auto", False, None),
    "bfloat16, one row": ("bfloat16", "auto", False, 1),
    "bfloat16, int8 cache": ("bfloat16", "int8", False, None),
    "bfloat16, fp8 cache": ("bfloat16", "fp8", False, None),
}
METRICS = {"dnsmos_ovrl": mos.DNSMOS, "pesq": pesq.METRIC, "stoi": stoi.METRIC}
"""Columns of the table, and whose they are."""


class Forced(Choice):
    """Records what it would pick and writes the teacher's token."""

    def __init__(self, choice: Choice, teacher: torch.Tensor, noted: list[torch.Tensor]) -> None:
        self.__dict__.update(choice.__dict__)
        self._teacher, self._noted = teacher, noted

    def pick(self, normed: torch.Tensor, out: torch.Tensor, noise: torch.Tensor | None = None) -> None:
        super().pick(normed, out)
        self._noted.append(out.clone())
        step = min(len(self._noted), len(self._teacher)) - 1  # a last cycle may go beyond the end
        out.copy_(self._teacher[step] - self.lo)


def pairs_of_speech(enhancer: Enhancer, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Clean and noisy speech, a little longer than a chunk."""
    models = enhancer.models
    return make_pairs(count, RATE, float(models.grid.chunk / models.spec.frame_rate) + 0.1, 0)


def chunks_of_speech(enhancer: Enhancer, count: int) -> list[np.ndarray]:
    """Prompts: the first full chunk of `count` noisy clips."""
    models, prompts = enhancer.models, []
    for _, noisy in pairs_of_speech(enhancer, count):
        task = EnhanceAudio(source_of(noisy, RATE), ArraySink(), models, SoundOptions())
        steps = alone(models.codec, task.chunks())
        codes = next(chunk.units for chunk in steps if isinstance(chunk, Chunk))
        prompts.append(models.translator.layout.prompt(codes[:, : models.grid.chunk]))
    return prompts


def forced(lm: LanguageModel, prompts: list[np.ndarray], teacher: np.ndarray, ranges: Any) -> np.ndarray:
    """What `lm` would write at every step of the teacher's text `[steps, rows]`; the same shape."""
    noted: list[torch.Tensor] = []
    says = torch.from_numpy(teacher).to(lm.device)
    decoder = lm.decoder
    if isinstance(decoder, GraphDecoder):  # replays run no Python, so each step must run as it is
        decoder = GraphDecoder(lm.network, lm.arena, decoder.attention, NoCapture())
    choices = [Forced(lm._choice(lo, hi), says, noted) for lo, hi in ranges]
    plan = plan_batch([len(prompt) for prompt in prompts], [len(teacher)] * len(prompts))
    assert plan is not None and list(plan.order) == list(range(len(prompts)))
    with torch.inference_mode():
        decoder.run(plan, prompts, choices, lambda step: None)
    starts = np.array([ranges[step % len(ranges)][0] for step in range(len(teacher))])
    return torch.stack(noted[: len(teacher)]).cpu().numpy() + starts[:, None]


def written(
    lm: LanguageModel, prompts: list[np.ndarray], steps: int, ranges: Any, rows: int | None
) -> np.ndarray:
    """Greedy ids `[steps, prompts]`, `rows` at once."""
    rows = rows or len(prompts)
    parts = [prompts[i : i + rows] for i in range(0, len(prompts), rows)]
    return np.stack([ids for part in parts for ids in lm.generate(part, [steps] * len(part), ranges)], axis=1)


class Ear:
    """Scores of written ids as sound, against the clean speech they should say."""

    def __init__(self, enhancer: Enhancer, count: int) -> None:
        self.models = enhancer.models
        seconds = self.models.grid.chunk / self.models.spec.frame_rate
        self.clean = [clean[: int(seconds * RATE)] for clean, _ in pairs_of_speech(enhancer, count)]
        self.scorers = {name: metric.load(ScoringOptions()) for name, metric in METRICS.items()}

    def scores(self, ids: np.ndarray) -> dict[str, float]:
        """ids `[steps, chunks]` -> score by column."""
        codes = [self.models.translator.layout.unflatten(chunk) for chunk in ids.T]
        rate = self.models.codec.spec.sample_rate
        heard = [soxr.resample(self.models.codec.decode(code[None])[0], rate, RATE) for code in codes]
        said = np.concatenate([fit(one, len(clean)) for one, clean in zip(heard, self.clean, strict=True)])
        clip = Clip(said, np.concatenate(self.clean), RATE)
        scores = {}
        for name, scorer in self.scorers.items():
            columns = [column.name for column in METRICS[name].columns]
            scores[name] = scorer(clip)[columns.index(name)].value
        return scores


def modes(
    names: list[str],
    found: FoundModels,
    prompts: list[np.ndarray],
    teacher: np.ndarray,
    layout: Any,
    ear: Ear,
) -> Iterator[dict[str, Any]]:
    """A result a mode, float32 as it wrote the answers first."""
    steps, books = len(teacher), range(layout.n_codebooks)
    exact = {"mode": "float32", "agreement": 1.0, "free": 1.0, **{f"c{k + 1}": 1.0 for k in books}}
    yield exact | ear.scores(teacher)
    for name in names:
        dtype, kv, plain, rows = MODES[name]
        if kv == "int8" and found.plan.device != "cpu":
            continue
        lm = load_language_model(found.model.folder, device=found.plan.device, dtype=dtype, kv=kv)
        if plain:
            lm.use(EagerDecoder(lm.network, lm.arena))
        equal = forced(lm, prompts, teacher, layout.ranges) == teacher
        free = written(lm, prompts, steps, layout.ranges, rows)
        result = {"mode": name, "agreement": float(equal.mean()), "free": float((free == teacher).mean())}
        result |= {f"c{k + 1}": float(equal[k :: layout.n_codebooks].mean()) for k in books}
        yield result | ear.scores(free)


def main(
    arguments: list[str] | None = None, told: Callable[[dict[str, Any]], object] = lambda result: None
) -> list[dict[str, Any]]:
    """Measure and print; `told` gets each result at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), metavar="MODE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    models = ModelOptions(options.model, device=options.device, dtype="float32")
    request = Request(Form.ENHANCE, (), None, models, ChunkOptions(), SoundOptions(method="generate"))
    found = find_models(request)
    with Enhancer.from_found(found) as enhancer:
        layout = enhancer.models.translator.layout
        prompts = chunks_of_speech(enhancer, options.clips)
        steps = len(prompts[0]) - 2
        teacher = written(enhancer.models.translator.model, prompts, steps, layout.ranges, None)
        results = []
        for result in modes(options.modes, found, prompts, teacher, layout, Ear(enhancer, options.clips)):
            told(result)
            results.append(result)
    print(
        f"{options.model}: {len(prompts)} chunks of speech, {steps} tokens each\n\n{table(results)}",
        flush=True,
    )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    main()
