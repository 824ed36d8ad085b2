"""The released 44.1 kHz DAC in dacse, in transformers and in Descript's package, in one run.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_codec_peers.py --seconds 5 --repeats 3

Random weights, the same in dacse and transformers, so that their codes can be compared. All ways in turn,
medians; with one thread processor time. Descript's package (`dacse[descript]`) is left out where it is not
installed. The limit is the work (multiplications and additions of convolutions and products, as torch counts
them) over the rate at which this machine multiplies float32 matrices.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import interleaved, seconds, table
from torch.utils.flop_counter import FlopCounterMode
from transformers import DacConfig, DacModel

from dacse_cli.codec.loading import load_codec
from dacse_cli.codec.memory import tune_allocator

RATE, HOP = 44100, 512
RELEASED = {
    "encoder_hidden_size": 64,
    "decoder_hidden_size": 1536,
    "downsampling_ratios": [2, 4, 8, 8],
    "n_codebooks": 9,
    "codebook_size": 1024,
    "codebook_dim": 8,
    "sampling_rate": RATE,
}
"""Shape of the released codec."""
MATRIX = 2048
Work = Callable[[], object]


def descript() -> Any:
    """Descript's own network with its random weights; None where the package is missing."""
    try:
        import dac
    except (ImportError, OSError):
        return None
    return dac.DAC(sample_rate=RATE).eval()


def multiplications_per_second() -> float:
    """Of float32 matrices, FLOP per second."""
    one, other = torch.randn(2, MATRIX, MATRIX)
    return 2 * MATRIX**3 / min(seconds(lambda: one @ other, "cpu") for _ in range(5))


def counted(work: Work) -> int:
    """FLOPs of convolutions and products."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print, return."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--small", action="store_true", help="an eighth of the channels, to try it out")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    shape = RELEASED | ({"encoder_hidden_size": 8, "decoder_hidden_size": 192} if options.small else {})
    theirs = DacModel(DacConfig(**shape)).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = load_codec(Path(folder))
    own = None if options.small else descript()
    length = round(options.seconds * RATE) // HOP * HOP  # whole frames: transformers drops what is left
    sound = np.random.default_rng(0).normal(0, 0.1, (1, length)).astype(np.float32)
    tensor = torch.from_numpy(sound)[None]
    with torch.inference_mode():
        codes, given = ours.encode(sound), theirs.encode(tensor).audio_codes
        same = torch.from_numpy(codes.astype(np.int64))
        written, heard = ours.decode(codes), theirs.decode(audio_codes=same).audio_values
        work = {
            "encode": counted(lambda: theirs.encode(tensor)),
            "decode": counted(lambda: theirs.decode(audio_codes=given)),
        }
        limit = multiplications_per_second()
        tune_allocator()
        ways: dict[str, tuple[Work, Work]] = {
            "dacse": (lambda: ours.encode(sound), lambda: ours.decode(codes)),
            "transformers": (lambda: theirs.encode(tensor), lambda: theirs.decode(audio_codes=given)),
        }
        if own is not None:
            latents = own.encode(tensor)[0]
            ways["descript-audio-codec"] = (lambda: own.encode(tensor), lambda: own.decode(latents))
        times = interleaved([one for pair in ways.values() for one in pair], options.repeats, "cpu")
    samples = min(written.shape[-1], heard.shape[-1])
    result: dict[str, Any] = {
        "equal codes": float((codes == given.numpy()).mean()),
        "largest difference": float(np.abs(written[0, :samples] - heard[0, :samples].numpy()).max()),
        "GFLOP per second": limit / 1e9,
        "ways": [],
    }
    for place, name in enumerate(ways):
        row: dict[str, Any] = {"way": name}
        for number, what in enumerate(("encode", "decode")):
            taken = times[2 * place + number]
            row[f"{what}, s per s"] = round(taken / options.seconds, 3)
            row[f"{what}, times dacse's"] = round(taken / times[number], 2)
            row[f"{what}, share of the limit"] = round(work[what] / limit / taken, 2)
        result["ways"].append(row)
    print(table(result["ways"]))
    print(
        f"{result['equal codes']:.3%} of the codes are those of transformers, decoded samples differ by "
        f"{result['largest difference']:.1e} at most; {limit / 1e9:.0f} GFLOP per second in float32 products"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    main()
