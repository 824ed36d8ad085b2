"""Whether the device writes what a CPU writes: golden data, `nano`, and three layers of the 1B shape.

In float32 every way of decoding must write the same ids. In bfloat16, and with an fp8 cache, near-ties fall
otherwise, so the share of equal choices is taken with the float32 text as the past.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_precision import chunks_of_speech, forced
from rows import Rows, part_options
from safetensors.numpy import load_file
from timing import config_of, ranges_of
from transformers import LlamaConfig, LlamaForCausalLM

from dacse_cli import Enhancer
from dacse_cli.codec.loading import load_codec
from dacse_cli.lm.attention.prefix import BackendUnavailableError
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.decoding.backends import find_decoders
from dacse_cli.lm.decoding.greedy import Decoder
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.gpu.capture import NoCapture
from dacse_cli.lm.gpu.graphs import GraphDecoder
from dacse_cli.lm.gpu.varlen import load_varlen

GOLDEN = Path(__file__).parents[1] / "golden"
GOLDEN_RANGES = [(5 + c * 1024, 5 + (c + 1) * 1024) for c in range(9)]


def share(got: Any, want: Any) -> float:
    """Of equal numbers, over all pairs of arrays."""
    pairs = list(zip(got, want, strict=True))
    return sum(int((a == b).sum()) for a, b in pairs) / sum(np.size(b) for _, b in pairs)


def golden(rows: Rows, device: str) -> None:
    """The published code's tokens and codes."""
    lm = load_language_model(GOLDEN / "llama", device=device, dtype="float32", vocab_size=9221)
    stored = load_file(GOLDEN / "generate.safetensors")
    prompts, news, want = [], [], []
    for frames in (1, 7, 40):
        ids = 5 + np.arange(9)[:, None] * 1024 + stored[f"noisy_{frames}"].astype(np.int64)
        prompts.append(np.concatenate([[0], ids.T.ravel(), [3]]))
        news.append(9 * frames)
        want.append(stored[f"ids_{frames}"])
    got = lm.generate(prompts, news, GOLDEN_RANGES)
    rows.add("golden", f"ids of the published code, {lm.decoder.name}", share(got, want), "1")
    stored = load_file(GOLDEN / "codec.safetensors")
    codec = load_codec(GOLDEN / "dac", device=device)
    rows.add(
        "golden", "codes of the codec", share(codec.encode(stored["samples"][None]), [stored["codes"]]), "1"
    )
    off = np.abs(codec.decode(stored["codes"][None])[0] - stored["decoded"].reshape(-1)).max()
    codec.decoding = "tf32"
    rounded = np.abs(codec.decode(stored["codes"][None])[0] - stored["decoded"].reshape(-1)).max()
    rows.add("golden", "largest difference of samples, decoded with TF32", float(rounded), "< 1e-2")
    rows.add("golden", "largest error of decoded samples", float(off), "< 1e-4")


def nano(rows: Rows, device: str, clips: int) -> None:
    """The model that ships, from sound to ids."""
    with Enhancer("nano", device="cpu", dtype="float32", method="generate") as enhancer:
        want_prompts = chunks_of_speech(enhancer, clips)
        layout, steps = enhancer.models.translator.layout, len(want_prompts[0]) - 2
        want = enhancer.models.translator.model.generate(want_prompts, [steps] * clips, layout.ranges)
    with Enhancer("nano", device=device, dtype="float32", method="generate") as enhancer:
        prompts = chunks_of_speech(enhancer, clips)
        got = enhancer.models.translator.model.generate(want_prompts, [steps] * clips, layout.ranges)
    rows.add("nano", "codes of noisy speech, against the CPU's", share(prompts, want_prompts), "1")
    rows.add("nano", "ids written, against the CPU's", share(got, want), "1")


def ways(lm: LanguageModel) -> Iterator[tuple[str, Decoder | None]]:
    """Every way of decoding that exists for this model, by name; None for one that cannot run, and why."""
    for decoder in find_decoders(lm.network, lm.arena).decoders:
        yield decoder.name, decoder
    try:
        varlen = load_varlen(lm.network, lm.arena.dtype)
    except BackendUnavailableError as error:
        yield f"varlen_attn: {error}", None
    else:
        for decoder in (
            GraphDecoder(lm.network, lm.arena, varlen),
            GraphDecoder(lm.network, lm.arena, varlen, NoCapture()),
        ):
            yield decoder.name, decoder


def large(rows: Rows, device: str, tiny: bool) -> None:
    """Random weights of the 1B shape: every dtype and way against the CPU's float32."""
    config = config_of("nano", 1) if tiny else config_of("1b", 3)
    ranges, rng = ranges_of(config), np.random.default_rng(0)
    lengths, new = ((12, 20), 14) if tiny else ((400, 300, 400, 150), 180)
    prompts = [rng.integers(5, config["vocab_size"], length) for length in lengths]
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        LlamaForCausalLM(LlamaConfig(**config)).save_pretrained(folder)
        want = load_language_model(Path(folder), dtype="float32").generate(
            prompts, [new] * len(prompts), ranges
        )
        modes = (("float32", "auto"), ("bfloat16", "auto"), ("bfloat16", "fp8"))
        models = {
            mode: load_language_model(Path(folder), device=device, dtype=mode[0], kv=mode[1])
            for mode in modes
        }
    exact = models["float32", "auto"]
    alone = [exact.generate([prompt], [new], ranges)[0] for prompt in prompts]
    rows.add("batch", "float32 ids of rows alone, against the CPU's batch", share(alone, want), "1")
    same = [prompt for prompt in prompts if len(prompt) == lengths[0]]
    teacher = np.stack([ids for ids, p in zip(want, prompts, strict=True) if len(p) == lengths[0]], axis=1)
    for (dtype, kv), lm in models.items():
        for name, decoder in ways(lm):
            what = f"{dtype}, cache {kv}, {name}"
            if decoder is None:
                rows.add("way", what, "not available")
                continue
            lm.use(decoder)
            got = lm.generate(prompts, [new] * len(prompts), ranges)
            if dtype == "float32":
                rows.add("way", f"ids equal to the CPU's, {what}", share(got, want), "1")
            else:
                rows.add("way", f"ids equal while none differed, {what}", first_difference(got, want))
                agreed = float((forced(lm, same, teacher, ranges) == teacher).mean())
                rows.add("agreement", f"teacher-forced, {what}", agreed, "> 0.9 of random weights")
        lm.release()


def first_difference(got: list[np.ndarray], want: list[np.ndarray]) -> float:
    """Mean number of ids before the first that differs."""
    equal = [np.append(a == b, False) for a, b in zip(got, want, strict=True)]
    return float(np.mean([np.argmin(row) for row in equal]))


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    options = part_options(arguments)
    rows = Rows(options.rows)
    golden(rows, options.device)
    nano(rows, options.device, 1 if options.tiny else 8)
    large(rows, options.device, options.tiny)
    return rows.rows


if __name__ == "__main__":
    main()
