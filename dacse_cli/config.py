"""The options of a run as frozen dataclasses, checked in one place.

Plain values only, no `Path` or torch objects: every object survives a round trip through JSON, because a run
uses several processes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_args

from dacse_cli.errors import DeviceError, UsageError, did_you_mean
from dacse_cli.numeric import is_number, is_whole, plain, plain_whole

DEFAULT_MODEL = "disco-eth/DAC-SE1"
AUTO_MODEL = "auto"
"""The model that suits the machine, chosen by `hub.choice`."""
DEFAULT_CODEC = "descript/dac_44khz"
DEFAULT_CHUNK_SECONDS = 4.0
MIN_RATE, MAX_RATE = 1000, 768_000
"""Samples per second of recordings and outputs."""
OPUS_RATES = (8000, 12_000, 16_000, 24_000, 48_000)
KV_FORMATS = ("auto", "int8", "fp8")

T = TypeVar("T", bound="Options")


class Options:
    """Base of the option classes: values for JSON, and a check that raises `UsageError`.

    Numbers of other types, such as numpy's, become Python's.
    """

    WHOLE: ClassVar[tuple[str, ...]] = ()
    """Fields that hold whole numbers: 48000.0 is taken as 48000."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, plain_whole(value) if name in self.WHOLE else plain(value))

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON-able values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def problems(self) -> list[str]:
        """What is wrong with these values, one sentence each."""
        return []

    def check(self: T) -> T:
        """Return self, or raise `UsageError` with every problem named."""
        found = self.problems()
        if found:
            raise UsageError("; ".join(found))
        return self


_DEVICE = re.compile(r"auto|all|cpu|mps|cuda(:\d{1,3})?")


def check_devices(text: str) -> None:
    """Raise `DeviceError` unless `text` names devices, separated by commas; they need not be present."""
    for name in map(str.strip, text.split(",")):
        if not _DEVICE.fullmatch(name):
            known = ("auto", "all", "cpu", "cuda", "mps")
            hint = did_you_mean(name, known, "Use auto, cpu, cuda, cuda:1 or mps.")
            raise DeviceError(f"{name!r:.80} is not a device", hint=hint)


MAX_BEAM = 64
"""Highest number of hypotheses of a beam search."""
EXPANSIONS = ("ranked", "best")
"""`ranked` pairs the n-th best codes of all codebooks; `best` takes the likeliest frames."""


@dataclass(frozen=True)
class ModelOptions(Options):
    """Which networks run, where, and how precisely."""

    model: str = DEFAULT_MODEL
    """A Hub id, `id@revision`, a local folder, or `nano`."""
    codec: str | None = None
    """A Hub id or local folder; None: the one named by the model's card, else `DEFAULT_CODEC`."""
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    """Chunks generated at once; None: as many as fit into free memory."""
    offline: bool = False
    deterministic: bool = False
    """Whether the bytes of an output are independent of the other inputs of the run."""
    kv: str = "auto"
    """Number type of the language model's cache: `auto` (the type it computes in), `int8` or `fp8`."""
    beam: int | None = None
    """Hypotheses of SET's beam search; None: as in the model's config.json."""
    expansion: str | None = None
    """How SET's beam search proposes codes: one of `EXPANSIONS`; None: as in the model's config.json."""
    second_opinion: str | None = None
    """Whisper model that transcribes input and output, to compare words: a CTranslate2 folder, or a size."""
    WHOLE: ClassVar[tuple[str, ...]] = ("batch_size", "beam")

    def problems(self) -> list[str]:
        found = []
        if self.dtype not in ("auto", "bfloat16", "float16", "float32"):
            found.append(f"`dtype` {self.dtype} is not one of auto, bfloat16, float16, float32")
        if self.kv not in KV_FORMATS:
            found.append(f"`kv` {self.kv} is not one of {', '.join(KV_FORMATS)}")
        if self.beam is not None and not is_whole(self.beam, 1, MAX_BEAM):
            found.append(f"`beam` must be a whole number from 1 to {MAX_BEAM}, not {self.beam!r:.40}")
        if self.expansion is not None and self.expansion not in EXPANSIONS:
            found.append(f"`expansion` {self.expansion} is not one of {', '.join(EXPANSIONS)}")
        if self.batch_size is not None and not is_whole(self.batch_size, 1):
            found.append(f"`batch_size` must be a whole number of at least 1, not {self.batch_size!r:.40}")
        return found


