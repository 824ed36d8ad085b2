"""The models that a request names: found on this disk, and what a worker must know to load them.

Imports no torch. What a folder holds is decided by `registry`; how a model is best used, by its card.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dacse_cli import registry
from dacse_cli.config import DEFAULT_CODEC, DEFAULT_MODEL, ChunkOptions, ModelOptions
from dacse_cli.errors import CheckpointError, CodecError, ModelError, UsageError
from dacse_cli.files.digest import file_sha256
from dacse_cli.hub import ModelCard, Resolved, read_card, resolve, resolve_codec
from dacse_cli.hub.names import is_inside, is_known, parse_hub_name
from dacse_cli.pipeline.request.plan import Plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.pipeline.wire.model_plan import ModelPlan, Part
from dacse_cli.tokens.header import codec_of

Download = Callable[[str, int, int], None]
"""Progress of a download: file, bytes done, bytes in total."""
VOICE_GAINS = Part("voice-gains", name="voice-gains")
"""The filter for `--method filter` of models that contain no filter."""


@dataclass(frozen=True)
class FoundModels:
    """The models of a request. Parts that it does not need are None."""

    request: Request
    model: Resolved | None
    """The folder of the model; None for one that needs no files, and where only the codec is needed."""
    codec: Resolved | None
    translator: Part | None
    alone: Part | None
    """A filter that works without a translator."""
    guided: Part | None
    """A filter that is guided by the translator's voice."""
    codec_part: Part | None
    default_method: str
    """What `--method auto` means for this model."""
    chunk: ChunkOptions
    filter_sha256: str = ""
    """Hash of the filter in the model's folder, if there is one."""

    @property
    def method(self) -> str:
        """How the result is made."""
        asked = self.request.sound.method
        return self.default_method if asked == "auto" else asked

    @property
    def makes_latents(self) -> bool:
        """Whether the codec makes latents instead of codes."""
        return self.codec_part is not None and self.codec_part.latents

    @property
    def latents(self) -> str | None:
        """Type of the latents that token files will hold; None where they hold codes, or none are made."""
        if self.request.form is not Form.TOKENIZE or not self.makes_latents:
            return None
        return self.request.latents or "float32"

    @property
    def plan(self) -> ModelPlan:
        """What a worker must load. Raises `UsageError` for a method that the model does not have."""
        return self.plan_for(self.method)

    def plan_for(self, method: str) -> ModelPlan:
        """What a worker must load for a method. Raises `UsageError` where the model does not have it."""
        parts: tuple[Part | None, Part | None, Part | None]
        if self.request.form is not Form.ENHANCE:
            parts = self.codec_part, None, None
        elif method == "mask":
            parts = None, None, self.alone
        else:
            parts = self.codec_part, self.translator, self.guided if method == "filter" else None
        if self.request.form is Form.ENHANCE and parts[1:] == (None, None):
            raise UsageError(
                f"{self.request.models.model} has no method {method}, only {', '.join(self._methods)}"
            )
        models = self.request.models
        return ModelPlan(
            *parts,
            device=models.device,
            dtype=models.dtype,
            batch_size=models.batch_size,
            chunk=self.chunk,
            deterministic=models.deterministic,
            kv=models.kv,
            beam=models.beam,
            expansion=models.expansion,
            second_opinion=models.second_opinion,
        )

    @property
    def _methods(self) -> list[str]:
        generating = ["generate", "filter"] if self.translator else []
        return [*generating, *(["mask"] if self.alone else [])]


def find_models(request: Request, progress: Download | None = None) -> FoundModels:
    """Resolve names to folders, downloading what is missing. Raises `ModelError`s, `UsageError`."""
    options = request.models
    if options.second_opinion:
        from dacse_cli.speech import recogniser  # with numpy

        if missing := recogniser.lacks(options.second_opinion):
            raise ModelError(f"the second opinion {options.second_opinion}: {missing}")
    if request.form is Form.ENHANCE:
        return _for_enhancing(request, progress)
    model = None
    if options.codec is None and options.model == DEFAULT_MODEL:  # its codec is known already
        options = replace(options, codec=DEFAULT_CODEC)
    if options.codec is None:
        if registry.named(options.model):
            raise _no_codec(options.model)
        model = resolve(options.model, kind="model", offline=options.offline, progress=progress)
    codec = _find_codec(options, model, progress)
    wanted = request.latents is not None or (model is not None and _translates_latents(model.folder))
    part = _codec_part(codec, latents=wanted, quantised=request.quantised)
    chunk = request.chunk.resolved(None)
    return FoundModels(request, None, codec, None, None, None, part, "generate", chunk)


