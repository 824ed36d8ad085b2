"""Which part of a recording becomes one training pair. Integers in, integers out.

The published rule: what is shorter than a second is left out, up to five seconds are kept whole, and longer
recordings are cut every four seconds, where a remainder below a second stays with the last part.
"""

from __future__ import annotations

from dataclasses import dataclass

from dacse_cli.errors import UsageError


@dataclass(frozen=True)
class Segmenting:
    """Lengths in seconds."""

    shortest: float = 1.0
    """A shorter recording is left out; a shorter remainder is not a part of its own."""
    seconds: float = 4.0
    """The grid on which longer recordings are cut."""
    longest: float = 5.0
    """Up to here a recording is kept whole."""

    def check(self) -> Segmenting:
        """Return self; raises `UsageError` where the lengths contradict each other."""
        if not 0.1 <= self.shortest <= self.seconds <= self.longest <= 600.0:
            raise UsageError(
                f"lengths must satisfy 0.1 <= {self.shortest:g} (shortest) <= {self.seconds:g} (`seconds`) "
                f"<= {self.longest:g} (`longest`) <= 600"
            )
        return self


def cut(samples: int, rate: int, lengths: Segmenting) -> tuple[tuple[int, int], ...]:
    """Parts (start, samples) of a recording of `samples` at `rate` Hz; empty if it is too short.

    Parts do not overlap and cover all of it.
    """
    if samples < round(lengths.shortest * rate):
        return ()
    if samples <= round(lengths.longest * rate):
        return ((0, samples),)
    step, rest = round(lengths.seconds * rate), round(lengths.shortest * rate)
    starts = range(0, samples - rest + 1, step)
    return tuple((start, (samples if start == starts[-1] else start + step) - start) for start in starts)
