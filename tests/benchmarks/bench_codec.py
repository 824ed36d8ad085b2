"""What a second of sound costs in each codec, encoded and decoded, in one run.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_codec.py --seconds 4 --repeats 1

Random weights of the released shapes: DAC at 44.1 kHz, DC-Speech-VAE with BigVGAN and with the stand-in. All
codecs in turn, medians; on a CPU with one thread its processor time. Numbers per second and bytes per hour
(of int16 codes, float32 latents) stand beside.
"""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import interleaved, table
from torch import Tensor

from dacse_cli.codec.dac.codec import place_dac
from dacse_cli.codec.dac.network import DacNetwork, dac_shapes
from dacse_cli.codec.dac.shape import DacShape
from dacse_cli.codec.memory import tune_allocator
from dacse_cli.codec.vae.codec import VaeNetwork, place_vae, vae_shapes
from dacse_cli.codec.vae.shape import GriffinLimShape, VaeShape
from dacse_cli.interfaces import CodecSpec, Codes

DAC = DacShape(64, 1536, 1024, (2, 4, 8, 8), 9, 1024, 8, 44100)
VAE = VaeShape()
HOUR = 3600


def drawn(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights so small that nothing overflows."""
    torch.manual_seed(0)
    return {name: 0.02 * torch.randn(shape) for name, shape in shapes.items()}


def codecs(device: str) -> dict[str, Any]:
    """By name."""
    stand_in = VaeShape(VAE.autoencoder, GriffinLimShape())
    shapes = {"DC-Speech-VAE": VAE, "DC-Speech-VAE, stand-in": stand_in}
    found: dict[str, Any] = {
        "DAC 44.1 kHz": place_dac(DacNetwork(DAC, drawn(dac_shapes(DAC))), DAC.spec("dac"), device, "codes")
    }
    for name, shape in shapes.items():
        found[name] = place_vae(VaeNetwork(shape, drawn(vae_shapes(shape))), shape.spec(name), device)
    return found


def rates(spec: CodecSpec) -> tuple[float, float]:
    """(numbers per second, megabytes per hour) of a codec's units."""
    codes = isinstance(spec.units, Codes)
    width = spec.units.books if isinstance(spec.units, Codes) else spec.units.width
    numbers = width * float(spec.frame_rate)
    return round(numbers, 1), round(numbers * HOUR * (2 if codes else 4) / 1e6, 2)


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure, print, return."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--decoding", choices=("ieee", "tf32"), default="ieee", help="products on CUDA")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    tune_allocator()
    found = codecs(options.device)
    for codec in found.values():
        codec.decoding = options.decoding
    rng = np.random.default_rng(0)
    works, kinds = [], []
    for name, codec in found.items():
        sound = rng.normal(0, 0.1, (1, round(options.seconds * codec.spec.sample_rate))).astype(np.float32)
        units = codec.encode(sound)
        works += [lambda c=codec, s=sound: c.encode(s), lambda c=codec, u=units: c.decode(u)]
        kinds.append(name)
    times = interleaved(works, options.repeats, options.device)
    results = []
    for place, name in enumerate(kinds):
        numbers, size = rates(found[name].spec)
        encode, decode = (round(times[2 * place + k] / options.seconds, 6) for k in (0, 1))
        results.append(
            {
                "codec": name,
                "encode, s per s": encode,
                "decode, s per s": decode,
                "numbers per s": numbers,
                "MB per hour": size,
            }
        )
    print(table(results))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, all codecs")
    if options.json is not None:
        options.json.write_text(json.dumps({"results": results}, indent=1))
    return results


if __name__ == "__main__":
    main()
