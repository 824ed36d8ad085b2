"""What the rest of the program must know of a codec: rates, sizes and margins, all derived.

Knows no networks. Numbers come from the codec's config, never from a table of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class CodecSpec:
    """A codec as integers. `hop_length` samples make one frame of `n_codebooks` codes."""

    name: str
    sample_rate: int
    hop_length: int
    n_codebooks: int
    codebook_size: int
    encode_margin: int
    """Frames of context on each side of a window that make its codes those of the whole file."""
    decode_margin: int
    """Frames of context on each side of a window that make its samples those of the whole file."""
    decode_tail: int = 0
    """Samples at the very end that the network does not make (odd strides); zeros stand there."""

    @property
    def frame_rate(self) -> Fraction:
        """Frames a second, exact: 44100/512, never 86.13."""
        return Fraction(self.sample_rate, self.hop_length)

    def frames(self, samples: int) -> int:
        """Frames that `samples` samples make; the last one is padded with zeros."""
        return -(-samples // self.hop_length)

    def samples(self, frames: int) -> int:
        """Samples that `frames` frames span."""
        return frames * self.hop_length

    def seconds_to_frames(self, seconds: float) -> int:
        """Whole frames within `seconds`, at least one: the float is taken as the decimal it prints as."""
        return max(1, int(Fraction(str(seconds)) * self.frame_rate))
