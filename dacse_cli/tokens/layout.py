"""The vocabulary of DAC-SE1 as integer arithmetic: codes <-> flat ids <-> prompts.

Layout of the published tokenizer (ETH-DISCO/DAC-SE1, `inference.py`): five special ids, then one block
of `codebook_size` ids per codebook. Codes are flattened time-major: all codebooks of frame 0, then of frame
1. Independent of text, models and files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dacse_cli.interfaces import Codes

if TYPE_CHECKING:  # estimates of training cost import no numpy
    import numpy as np
    from numpy.typing import NDArray

BOS, PAD, EOS, START_CLEAN, UNK = range(5)
SPECIALS = 5


@dataclass(frozen=True)
class TokenLayout:
    """Vocabulary for `n_codebooks` (K) codebooks of `codebook_size` entries."""

    n_codebooks: int
    codebook_size: int

    @classmethod
    def of(cls, codes: Codes) -> TokenLayout:
        """The vocabulary for a codec's codes."""
        return cls(codes.books, codes.size)

    @property
    def vocab_size(self) -> int:
        """Number of ids, specials included (9221 for 9 x 1024)."""
        return SPECIALS + self.n_codebooks * self.codebook_size

    def flatten(self, codes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Codes `[K, T]` -> ids `[K*T]`; `ValueError` if a code is outside its codebook."""
        import numpy as np

        K, T = codes.shape
        if self.n_codebooks != K:
            raise ValueError(f"codes have {K} codebooks, this layout has {self.n_codebooks}")
        if T and (codes.min() < 0 or codes.max() >= self.codebook_size):
            raise ValueError(f"a code is outside 0..{self.codebook_size - 1}")
        first_ids = SPECIALS + self.codebook_size * np.arange(K, dtype=np.int64)
        return (codes.astype(np.int64).T + first_ids).ravel()

    def unflatten(self, ids: NDArray[np.int64]) -> NDArray[np.int16]:
        """Ids `[K*T]` -> codes `[K, T]`; `ValueError` if an id does not belong to its position's codebook."""
        import numpy as np

        K = self.n_codebooks
        if len(ids) % K:
            raise ValueError(f"{len(ids)} ids are not a whole number of frames of {K} codebooks")
        codes = ids.reshape(-1, K).T - (SPECIALS + self.codebook_size * np.arange(K)[:, None])
        if codes.size and (codes.min() < 0 or codes.max() >= self.codebook_size):
            raise ValueError("an id does not belong to the codebook of its position")
        return codes.astype(np.int16)

    def prompt(self, codes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Noisy codes `[K, T]` -> prompt `[K*T + 2]`: bos, the flat codes, start_clean."""
        import numpy as np

        return np.concatenate(([BOS], self.flatten(codes), [START_CLEAN])).astype(np.int64)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Allowed ids `[start, stop)` per codebook; generated token n uses entry `n % n_codebooks`."""
        size = self.codebook_size
        starts = (SPECIALS + k * size for k in range(self.n_codebooks))
        return tuple((start, start + size) for start in starts)

    def positions(self, frames: int) -> int:
        """Context positions of the prompt and the output for `frames` frames, without eos."""
        return 2 * self.n_codebooks * frames + 2
