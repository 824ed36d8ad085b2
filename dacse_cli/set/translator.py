"""SET as an `interfaces.Translator`: noisy units of many chunks in, clean units out.

Chunks of different lengths share a batch; each is computed as if it were alone. Long recordings come as
chunks with frames of context on both sides (`context`), whose answers the caller drops: the encoder then sees
the surroundings of a chunk, and the predictor has a past when the chunk begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.interfaces import Codes, Draw, Latents, Units, in_words
from dacse_cli.lm.device import resolve_device, resolve_dtype
from dacse_cli.registry import LoadOptions
from dacse_cli.set.checkpoint import load_network
from dacse_cli.set.expansion import EXPANSIONS, check_search
from dacse_cli.set.graphs import GraphSearch
from dacse_cli.set.network import SetNetwork
from dacse_cli.set.scoring import NetworkScorer, ScoringWeights
from dacse_cli.set.search import RowNoise, beam_search, greedy
from dacse_cli.set.shape import SearchShape

HEAD_VALUES = 1 << 24
"""Most logits computed at once by a network that could compute all frames at once."""

USEFUL_ROWS = {"cpu": 16, "cuda": 64, "mps": 16}


def load_set(
    folder: Path,
    *,
    device: str = "cpu",
    dtype: str = "auto",
    units: Codes | Latents | None = None,
    beam: int | None = None,
    expansion: str | None = None,
) -> SetTranslator:
    """Load the model in `folder`, which must read and write `units`, if given.

    `beam` and `expansion` override the values in its `config.json`. Raises `CheckpointError`,
    `DeviceError`, or `UsageError` for an impossible search.
    """
    where = torch.device(resolve_device(device))
    kind = resolve_dtype(dtype, device=str(where))
    network = load_network(folder)
    if units is not None and units != network.shape.units:
        own_units = in_words(network.shape.units)
        raise CheckpointError(
            f"the model in {folder} is over {own_units}, the codec over {in_words(units)}",
            hint="name the codec this model was trained with (`codec`)",
        )
    own = network.shape.search
    search = replace(
        own,
        beam=own.beam if beam is None else beam,
        expansion=own.expansion if expansion is None else expansion,
    )
    check_search(search, network.predictor is not None)
    return SetTranslator(network, where, kind, search)


def load(folder: Path, options: LoadOptions) -> SetTranslator:
    """The model in `folder`, for the units of `options.codec`. Raises `CheckpointError`, `DeviceError`."""
    units = options.codec.units if options.codec else None
    return load_set(
        folder,
        device=options.device,
        dtype=options.dtype,
        units=units,
        beam=options.beam,
        expansion=options.expansion,
    )


class SetTranslator:
    """A network on a device. Not for use by two threads at once."""

    def __init__(
        self, network: SetNetwork, device: torch.device, dtype: torch.dtype, search: SearchShape
    ) -> None:
        self.shape, self.dtype, self.search = network.shape, dtype, search
        self._where = device
        self._network = network.eval().to(device)
        self._scoring = ScoringWeights(network, dtype) if network.predictor is not None else None
        self._network.encoder.to(dtype)
        self._network.head.to(dtype)
        self._fixed: tuple[int, int] | None = None
        self._graphs = None
        if device.type == "cuda" and self._scoring is not None:
            self._graphs = GraphSearch(self._scoring)
        self._why = ""

    @property
    def units(self) -> Codes | Latents:
        """The units it reads and writes."""
        return self.shape.units

    @property
    def max_frames(self) -> int | None:
        """Frames of the longest input, context included."""
        return self.shape.max_frames

    @property
    def context(self) -> tuple[int, int]:
        """Frames before and after a chunk that should be given along with it."""
        return self.shape.context_before, self.shape.context_after

    @property
    def redraws(self) -> bool:
        """Codes can be sampled, latents cannot."""
        return self.shape.latents is None

    @property
    def device(self) -> str:
        """The device it runs on."""
        return str(self._where)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that one step reads."""
        predictor = self._network.predictor
        stepped = self._network if predictor is None else predictor
        return sum(weight.numel() * weight.element_size() for weight in stepped.parameters())

    @property
    def steps_per_frame(self) -> int:
        """All codes of a frame are written at once."""
        return 1

    def describe(self) -> str:
        """One line for logs."""
        encoder, predictor = self.shape.encoder, self.shape.predictor
        how = "no predictor"
        if predictor is not None:
            how = f"{predictor.kind} {predictor.layers} x {predictor.width}, beam {self.search.beam}"
            if self.search.beam > 1:
                how += f" ({self.search.expansion})"
            how += ", CUDA graphs" if self._graphs is not None else self._why
        name = str(self.dtype).removeprefix("torch.")
        return f"SET conformer {encoder.layers} x {encoder.width}, {how}, {name} on {self.device}"

    def row_bytes(self, frames: int) -> int:
        """Bytes of working memory that one more row of `frames` frames takes."""
        return frames * self.shape.frame_bytes(self.search.beam, self.dtype.itemsize)

    @property
    def useful_rows(self) -> int:
        """Rows beyond which a larger batch is hardly faster."""
        return USEFUL_ROWS[self._where.type]

    def prepare(self, rows: int, frames: int) -> None:
        """Nothing: memory is taken, and graphs are captured, with the first batch."""

    def fix(self, rows: int, frames: int) -> None:
        """Compute every later batch in this shape, so that no row depends on the others."""
        self._fixed = (rows, frames)

    def release(self) -> None:
        """Free working memory until the next batch."""
        if self._graphs is not None:
            self._graphs.release()

    def translate(
        self,
        noisy: Sequence[Units],
        draws: Sequence[Draw] | None = None,
        on_frame: Callable[[int], None] | None = None,
    ) -> list[Units]:
        """Clean units `[U, t_i]` of noisy units `[U, t_i]`: int16 codes, or float32 latents.

        With `draws`, one per row, codes are sampled, without a beam. `on_frame` is called with the number of
        finished frames of the longest row; it may raise to stop. Raises `UsageError` for a row longer than
        `max_frames`, `CheckpointError` where the network computes NaN, `ValueError` for units of another
        shape or range, `torch.OutOfMemoryError` or `MemoryError` where fewer rows may fit.
        """
        for row in noisy:
            self._check(row)
        order = sorted((i for i, row in enumerate(noisy) if row.shape[1]), key=lambda i: -noisy[i].shape[1])
        clean: list[Units] = [np.array(row, self._type) for row in noisy]
        if not order:
            return clean
        chosen = None if draws is None else [draws[i] for i in order]
        with torch.inference_mode():
            found = self._batch([noisy[i] for i in order], chosen, on_frame)
        for place, i in enumerate(order):
            clean[i] = np.ascontiguousarray(found[place, : noisy[i].shape[1]].T, self._type)
        if on_frame is not None:
            on_frame(noisy[order[0]].shape[1])
        return clean

    @property
    def _type(self) -> type[np.int16] | type[np.float32]:
        return np.int16 if self.shape.latents is None else np.float32

    def _check(self, row: Units) -> None:
        units = self.units
        width = units.books if isinstance(units, Codes) else units.width
        if row.ndim != 2 or row.shape[0] != width:
            raise ValueError(f"units must be [{width}, frames], not {list(row.shape)}")
        if row.shape[1] > self.shape.max_frames:
            raise UsageError(
                f"{row.shape[1]} frames with their context are more than the model's {self.shape.max_frames}",
                hint="use a shorter `chunk`",
            )
        if isinstance(units, Codes) and row.size and not 0 <= row.min() <= row.max() < units.size:
            raise ValueError(f"codes must be from 0 to {units.size - 1}")

    def _batch(
        self, rows: list[Units], draws: list[Draw] | None, report: Callable[[int], None] | None
    ) -> Units:
        """Clean units `[B, T, U]` of rows that come longest first."""
        frames = [row.shape[1] for row in rows]
        B, T = len(rows), frames[0]
        if self._fixed is not None:
            B, T = self._fixed
            if len(rows) > B or frames[0] > T:
                raise ValueError(f"a batch of {len(rows)} x {frames[0]} does not fit the fixed {B} x {T}")
        padded = np.zeros((B, T, rows[0].shape[0]), np.float32 if self.shape.latents else np.int64)
        for place, row in enumerate(rows):
            padded[place, : frames[place]] = row.T
        lengths = frames + [T] * (B - len(rows))  # filler rows of a fixed shape
        # without padding attention needs no mask; with a fixed shape all batches use one
        uneven = self._fixed is not None or min(lengths) < T
        own = torch.tensor(lengths, device=self._where) if uneven else None
        given = torch.from_numpy(padded).to(self._where)
        encoded = self._network.encoder(given.to(self.dtype) if self.shape.latents else given, own)
        found = self._written(encoded, frames, draws, report)
        result: Units = found[: len(rows)].cpu().numpy()
        return result

    def _written(
        self,
        encoded: Tensor,
        frames: list[int],
        draws: list[Draw] | None,
        report: Callable[[int], None] | None,
    ) -> Tensor:
        """Clean units `[B, T, U]` of encoded `[B, T, J]`; `frames` of each row, without filler rows."""
        noise = (
            None if draws is None or self.shape.latents else RowNoise(draws, self.shape.codes, self._where)
        )
        if self._scoring is None:
            return self._each_frame_alone(encoded, noise, report)
        beam = 1 if noise is not None else self.search.beam
        propose = EXPANSIONS[self.search.expansion] if beam > 1 else None
        encoded = encoded.float()
        if self._graphs is not None and noise is None:
            try:
                codes, _, healthy = self._graphs.run(encoded, frames, beam, propose, report)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self._graphs, self._why = None, f" (no CUDA graphs: {error})"
            else:
                self._require(healthy)
                return codes[:, 0]
        fixed = self._fixed is not None
        scorer = NetworkScorer(self._scoring, len(encoded), beam, encoded.shape[1])
        scorer.begin(encoded)
        if propose is None:
            codes = greedy(scorer, frames, noise, report, fixed=fixed)
        else:
            codes = beam_search(scorer, frames, propose, report, fixed=fixed)[0][:, 0]
        self._require(scorer.healthy())
        return codes

    def _each_frame_alone(
        self, encoded: Tensor, noise: RowNoise | None, report: Callable[[int], None] | None
    ) -> Tensor:
        """Clean units of a network without a predictor, in blocks of frames that limit memory."""
        joined = self._network.joined(encoded, None)
        self._require(bool(torch.isfinite(joined).all()))
        B, T, _ = joined.shape
        at_once = 1 if noise is not None else max(1, HEAD_VALUES // (B * self._network.head.out_features))
        parts = []
        for start in range(0, T, at_once):
            outputs = self._network.split(self._network.head(joined[:, start : start + at_once]).float())
            if self.shape.latents is None:
                if noise is not None:
                    outputs = outputs + noise(B).unsqueeze(1)
                outputs = outputs.argmax(dim=-1)
            parts.append(outputs)
            if report is not None:
                report(min(T, start + at_once))
        return torch.cat(parts, dim=1)

    def _require(self, healthy: bool) -> None:
        if not healthy:
            name = str(self.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"the model computes NaN or infinite values in {name}", hint='try `dtype="float32"`'
            )
