"""The networks a request names: found on this disk, and what a worker must know to load them.

Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.config import ModelOptions
from dacse_cli.errors import CodecError, ModelError
from dacse_cli.hub import ModelCard, Resolved, read_card, resolve, resolve_codec
from dacse_cli.pipeline.request.plan import ChainFiles, is_descript_weights
from dacse_cli.pipeline.request.request import Request
from dacse_cli.speech import recogniser

Download = Callable[[str, int, int], None]
"""Progress of a download: file, bytes done, bytes in total."""


@dataclass(frozen=True)
class Networks:
    """The models of a run, found on this disk. `model` is None where only the codec is needed."""

    model: Resolved | None
    codec: Resolved

    @property
    def codec_name(self) -> str:
        """What token files call this codec: a name others can resolve, else a hash."""
        if self.codec.built_in:
            return self.codec.name.split("/")[0]
        if self.codec.revision is not None:
            return self.codec.name
        return f"sha256:{self.codec.sha256[:16]}"


def find_networks(options: ModelOptions, *, with_model: bool, progress: Download | None = None) -> Networks:
    """Resolve names to folders, downloading what is missing. Raises `ModelError`s."""
    if options.second_opinion and (missing := recogniser.lacks(options.second_opinion)):
        raise ModelError(f"--second-opinion {options.second_opinion}: {missing}")
    model = None
    if with_model or options.codec is None:
        model = resolve(options.model, kind="model", offline=options.offline, progress=progress)
    if options.codec is not None and is_descript_weights(options.codec):
        codec = _weights_file(Path(options.codec))
    elif options.codec is not None:
        codec = resolve(options.codec, kind="codec", offline=options.offline, progress=progress)
    else:
        assert model is not None
        codec = resolve_codec(model, offline=options.offline, progress=progress)
    return Networks(model if with_model else None, codec)


def _weights_file(path: Path) -> Resolved:
    """A file of Descript's own weights, for its own package."""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise CodecError(f"{path} cannot be read: {error.strerror}") from None
    return Resolved(path, path.name, None, digest.hexdigest(), kind="codec")


def chain_files(request: Request, networks: Networks) -> ChainFiles:
    """What a worker must know to load `networks` for `request`."""
    model = networks.model
    card = read_card(model.folder) if model else ModelCard()
    chunk = request.chunk.resolved(card.chunk_seconds, bool(card.fixed_chunk))
    return ChainFiles(
        codec_folder=str(networks.codec.folder),
        codec_name=networks.codec_name,
        model_folder=str(model.folder) if model else None,
        device=request.models.device,
        dtype=request.models.dtype,
        batch_size=request.models.batch_size,
        chunk=chunk.to_json(),
        deterministic=request.models.deterministic,
        kv=request.models.kv,
        method=card.method or "generate",
        second_opinion=request.models.second_opinion,
    )


def settings_of(request: Request, networks: Networks, files: ChainFiles) -> str:
    """Hash over all that changes the sound of an output; devices and batch sizes do not."""
    model = networks.model.sha256 if networks.model else None
    parts = (
        request.form,
        model,
        networks.codec.sha256,
        files.chunk,
        request.sound.to_json(),
        request.codes_format,
    )
    # named only where given, so that files enhanced before these options existed are still known
    special: dict[str, object] = {"deterministic": files.deterministic, "kv": files.kv != "auto" and files.kv}
    special["second_opinion"] = files.second_opinion
    special["method"] = request.sound.method == "auto" and files.method != "generate" and files.method
    return settings_hash(*parts, *({name: value} for name, value in special.items() if value))


def shown_settings(request: Request, networks: Networks, files: ChainFiles) -> dict[str, object]:
    """What made the outputs, in the words of the command line; devices and batch sizes as asked for."""
    model, codec = networks.model, networks.codec
    return {
        "model": model and model.name,
        "model_revision": model and model.revision,
        "model_sha256": model and model.sha256,
        "codec": codec.name,
        "codec_revision": codec.revision,
        "codec_sha256": codec.sha256,
        **{name: getattr(files, name) for name in ("device", "dtype", "batch_size")},
        **{f"chunk_{name}" if name == "seconds" else name: value for name, value in files.chunk.items()},
        **request.sound.to_json(),
        "second_opinion": files.second_opinion,
        "method": files.method if request.sound.method == "auto" else request.sound.method,
    }


def settings_hash(*parts: object) -> str:
    """A short stable hash of JSON-able values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
