"""What the `config.json` of a SET model says: sizes of the network and how it is meant to be used.

Numbers only; imports no torch. Unknown and missing keys are refused, and every number has bounds, so that a
damaged or hostile file ends in one clear message.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, cast, get_args, get_type_hints

from dacse_cli.config import EXPANSIONS, MAX_BEAM
from dacse_cli.errors import CheckpointError
from dacse_cli.interfaces import Codes, Latents

MODEL_TYPE = "dacse-set"
POOLINGS = ("sum", "attention")
PREDICTORS = ("conformer", "lstm")


def _number(low: float, high: float, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _choice(names: tuple[str, ...], default: Any = MISSING) -> Any:
    return field(default=default, metadata={"names": names})


@dataclass(frozen=True)
class ConformerShape:
    """A stack of conformer layers."""

    layers: int = _number(1, 64)
    width: int = _number(2, 8192)
    heads: int = _number(1, 128)
    feed_forward: int = _number(1, 1 << 16)
    kernel: int = _number(1, 255)
    """Frames that a depthwise convolution spans; odd."""
    causal: bool = False

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = []
        if self.width % self.heads:
            found.append(f"width {self.width} is not a multiple of {self.heads} heads")
        if self.width % 2:
            found.append(f"width {self.width} is odd; sinusoidal positions come in pairs")
        if self.kernel % 2 == 0:
            found.append(f"kernel {self.kernel} is even")
        return found


@dataclass(frozen=True)
class PredictorShape:
    """The network over the clean units written so far: a causal conformer, or an LSTM.

    An LSTM has layers and width only; `heads`, `feed_forward` and `kernel` belong to the conformer.
    """

    kind: str = _choice(PREDICTORS)
    layers: int = _number(1, 64)
    width: int = _number(2, 8192)
    heads: int | None = _number(1, 128, None)
    feed_forward: int | None = _number(1, 1 << 16, None)
    kernel: int | None = _number(1, 255, None)

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        own = (self.heads, self.feed_forward, self.kernel)
        if self.kind == "lstm":
            return ["an LSTM has no heads, feed_forward or kernel"] if any(v is not None for v in own) else []
        if any(value is None for value in own):
            return ["a conformer needs heads, feed_forward and kernel"]
        return self.conformer.problems()

    @property
    def conformer(self) -> ConformerShape:
        """The shape of the causal conformer."""
        assert self.heads is not None and self.feed_forward is not None and self.kernel is not None
        return ConformerShape(
            self.layers, self.width, self.heads, self.feed_forward, self.kernel, causal=True
        )


@dataclass(frozen=True)
class SearchShape:
    """Default search settings of the network."""

    beam: int = _number(1, MAX_BEAM, 1)
    expansion: str = _choice(EXPANSIONS, "best")


@dataclass(frozen=True)
class SetShape:
    """A whole network. Give `codebooks` and `codebook_size` for codes, or `latents` for continuous units."""

    encoder: ConformerShape
    predictor: PredictorShape | None = None
    """None: every frame is predicted from the noisy side alone (the non-autoregressive baseline)."""
    codebooks: int | None = _number(1, 64, None)
    codebook_size: int | None = _number(2, 1 << 15, None)
    embedding_width: int | None = _number(1, 8192, None)
    """Width of a code's vector, in encoder and predictor; None for latents."""
    pooling: str = _choice(POOLINGS, "sum")
    """How the vectors of a frame's codes are combined into one."""
    latents: int | None = _number(1, 1 << 14, None)
    """Width of continuous units."""
    joint_width: int | None = _number(1, 1 << 14, None)
    """Joint width in which encoder and predictor are summed. Without a predictor it may be None: the head
    then reads the encoder."""
    head_width: int | None = _number(1, 1 << 10, None)
    """Numbers per codebook that the head writes; a code's logit is their dot product with the code's own
    vector, so similar-sounding codes are learnt together. None: one linear layer, as published."""
    dropout: float = _number(0.0, 0.9, 0.1)
    """Dropout rate in training."""
    max_frames: int = _number(1, 1 << 20, 1500)
    """Longest input, context included."""
    context_before: int = _number(0, 1 << 16, 50)
    """Frames before a chunk that should be given along with it."""
    context_after: int = _number(0, 1 << 16, 50)
    """Frames after a chunk that should be given along with it."""
    search: SearchShape = field(default_factory=SearchShape)

    def problems(self) -> list[str]:
        """Descriptions of all invalid values."""
        found = []
        of_codes = (self.codebooks, self.codebook_size, self.embedding_width)
        if self.latents is None and None in of_codes:
            found.append("codebooks, codebook_size and embedding_width are needed, or latents")
        if self.latents is not None and any(value is not None for value in of_codes):
            found.append("latents excludes codebooks, codebook_size and embedding_width")
        if self.head_width is not None and self.latents is not None:
            found.append("head_width is for codes")
        if self.predictor is not None and self.latents is not None:
            found.append("a predictor needs codes, not latents")
        if self.predictor is not None and self.joint_width is None:
            found.append("a predictor needs joint_width")
        if self.context_before + self.context_after >= self.max_frames:
            found.append(f"the context leaves nothing of max_frames {self.max_frames}")
        if self.search.beam > 1 and self.predictor is None:
            found.append("a beam needs a predictor")
        return found

    @property
    def units(self) -> Codes | Latents:
        """What the network reads and writes."""
        if self.latents is not None:
            return Latents(self.latents)
        assert self.codebooks is not None and self.codebook_size is not None
        return Codes(self.codebooks, self.codebook_size)

    @property
    def codes(self) -> Codes:
        """The units of a network over codes. Raises `ValueError` for one over latents."""
        units = self.units
        if not isinstance(units, Codes):
            raise ValueError("this network is over latents")
        return units

    def frame_bytes(self, beam: int, itemsize: int) -> int:
        """Bytes of working memory per frame of a row, in numbers of `itemsize` bytes."""
        encoder, predictor = self.encoder, self.predictor
        # the encoder's widest activations: a feed-forward, or queries, keys, values and a few more
        each = max(encoder.feed_forward, 6 * encoder.width) + (self.joint_width or encoder.width)
        cached = 0
        if predictor is not None and predictor.kind == "conformer":
            cached = 2 * predictor.layers * predictor.width * beam + 4 * beam * beam // itemsize
        return itemsize * (each + cached) + 16 * (self.codebooks or 0) * beam

    def as_config(self) -> dict[str, Any]:
        """The dictionary that `parse_shape` reads; keys that have no effect are left out."""
        return {"model_type": MODEL_TYPE} | _without_none(asdict(self))


