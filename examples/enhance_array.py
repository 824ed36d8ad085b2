"""Enhance samples that are already in memory, with the built-in model: no file is read or written by dacse.

python examples/enhance_array.py examples/noisy/fan.flac enhanced.wav
"""

import sys

import soundfile as sf

from dacse_cli import Enhancer


def main(source: str, target: str) -> None:
    """Read `source`, enhance its channels, write them to `target` at the same rate."""
    samples, sample_rate = sf.read(source, dtype="float32", always_2d=True)  # [S, C]
    with Enhancer("nano") as enhancer:  # loaded once, good for any number of recordings
        result = enhancer.enhance(samples.T, sample_rate)
    sf.write(target, result.samples.T, result.sample_rate)  # result.samples is [C, S], as long as the input


if __name__ == "__main__":
    main(*sys.argv[1:3])
