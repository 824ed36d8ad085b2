"""Trained networks -> the folder that `enhance --model` takes, in the released formats.

    config.json  generation_config.json  model.safetensors  dacse.json      the language model and its card
    codec/config.json  codec/model.safetensors  codec/preprocessor_config.json

Plain `from_pretrained` of `transformers` loads both. The language model is stored as bfloat16. The codec's
convolutions are stored as float16 under a config that says float32, so they are computed in float32 and
take half the room; its quantizer stays float32, for a Euclidean look-up needs its last bits. Whoever trains
a language model must encode with the stored codec, not with the one in memory: use what `write_codec`
returns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import DacConfig, DacModel, GenerationConfig, LlamaForCausalLM, PretrainedConfig

from dacse_cli.tokens.layout import BOS, EOS, PAD
from dacse_cli.training.quantizer import ResidualQuantizer

WEIGHTS = "model.safetensors"


def write_codec(folder: Path, config: DacConfig, trained: DacModel, quantizer: ResidualQuantizer) -> DacModel:
    """Write a codec folder; `trained` may be thinned. Returns the codec as it is stored."""
    codec = DacModel(config).eval()
    with torch.no_grad():
        for name, parameter in codec.named_parameters():
            if "res_unit" in name and "snake" not in name:
                parameter.zero_()  # of units that were taken out for training: the identity
    unused = codec.load_state_dict(
        {name: value for name, value in trained.state_dict().items() if not name.startswith("quantizer.")},
        strict=False,
    )
    if unused.unexpected_keys:
        raise ValueError(f"the config has no place for {unused.unexpected_keys[:3]}")
    quantizer.write_into(codec)
    codec.save_pretrained(folder)
    _store_as_half(folder / WEIGHTS)
    write_extractor(folder, config)
    return read_codec(folder)


def read_codec(folder: Path) -> DacModel:
    """The codec of `folder` in float32, ready to encode."""
    codec: DacModel = DacModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    return codec.eval().requires_grad_(False)


def write_language_model(
    folder: Path, model: LlamaForCausalLM, card: dict[str, object], dtype: torch.dtype = torch.bfloat16
) -> None:
    """Write `model` as `dtype`, and `card` as `dacse.json` (codec, chunk_seconds, training, licence)."""
    tensors = dict(model.state_dict())
    if model.config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    write_network(folder, model.config, tensors, dtype, type(model).__name__)
    GenerationConfig(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD).save_pretrained(folder)
    _write_json(folder / "dacse.json", card)


def write_network(
    folder: Path, config: PretrainedConfig, tensors: Mapping[str, Tensor], dtype: torch.dtype, name: str
) -> None:
    """`config.json` and `model.safetensors` as `dtype`, as `save_pretrained` of the class `name` does."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = {key: tensor.detach().to("cpu", dtype).contiguous() for key, tensor in tensors.items()}
    save_file(stored, folder / WEIGHTS, metadata={"format": "pt"})
    config = deepcopy(config)
    config.dtype, config.architectures = dtype, [name]
    config.save_pretrained(folder)
    (folder / WEIGHTS).chmod((folder / "config.json").stat().st_mode)  # safetensors' own is the owner's only


def write_extractor(folder: Path, config: DacConfig) -> None:
    """`preprocessor_config.json` of a codec."""
    extractor = {
        "feature_extractor_type": "DacFeatureExtractor",
        "feature_size": 1,
        "hop_length": config.hop_length,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": True,
        "sampling_rate": config.sampling_rate,
    }
    _write_json(folder / "preprocessor_config.json", extractor)


def _store_as_half(path: Path) -> None:
    tensors = {
        name: tensor if name.startswith("quantizer.") else tensor.to(torch.float16)
        for name, tensor in load_file(path).items()
    }
    save_file(tensors, path, metadata={"format": "pt"})


def _write_json(path: Path, values: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