def parse_shape(config: Mapping[str, Any]) -> SetShape:
    """The shape in a parsed `config.json`. Raises `CheckpointError`."""
    kind = config.get("model_type")
    if kind != MODEL_TYPE:
        raise CheckpointError(f"config.json: model_type is {kind!r}, not {MODEL_TYPE!r}")
    return _build(SetShape, {key: value for key, value in config.items() if key != "model_type"}, "")


Shape = TypeVar("Shape")


def _build(kind: type[Shape], table: Any, place: str) -> Shape:
    """A dataclass from a JSON object. Raises `CheckpointError`."""
    if not isinstance(table, Mapping):
        raise CheckpointError(f"config.json: {place} must be an object, not {table!r}"[:200])
    known = {item.name: item for item in fields(cast(Any, kind))}
    prefix = f"{place}." if place else ""
    unknown = sorted(str(key) for key in table if key not in known)
    if unknown:
        raise CheckpointError(f"config.json: unknown {', '.join(prefix + key for key in unknown)}"[:200])
    missing = [n for n, f in known.items() if _needed(f) and n not in table]
    if missing:
        raise CheckpointError(f"config.json lacks {', '.join(prefix + name for name in missing)}")
    hints = get_type_hints(kind)
    values = {key: _value(hints[key], table[key], prefix + key, known[key].metadata) for key in table}
    shape = kind(**values)
    problems = cast(Any, shape).problems() if hasattr(shape, "problems") else []
    if problems:
        raise CheckpointError(f"config.json: {place + ': ' if place else ''}{'; '.join(problems)}")
    return shape


def _needed(item: Any) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _value(hint: Any, value: Any, place: str, limits: Mapping[str, Any]) -> Any:
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    kind = kinds[0]
    if is_dataclass(kind):
        return _build(cast(Any, kind), value, place)
    if kind is bool:
        if not isinstance(value, bool):
            raise CheckpointError(f"config.json: {place} must be true or false, not {value!r}"[:200])
        return value
    if kind is str:
        if value not in limits["names"]:
            raise CheckpointError(
                f"config.json: {place} is {value!r}, not {' or '.join(limits['names'])}"[:200]
            )
        return value
    return _bounded(kind, value, place, limits["low"], limits["high"])


def _bounded(kind: type, value: Any, place: str, low: float, high: float) -> float:
    whole = "whole number" if kind is int else "number"
    right = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not right or not math.isfinite(value) or not low <= value <= high:
        raise CheckpointError(
            f"config.json: {place} must be a {whole} from {low} to {high}, not {value!r}"[:200]
        )
    return float(value) if kind is float else cast(int, value)


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }
