"""Speech encoders: samples at 16 kHz -> features, 50 per second; and how their own folders are read.

HuBERT and WavLM are computed by `transformers`, imported only for them; code that a folder may bring is never
run, and only safetensors are read. Whisper's encoder is ours (see `whisper.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import remove_parametrizations

from dacse_cli.codec.units.shape import HOP, EncoderShape, SpeechShape, WhisperShape
from dacse_cli.codec.units.whisper import FILE as WHISPER_FILE
from dacse_cli.codec.units.whisper import WhisperEncoder, read_whisper
from dacse_cli.errors import CheckpointError
from dacse_cli.files.documents import DocumentError, read_config, read_json
from dacse_cli.files.names import quoted
from dacse_cli.weights.outline import outline
from dacse_cli.weights.safetensors_file import find_tensors, read_tensors
from dacse_cli.weights.stored import Shape, check_floats, check_shapes

KINDS = ("hubert", "wavlm")
_SHARED = {"conv_pos_batch_norm": False, "feat_extract_activation": "gelu"}
"""Keys of `transformers`' configs that must have these values where they are given."""
_GAINS = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
_POSITIONS = "encoder.pos_conv_embed.conv"


class SpeechEncoder(nn.Module):
    """HuBERT or WavLM: samples `[B, T * 320]` -> features `[B, T, width]`."""

    def __init__(self, shape: SpeechShape) -> None:
        super().__init__()
        self.normalise, around = shape.normalise, shape.reach - HOP
        self.padding = (around // 2, around - around // 2)
        self.network = _transformers_model(shape)
        remove_parametrizations(self.network.get_submodule(_POSITIONS), "weight")

    def forward(self, samples: Tensor) -> Tensor:
        """Output of the last layer that there is; a row is normalised by itself."""
        if self.normalise:
            variance, mean = torch.var_mean(samples, dim=1, keepdim=True, correction=0)
            samples = (samples - mean) / (variance + 1e-7).sqrt()
        found: Tensor = self.network(nn.functional.pad(samples, self.padding)).last_hidden_state
        return found


def _transformers_model(shape: SpeechShape) -> Any:
    """The model with random weights, without the norm that closes some encoders."""
    from transformers import HubertConfig, HubertModel, WavLMConfig, WavLMModel

    config, model = (HubertConfig, HubertModel) if shape.kind == "hubert" else (WavLMConfig, WavLMModel)
    network = model(config(**shape.transformers_config())).eval()
    if shape.do_stable_layer_norm:
        network.encoder.layer_norm = nn.Identity()
    return network


def new_encoder(shape: EncoderShape) -> nn.Module:
    """The encoder of a shape: samples `[B, T * 320]` -> features `[B, T, width]`."""
    return WhisperEncoder(shape) if isinstance(shape, WhisperShape) else SpeechEncoder(shape)


def read_encoder_folder(folder: Path, layer: int) -> tuple[EncoderShape, dict[str, Tensor]]:
    """Shape and float32 weights of the speech encoder in `folder`, up to `layer` (1 is the first).

    A folder is one of `transformers` (config.json and safetensors of HuBERT or WavLM), or a Whisper in
    CTranslate2 form. Raises `CheckpointError`, and `CodecError` for sizes that cannot be.
    """
    if layer < 1:
        raise CheckpointError(f"layer must be at least 1, not {layer}")
    if (folder / WHISPER_FILE).is_file():
        return read_whisper(folder, layer)
    config = read_config(folder / "config.json", CheckpointError)
    shape = _shape_of(config, folder, layer)
    weights = _stored(folder, shape)
    encoder = SpeechEncoder(shape)
    encoder.network.load_state_dict(weights)
    return shape, dict(encoder.state_dict())


def _shape_of(config: dict[str, Any], folder: Path, layer: int) -> SpeechShape:
    kind, there = config.get("model_type"), config.get("num_hidden_layers", 12)
    if kind not in KINDS:
        raise CheckpointError(
            f"{folder} has model_type {quoted(kind)}, not that of a speech encoder",
            hint=f"dacse knows {', '.join(KINDS)}, and Whisper in CTranslate2 form ({WHISPER_FILE}).",
        )
    for key, value in _SHARED.items():
        if config.get(key, value) != value:
            raise CheckpointError(f"{folder}: {key} must be {value}, not {quoted(config[key])}")
    if not isinstance(there, int) or not 1 <= layer <= there:
        raise CheckpointError(f"{folder} has {quoted(there)} layers, layer {layer} was asked for")
    names = set(SpeechShape.__dataclass_fields__) - {"kind", "layer", "normalise"}
    own = {key: config[key] for key in sorted(names & config.keys())}
    own = {key: tuple(value) if isinstance(value, list) else value for key, value in own.items()}
    return SpeechShape(kind, layer, normalise=_normalises(folder), **own)


def _normalises(folder: Path) -> bool:
    """What the folder's feature extractor says; False where there is none."""
    try:
        extractor = read_json(folder / "preprocessor_config.json")
    except (FileNotFoundError, DocumentError):
        return False
    return isinstance(extractor, dict) and extractor.get("do_normalize") is True


def _stored(folder: Path, shape: SpeechShape) -> dict[str, Tensor]:
    """The encoder's tensors in the folder, in its names without weight norm; the rest is not read."""
    with outline():  # a small folder may describe a huge network: nothing is allocated before its file fits
        network = _transformers_model(shape)
    expected: dict[str, Shape] = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    found = find_tensors(folder, CheckpointError)
    theirs: dict[str, str] = {}
    for name in found:
        own = name.removeprefix(f"{shape.kind}.")
        stem, _, last = own.rpartition(".")
        own = f"{stem}.{_GAINS[last]}" if last in _GAINS else own
        if own in expected:
            theirs[own] = name
    kept = {own: found[name] for own, name in theirs.items()}
    check_floats(kept, CheckpointError)
    check_shapes({own: tensor.shape for own, tensor in kept.items()}, expected, CheckpointError)
    read = read_tensors(found, theirs.values(), CheckpointError)
    weights = {own: read[name].float() for own, name in theirs.items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        raise CheckpointError(f"{folder}: the weights hold NaN or infinite values")
    network.load_state_dict(weights, assign=True)
    remove_parametrizations(network.get_submodule(_POSITIONS), "weight")
    return dict(network.state_dict())