@dataclass(frozen=True)
class ChunkOptions(Options):
    """How a recording is cut for the language model. Seconds; `overlap` is a share of a chunk."""

    seconds: float | None = None
    """None: the length named by the model's card, else `DEFAULT_CHUNK_SECONDS`."""
    overlap: float = 0.05
    min_seconds: float | None = None
    """A shorter last chunk is merged into the one before; None is a quarter of a chunk (1 s of 4 s)."""
    fixed: bool = False
    """Whether the model supports no other chunk length; set from its card, never by a user."""

    def problems(self) -> list[str]:
        found = []
        if self.seconds is not None and not (is_number(self.seconds, 0) and self.seconds > 0):
            found.append(f"`chunk` must be a positive number of seconds, not {self.seconds!r:.40}")
        if not (is_number(self.overlap, 0) and self.overlap < 1):
            found.append(f"`overlap` must be at least 0 and below 1, not {self.overlap!r:.40}")
        if self.min_seconds is not None and not is_number(self.min_seconds, 0):
            found.append(f"the shortest last chunk must be 0 s or more, not {self.min_seconds!r:.40}")
        return found

    def resolved(self, model_seconds: float | None, fixed: bool = False) -> ChunkOptions:
        """The same options with every None replaced; `model_seconds` is the length in the model's card.

        Raises `UsageError` if the model supports only that length (`fixed`) and another one is set.
        """
        if fixed and self.seconds not in (None, model_seconds):
            raise UsageError(f"`chunk` {self.seconds:g}: this model takes chunks of {model_seconds:g} s only")
        seconds = self.seconds or model_seconds or DEFAULT_CHUNK_SECONDS
        shortest = seconds / 4 if self.min_seconds is None else self.min_seconds
        return ChunkOptions(seconds, self.overlap, shortest, fixed)


GUARDS = ("strict", "normal", "off")
METHODS = ("generate", "filter", "mask")
MATCH = "match"
"""Value of `loudness` that gives the output the loudness of the input."""
PROFILES = {"gentle": 0.75, "normal": 1.0, "strong": 1.0}
"""Name of a strength -> share of enhanced sound in the output. `strong` also lowers pauses."""


@dataclass(frozen=True)
class Preset:
    """Options of the output for one purpose; options that the user gives have priority."""

    strength: str = "normal"
    loudness: float | None = None
    """LUFS, reached with a limiter."""
    format: str = "keep"

    def describe(self) -> str:
        """Its values in words."""
        level = [f"{self.loudness:g} LUFS"] if self.loudness is not None else []
        return ", ".join([self.strength, *level, *([self.format] if self.format != "keep" else [])])


PRESETS = {
    "podcast": Preset("strong", -16.0),
    "interview": Preset("normal", -19.0),
    "archive": Preset("gentle", None, "flac"),
    "corpus": Preset("normal", None, "flac"),
}


def strength_of(given: str | float) -> tuple[str, float]:
    """(profile, mix) for a strength: a name of `PROFILES`, or a share from 0 to 1.

    Raises `UsageError` for anything else.
    """
    if isinstance(given, str) and given in PROFILES:
        return given, 1.0
    try:
        share = float(given)
    except (TypeError, ValueError):
        share = math.nan
    if not 0 <= share <= 1:  # also true for NaN
        words = f"`strength` {given} is neither {', '.join(PROFILES)} nor a number from 0 to 1"
        raise UsageError(words, hint=did_you_mean(str(given), PROFILES))
    return "normal", share