def with_codec_of_files(request: Request, todo: Plan) -> Request:
    """`request` with the codec that its first token file names, where it names no codec and no model itself.

    A name in a file is never fetched from the Hub unless it is one of the published codecs.
    """
    options = request.models
    named = options.codec is not None or options.model != DEFAULT_MODEL
    if request.form is not Form.DETOKENIZE or named or todo.own is not None:
        return request
    first = next((job for wave in todo.waves for job in wave), None)
    codec = None if first is None else codec_of(first.source)
    if codec is None or not (is_known(codec) or _is_cached(codec)):
        return request
    return replace(request, models=replace(options, codec=codec))


def _is_cached(codec: str) -> bool:
    """Whether a codec of this Hub id is in the cache."""
    if parse_hub_name(codec) is None or Path(codec).exists():
        return False
    try:
        resolve(codec, kind="codec", offline=True)
    except ModelError:
        return False
    return True


def _check_search(options: ModelOptions, searched: bool) -> None:
    """Raises `UsageError` for a search that the model does not have."""
    if not searched and (options.beam is not None or options.expansion is not None):
        raise UsageError(
            f"{options.model} is not searched with a beam",
            hint="`beam` and `expansion` are for SET with a predictor.",
        )


def _for_enhancing(request: Request, progress: Download | None) -> FoundModels:
    options = request.models
    if kind := registry.named(options.model):
        _check_search(options, False)
        alone = Part(kind.name, name=kind.name)
        return FoundModels(request, None, None, None, alone, None, None, "mask", request.chunk.resolved(None))
    model = resolve(options.model, kind="model", offline=options.offline, progress=progress)
    kind, config = registry.kind_of(model.folder)
    _check_search(options, kind.searched(config))
    card = read_card(model.folder)
    chunk = request.chunk.resolved(card.chunk_seconds, bool(card.fixed_chunk))
    if kind.role == "codec":
        raise CheckpointError(
            f"{options.model} is a codec ({kind.name}), which does not enhance by itself",
            hint="Name it as the codec, and a model beside it.",
        )
    part = Part(kind.name, str(model.folder), model.name)
    if kind.role == "filter":
        if kind.guided(config):
            raise CheckpointError(
                f"{options.model} is a filter that is guided by a voice, and no model beside it makes one",
                hint="Put it into a folder of that model, and name the folder in dacse.json as its filter.",
            )
        return FoundModels(request, model, None, None, part, None, None, "mask", chunk)
    own, guided, sha256 = _filters(model, card, options)
    default = card.method or "generate"
    found = FoundModels(request, model, None, part, own, guided, None, default, chunk, sha256)
    if found.method == "mask":
        return found
    codec = _find_codec(options, model, progress)
    codec_part = _codec_part(codec, latents=kind.latents(config))
    return replace(found, codec=codec, codec_part=codec_part)


def _filters(model: Resolved, card: ModelCard, options: ModelOptions) -> tuple[Part | None, Part, str]:
    """The filter that works alone, the guided one, and the hash of the one in the model's folder."""
    if card.filter is None:
        return None, VOICE_GAINS, ""
    folder = model.folder / card.filter
    if not is_inside(card.filter) or not folder.is_dir():
        raise CheckpointError(
            f"the card of {options.model} names the filter {card.filter!r}: no folder in it"
        )
    kind, config = registry.kind_of(folder, "filter")
    sha256 = resolve(str(folder), kind="model", offline=True).sha256
    part = Part(kind.name, str(folder), f"{model.name}/{card.filter}")
    return (None, part, sha256) if kind.guided(config) else (part, VOICE_GAINS, sha256)


def _find_codec(options: ModelOptions, model: Resolved | None, progress: Download | None) -> Resolved:
    """The codec that is named, else the one that the model names."""
    if options.codec is None:
        assert model is not None
        if registry.kind_of(model.folder)[0].role == "filter":
            raise _no_codec(options.model)
        return resolve_codec(model, offline=options.offline, progress=progress)
    path = Path(options.codec)
    if registry.is_weights_file(path):
        try:
            return Resolved(path, path.name, None, file_sha256(path), kind="codec")
        except OSError as error:
            raise CodecError(f"{path} cannot be read: {error.strerror}") from None
    return resolve(options.codec, kind="codec", offline=options.offline, progress=progress)


def _codec_part(codec: Resolved, *, latents: bool, quantised: bool = False) -> Part:
    kind, config = registry.kind_of(codec.folder, "codec")
    continuous = kind.latents(config)
    if quantised and continuous:
        raise UsageError(f"{codec.folder} has no codebooks, so no latents after quantisation")
    return Part(kind.name, str(codec.folder), codec_name(codec), latents or continuous, quantised)


def codec_name(codec: Resolved) -> str:
    """What token files call a codec: a name that others can resolve, else a hash."""
    if codec.built_in:
        return codec.name.split("/")[0]
    if codec.revision is not None:
        return codec.name
    return f"sha256:{codec.sha256[:16]}"


def _translates_latents(folder: Path) -> bool:
    kind, config = registry.kind_of(folder)
    return kind.role == "translator" and kind.latents(config)


def _no_codec(model: str) -> UsageError:
    return UsageError(f"the model {model} has no codec", hint="Name one with `codec`.")
