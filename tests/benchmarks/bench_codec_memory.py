"""Peak memory of DC-Speech-VAE against the length of what it encodes and decodes, in windows.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_codec_memory.py encode 10 60 240
    OMP_NUM_THREADS=1 python tests/benchmarks/bench_codec_memory.py decode 10 60 3600 --small

Random weights of the released shape, or of one with the same windows and few channels. Each length has a
process of its own, which gets sound or latents in pieces of a second and keeps nothing. `--whole`: one window
over all of it, for comparison.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
from timing import table

MIB = 1024


def measure(direction: str, seconds: float, small: bool, whole: bool) -> dict[str, Any]:
    """Peak memory before and after, in this process."""
    from bench_codec import VAE, drawn

    from dacse_cli.codec.memory import tune_allocator
    from dacse_cli.codec.stream import DecodeStream, EncodeStream
    from dacse_cli.codec.vae.codec import VaeNetwork, place_vae, vae_shapes
    from dacse_cli.codec.vae.shape import AutoencoderShape, VaeShape, VocoderShape

    few = VaeShape(
        AutoencoderShape(16, (16, 32, 32, 32, 64), VAE.autoencoder.encoder_layers), VocoderShape(64)
    )
    shape = few if small else VAE
    tune_allocator()
    codec = place_vae(VaeNetwork(shape, drawn(vae_shapes(shape))), shape.spec("vae"), "cpu")
    rng, hop, rate = np.random.default_rng(0), codec.spec.hop_length, codec.spec.sample_rate
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    frames = int(seconds * rate / hop)
    encoding, began, given = direction == "encode", time.process_time(), 0
    most = frames if whole else 5
    stream = (EncodeStream if encoding else DecodeStream)(codec, 1, frames if whole else None)
    while given < frames:
        piece = min(most, frames - given)
        size = (1, piece * hop) if encoding else (1, shape.autoencoder.width, piece)
        stream.push(rng.normal(0, 0.1, size).astype(np.float32))
        given += piece
    stream.finish()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    spent = time.process_time() - began
    return {"seconds": seconds, "loaded, MiB": round(before), "peak, MiB": round(peak), "CPU s": round(spent)}


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure, print, return."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("direction", choices=("encode", "decode"))
    parser.add_argument("seconds", type=float, nargs="+")
    parser.add_argument("--small", action="store_true", help="few channels")
    parser.add_argument("--whole", action="store_true", help="one window over everything")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.here:
        print(json.dumps(measure(options.direction, options.seconds[0], options.small, options.whole)))
        return []
    results = []
    flags = [word for word in ("small", "whole") if getattr(options, word)]
    for seconds in options.seconds:
        command = [sys.executable, __file__, options.direction, str(seconds), "--here"]
        command += [f"--{word}" for word in flags]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    print(table(results))
    return results


if __name__ == "__main__":
    main()
