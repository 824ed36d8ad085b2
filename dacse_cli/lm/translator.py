"""DAC-SE1's language model as an `interfaces.Translator`: noisy codes of many chunks in, clean codes out.

Only this module converts codes to ids: a chunk's noisy codes are its prompt, and the answer has as many ids.
In small batches the noisy ids are also tried as drafts of the clean ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dacse_cli.errors import CheckpointError
from dacse_cli.interfaces import Codes, Draw, Units
from dacse_cli.lm.bandwidth import weight_bytes
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.rows import FixedShape
from dacse_cli.registry import LoadOptions
from dacse_cli.tokens.layout import TokenLayout

DRAFT_ROWS = 2
"""Chunks of a batch whose noisy ids are tried as drafts. A larger batch lasts as long as its noisiest chunk,
whose drafts are the worst, and a wide pass over many rows saves no time."""


def load(folder: Path, options: LoadOptions) -> LlamaTranslator:
    """The model in `folder`, for the codes of `options.codec`. Raises `CheckpointError`, `DeviceError`."""
    assert options.codec is not None
    units = options.codec.units
    if not isinstance(units, Codes):
        raise CheckpointError(
            f"the model in {folder} is over codes, the codec {options.codec.name} makes latents"
        )
    layout = TokenLayout.of(units)
    model = load_language_model(
        folder, device=options.device, dtype=options.dtype, vocab_size=layout.vocab_size, kv=options.kv
    )
    return LlamaTranslator(model, layout)


class LlamaTranslator:
    """A language model over flat codes. Not for use by two threads at once."""

    def __init__(self, model: LanguageModel, layout: TokenLayout) -> None:
        self.model, self.layout = model, layout

    @property
    def units(self) -> Codes:
        """The units it reads and writes."""
        return Codes(self.layout.n_codebooks, self.layout.codebook_size)

    @property
    def max_frames(self) -> int:
        """Frames whose prompt and answer fill the model's context."""
        return max(0, (self.model.max_positions - self.layout.positions(0)) // (2 * self.layout.n_codebooks))

    @property
    def context(self) -> tuple[int, int]:
        """No context: a chunk is generated from its own codes alone."""
        return 0, 0

    @property
    def redraws(self) -> bool:
        """Ids can be sampled."""
        return True

    @property
    def device(self) -> str:
        """The device it runs on."""
        return self.model.device

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that one step reads."""
        return weight_bytes(self.model)

    @property
    def steps_per_frame(self) -> int:
        """One step per codebook."""
        return self.layout.n_codebooks

    def describe(self) -> str:
        """One line for logs."""
        return self.model.describe()

    def row_bytes(self, frames: int) -> int:
        """Bytes of cache that one more row of `frames` frames takes."""
        return self.model.row_bytes(self.layout.positions(frames))

    @property
    def useful_rows(self) -> int:
        """Rows beyond which a larger batch is hardly faster."""
        return self.model.useful_rows

    def prepare(self, rows: int, frames: int) -> None:
        """Capture the decode steps of a GPU. Raises `torch.OutOfMemoryError`."""
        if self.device.startswith("cuda"):
            self.model.prepare(rows, self.layout.positions(frames), self.layout.ranges)

    def fix(self, rows: int, frames: int) -> None:
        """Compute every later batch in this shape, so that no row depends on the others."""
        positions = self.layout.positions(frames)
        self.model.fix(FixedShape(rows, positions - self.layout.n_codebooks * frames, positions))

    def translate(
        self,
        noisy: Sequence[Units],
        draws: Sequence[Draw] | None = None,
        on_frame: Callable[[int], None] | None = None,
    ) -> list[Units]:
        """Clean codes int16 `[K, t_i]` of noisy codes `[K, t_i]`. Raises as `LanguageModel.generate` does."""
        layout = self.layout
        report = on_frame or (lambda frames: None)
        ids = self.model.generate(
            [layout.prompt(codes) for codes in noisy],
            [codes.size for codes in noisy],
            layout.ranges,
            on_step=lambda step: report(step // layout.n_codebooks),
            draws=draws,
            drafts=[layout.flatten(codes) for codes in noisy] if len(noisy) <= DRAFT_ROWS else None,
        )
        return [layout.unflatten(row) for row in ids]

    def release(self) -> None:
        """Give the cache's memory back until the next batch."""
        self.model.release()
