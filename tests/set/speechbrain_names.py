"""Weights of the published recipes under SpeechBrain's names -> the names of `SetNetwork`.

Two layouts: DASB's non-autoregressive model (a list of embedding, pooling, encoder, head) and the transducer
of the `st` branch (`0` the encoder, `1` the decoder). Inside, both hold SpeechBrain's `TransformerASR`:

    custom_src_module.layers.0.w    input            ffn_module1.0           first.norm
    encoder.layers.N                layers.N         ffn_module1.1.ffn.0     first.up
    encoder.norm.norm               norm             ffn_module1.1.ffn.3     first.down
    norm1.norm                      attention.norm   mha_layer.att.in_proj_  attention.qkv.
    norm2.norm                      norm             mha_layer.att.out_proj  attention.out
    convolution_module.layer_norm   convolution.norm         ...bottleneck.0 convolution.gate
    convolution_module.conv         convolution.depthwise    ...after_conv.0 convolution.depth_norm
                                                             ...after_conv.2 convolution.out

`positional_encoding.pe` is a constant and left out; `bottleneck.0.weight` `[2 W, W, 1]` loses its last axis.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from dacse_cli.set.network import SetNetwork
from dacse_cli.set.shape import parse_shape

INNER = {
    "custom_src_module.layers.0.w.": "input.",
    "encoder.layers.": "layers.",
    "encoder.norm.norm.": "norm.",
    "ffn_module1.0.": "first.norm.",
    "ffn_module1.1.ffn.0.": "first.up.",
    "ffn_module1.1.ffn.3.": "first.down.",
    "ffn_module2.0.": "second.norm.",
    "ffn_module2.1.ffn.0.": "second.up.",
    "ffn_module2.1.ffn.3.": "second.down.",
    "norm1.norm.": "attention.norm.",
    "norm2.norm.": "norm.",
    "mha_layer.att.in_proj_": "attention.qkv.",
    "mha_layer.att.out_proj.": "attention.out.",
    "convolution_module.layer_norm.": "convolution.norm.",
    "convolution_module.bottleneck.0.": "convolution.gate.",
    "convolution_module.conv.": "convolution.depthwise.",
    "convolution_module.after_conv.0.": "convolution.depth_norm.",
    "convolution_module.after_conv.2.": "convolution.out.",
}
BASELINE = {
    "0.embedding.": "encoder.embedding.table.",
    "1.layers.0.": "encoder.embedding.hidden.",
    "1.layers.2.": "encoder.embedding.score.",
    "2.": "encoder.conformer.",
    "3.": "head.",
}
TRANSDUCER = {
    "0.embedding.": "encoder.embedding.table.",
    "0.encoder.": "encoder.conformer.",
    "0.encoder_proj.": "encoder.output.",
    "1.embedding.": "predictor.embedding.table.",
    "1.decoder.": "predictor.conformer.",
    "1.decoder_proj.": "predictor.output.",
    "1.head.": "head.",
}


def renamed(weights: dict[str, torch.Tensor], layout: dict[str, str]) -> dict[str, torch.Tensor]:
    """Weights under SpeechBrain's names -> those of a `SetNetwork`."""
    found = {}
    for name, tensor in weights.items():
        if name.endswith("positional_encoding.pe"):
            continue
        outer = max((key for key in layout if name.startswith(key)), key=len)
        rest = name.removeprefix(outer)
        for theirs, ours in INNER.items():
            rest = rest.replace(theirs, ours)
        found[layout[outer] + rest] = tensor.squeeze(-1) if "bottleneck" in name else tensor
    return found


def load_published(folder: Path, config: dict[str, object], layout: dict[str, str]) -> SetNetwork:
    """The network in `folder`, ready to compute."""
    network = SetNetwork(parse_shape({"model_type": "dacse-set"} | config))
    network.load_state_dict(renamed(load_file(folder / "model.safetensors"), layout))
    return network.eval()