def amount_of(
    strength: str | float | None,
    mix: float | None,
    profile: str | None,
    *,
    default: str = "normal",
    remark: Callable[[str], None],
) -> tuple[str, float]:
    """(profile, mix) for a `strength`, or for the two arguments that it replaces; else for `default`.

    `mix` and `profile` are deprecated: `remark` is called with a note. Raises `UsageError` for them beside
    `strength`, and for an invalid strength.
    """
    if mix is None and profile is None:
        return strength_of(default if strength is None else strength)
    if strength is not None:
        raise UsageError("`strength` replaces `mix` and `profile`: do not combine them")
    remark("`mix` and `profile` are deprecated and will be removed in the next version: use `strength`")
    of_default, share = strength_of(default)
    return profile or of_default, share if mix is None else mix


FormatName: TypeAlias = Literal["keep", "wav", "flac", "ogg", "opus", "mp3", "m4a"]
FORMATS: tuple[str, ...] = get_args(FormatName)


@dataclass(frozen=True)
class SoundOptions(Options):
    """Options of the output: channels, rate, format, strength, guard, loudness, method."""

    channels: str = "keep"
    rate: int | None = None
    """Output samples per second; None keeps the input's."""
    format: str = "keep"
    mix: float = 1.0
    """Share of enhanced sound: 1 is enhanced sound only, 0 the input."""
    guard: str = "normal"
    """What happens to chunks whose speech differs from the input's: they are generated again; if it still
    differs, `normal` keeps the input there and `strict` fails the file. `off`: no check."""
    profile: str = "normal"
    """A name of `PROFILES`; its share multiplies `mix`."""
    loudness: str | float | None = None
    """`match`, a number of LUFS, or None: the level is not changed."""
    true_peak: float = -1.0
    """Highest true peak, in dBTP, that a change of loudness may cause."""
    method: str = "auto"
    """`generate`: speech generated by the model. `filter`: the recording, filtered with that speech as a
    guide. `mask`: the recording, filtered by a mask network. Filters add no sound. `auto`: as in the card."""

    limiter: bool = False
    """Whether a limiter lowers peaks so that `loudness` is reached; without it, the output may be quieter."""
    WHOLE: ClassVar[tuple[str, ...]] = ("rate",)

    def to_json(self) -> dict[str, Any]:
        """The fields; `limiter` only if it is on, so that outputs of versions without it count as done."""
        fields = super().to_json()
        return fields if self.limiter else {name: v for name, v in fields.items() if name != "limiter"}

    @property
    def share(self) -> float:
        """Share of enhanced sound in the result, 0 to 1; the rest is the input. Set by `--strength`.

        Applied in `pipeline.task.writing.output`.
        """
        return self.mix * PROFILES[self.profile]

    @property
    def changes_level(self) -> bool:
        """Whether the enhanced sound is mixed with the input, lowered in pauses, or brought to a loudness."""
        return self.share < 1 or self.profile == "strong" or self.loudness is not None

    def problems(self) -> list[str]:
        found = []
        if self.channels not in ("keep", "mono"):
            found.append(f"`channels` {self.channels} is not one of keep, mono")
        if self.rate is not None and not is_whole(self.rate, MIN_RATE, MAX_RATE):
            limits = f"from {MIN_RATE} to {MAX_RATE}"
            found.append(f"`rate` must be a whole number {limits}, not {self.rate!r:.40}")
        if self.format not in FORMATS:
            found.append(f"`format` {self.format} is not one of {', '.join(FORMATS)}")
        if self.guard not in GUARDS:
            found.append(f"`guard` {self.guard} is not one of {', '.join(GUARDS)}")
        if not is_number(self.mix, 0, 1):
            found.append(f"`mix` must lie between 0 and 1, not {self.mix!r:.40}")
        if self.method not in ("auto", *METHODS):
            found.append(f"`method` {self.method} is not one of auto, {', '.join(METHODS)}")
        if self.profile not in tuple(PROFILES):
            found.append(f"`profile` {self.profile} is not one of {', '.join(PROFILES)}")
        level = self.loudness
        named = level is None or (isinstance(level, str) and level == MATCH)
        if not named and not is_number(level, -60, 0):
            found.append(f"`loudness` must be match or lie between -60 and 0 LUFS, not {level!r:.40}")
        if not is_number(self.true_peak, -20, 0):
            found.append(f"`true_peak` must lie between -20 and 0 dB, not {self.true_peak!r:.40}")
        return found
