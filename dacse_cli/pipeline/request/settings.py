"""The dependencies of outputs, as a hash for the journal; those of generated chunks, as a hash for the chunk
cache; and what made them, as text for display.
"""

from __future__ import annotations

import hashlib
import json

from dacse_cli.pipeline.request.find_models import FoundModels
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.coding import to_json
from dacse_cli.pipeline.wire.messages import Form


def generation_hash_of(request: Request, found: FoundModels) -> str:
    """Hash over the models and options that decide what is generated for given noisy units.

    Strength, loudness, rate, format and channels are not among them: where one of these alone has changed,
    the generated chunks of the last run are reused.
    """
    models = request.models
    precision = (models.deterministic, models.kv, models.dtype)
    search = (models.beam, models.expansion)
    translator, codec = (model and model.sha256 for model in (found.model, found.codec))
    return settings_hash(translator, codec, found.chunk.to_json(), precision, search)


def settings_hash_of(request: Request, found: FoundModels) -> str:
    """Hash over all that changes the sound of an output; devices and batch sizes do not."""
    model, codec, models = found.model, found.codec, request.models
    parts = (
        request.form.value,
        model.sha256 if model else None,
        codec.sha256 if codec else None,
        found.chunk.to_json(),
        request.sound.to_json(),
        request.codes_format,
    )
    # included only where given, so that the hashes of older outputs stay valid
    special: dict[str, object] = {
        "deterministic": models.deterministic,
        "kv": models.kv != "auto" and models.kv,
        "dtype": models.dtype != "auto" and models.dtype,
        "beam": models.beam,
        "expansion": models.expansion,
        "second_opinion": models.second_opinion,
        "method": request.sound.method == "auto" and found.method != "generate" and found.method,
        "filter": found.filter_sha256
        or (found.alone is not None and found.model is None and found.alone.kind),
    }
    if request.form is not Form.ENHANCE:
        half = found.latents == "float16"
        special = {
            "latents": found.latents if half else found.makes_latents,
            "quantised": request.quantised,
        }
    return settings_hash(*parts, *({name: value} for name, value in special.items() if value))


def shown_settings(request: Request, found: FoundModels) -> dict[str, object]:
    """What made the outputs, in the words of the command line; devices and batch sizes as asked for."""
    model, codec, models = found.model, found.codec, request.models
    chunk = found.chunk.to_json()
    return {
        "model": model.name if model else found.alone and found.alone.name,
        "model_revision": model and model.revision,
        "model_sha256": model and model.sha256,
        "codec": codec and codec.name,
        "codec_revision": codec and codec.revision,
        "codec_sha256": codec and codec.sha256,
        **{name: getattr(models, name) for name in ("device", "dtype", "batch_size", "beam", "expansion")},
        **{f"chunk_{name}" if name == "seconds" else name: value for name, value in chunk.items()},
        **request.sound.to_json(),
        "second_opinion": models.second_opinion,
        "method": found.method,
    }


def pace_key(request: Request, found: FoundModels) -> str:
    """What speed depends on: command, models, device, precision, batch, chunks."""
    return settings_hash(request.form.value, to_json(found.plan))


def settings_hash(*parts: object) -> str:
    """A short stable hash of JSON-able values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
