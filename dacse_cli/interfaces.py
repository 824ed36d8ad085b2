"""What a model family must implement to take part in a run: codec, translator, filter.

Numpy and the standard library only. A family implements one of these protocols in its own package and is
listed in the registry; all other code (chunks, batches, journal, guard, report) uses the protocols only and
does not depend on the family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples: TypeAlias = NDArray[np.float32]
    """Audio, `[C, S]`."""
    Units: TypeAlias = NDArray[Any]
    """A codec's output, `[..., U, T]`: int16 codes of `U` codebooks, or float32 latents of width `U`."""
else:  # importing numpy takes longer than a command that runs no model
    Samples = Units = Any


@dataclass(frozen=True)
class Codes:
    """Discrete units: `books` codebooks of `size` entries."""

    books: int
    size: int


@dataclass(frozen=True)
class Latents:
    """Continuous units: `width` float32 values per frame."""

    width: int
    quantised: bool = False
    """Whether they are taken after quantisation: sums of codebook vectors, not an encoder's output."""


def in_words(units: Codes | Latents) -> str:
    """The kind of units in words, for messages."""
    if isinstance(units, Codes):
        return f"{units.books} codebooks of {units.size} codes"
    return f"latents of width {units.width}"


@dataclass(frozen=True)
class CodecSpec:
    """Rates and sizes of a codec. `hop_length` samples make one frame of units."""

    name: str
    sample_rate: int
    hop_length: int
    units: Codes | Latents
    encode_margin: int
    """Frames of context on each side of a window that make its units those of the whole file."""
    decode_margin: int
    """Frames of context on each side of a window that make its samples those of the whole file."""
    decode_tail: int = 0
    """Samples at the very end that the network does not produce (odd strides); they are zeros."""
    window_seconds: float = 4.0
    """Length of a window without context; it bounds memory."""
    also: Codes | Latents | None = None
    """Other units that it can decode: latents if it makes codes, codes if it makes latents."""

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second, exact: 44100/512, never 86.13."""
        return Fraction(self.sample_rate, self.hop_length)

    def frames(self, samples: int) -> int:
        """Frames that `samples` samples make; the last one is padded with zeros."""
        return -(-samples // self.hop_length)

    def samples(self, frames: int) -> int:
        """Samples that `frames` frames span."""
        return frames * self.hop_length

    def seconds_to_frames(self, seconds: float) -> int:
        """Whole frames within `seconds`, at least one; `seconds` counts as the decimal that it prints as."""
        return max(1, int(Fraction(str(seconds)) * self.frame_rate))


@dataclass(frozen=True)
class Window:
    """A piece of a recording with its context, and which of its frames are wanted."""

    data: NDArray[Any]
    """Samples `[C, t * hop]` to encode, or units `[C, U, t]` to decode."""
    kept: slice
    """The wanted frames, counted from the first of `data`."""


class Codec(Protocol):
    """Samples <-> units. Results do not depend on the windows, up to float rounding."""

    rows: int
    """Rows (channels of windows) that are computed at once; may be set."""

    @property
    def spec(self) -> CodecSpec:
        """Rates, sizes, margins."""

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda:0`, `mps`."""

    def encode(self, samples: Samples) -> Units:
        """Units `[C, U, T]` of a whole recording `[C, S]`, T = ceil(S / hop)."""

    def decode(self, units: Units) -> Samples:
        """Samples `[C, T * hop]` of the units `[C, U, T]` of a whole recording."""

    def encode_windows(self, windows: Sequence[Window]) -> list[Units]:
        """The kept units `[C, U, kept]` of every window, of any recordings; equal shapes share a batch."""

    def decode_windows(self, windows: Sequence[Window]) -> list[Samples]:
        """The kept samples `[C, kept * hop]` of every window."""


@dataclass(frozen=True)
class Draw:
    """How one row is sampled, instead of taking the best units; a temperature near 0 is close to that."""

    temperature: float
    seed: int


class Translator(Protocol):
    """Noisy units -> clean units: DAC-SE1's language model, SET, its non-autoregressive baseline."""

    @property
    def units(self) -> Codes | Latents:
        """What it reads and writes; must equal its codec's."""

    @property
    def max_frames(self) -> int | None:
        """Frames of the longest input it can take, context included; None where there is no limit."""

    @property
    def context(self) -> tuple[int, int]:
        """Frames of context before and after a chunk; the caller discards the output for them."""

    @property
    def redraws(self) -> bool:
        """Whether a suspicious chunk can be generated again with a `Draw`."""

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda:0`, `mps`."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that one step reads from memory."""

    @property
    def steps_per_frame(self) -> int:
        """Sequential steps per frame of a row."""

    def describe(self) -> str:
        """One line for logs: size, precision, device."""

    def row_bytes(self, frames: int) -> int:
        """Bytes of working memory that one more row of `frames` frames takes."""

    @property
    def useful_rows(self) -> int:
        """Rows beyond which a larger batch is hardly faster."""

    def prepare(self, rows: int, frames: int) -> None:
        """Allocate what batches of up to `rows` rows of `frames` frames need, where that can be done early.

        Raises `torch.OutOfMemoryError` or `MemoryError` where fewer rows may fit.
        """

    def fix(self, rows: int, frames: int) -> None:
        """Compute every later batch in this shape, so that no row depends on the others."""

    def translate(
        self,
        noisy: Sequence[Units],
        draws: Sequence[Draw] | None = None,
        on_frame: Callable[[int], None] | None = None,
    ) -> list[Units]:
        """Clean units `[U, t_i]` of noisy units `[U, t_i]`, one batch.

        `on_frame` is called from time to time with the number of frames done in the longest row; it may raise
        an exception to stop.
        """

    def release(self) -> None:
        """Free working memory until the next batch."""


class FilterStream(Protocol):
    """One recording passing through a filter, piece by piece; channels are independent."""

    def push(self, dry: Samples, guides: Samples | None = None) -> Samples:
        """Samples `[C, n]` of the recording, guides `[G, C, n]` -> samples `[C, m]` that are final now."""

    def finish(self) -> Samples:
        """The rest; as many samples have come out as went in, each in its place."""


class Filter(Protocol):
    """Samples -> samples of the same length, rate and channels."""

    @property
    def rate(self) -> int | None:
        """The only sample rate that it supports, in Hz; None: any."""

    @property
    def guides(self) -> int:
        """Guiding signals that it needs beside the recording: 0; 1, the speech of a generative model; 2, that
        speech and the recording passed through the same codec."""

    @property
    def lookahead(self) -> float:
        """Seconds of input after a sample that its output depends on."""

    def start(self, channels: int, rate: int) -> FilterStream:
        """A stream for one recording of `channels` channels at `rate` Hz."""
