"""The published networks' arithmetic, layer for layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from speechbrain_names import BASELINE, TRANSDUCER, load_published

from dacse_cli.set.network import SetNetwork, shifted

GOLDEN = Path(__file__).parents[1] / "golden" / "set"


def baseline(name: str) -> SetNetwork:
    theirs = json.loads((GOLDEN / name / "config.json").read_text())["config"]
    return load_published(
        GOLDEN / name,
        {
            "codebooks": theirs["num_codebooks"],
            "codebook_size": theirs["vocab_size"],
            "embedding_width": theirs["embedding_dim"],
            "pooling": "attention",
            "encoder": {
                "layers": theirs["num_layers"],
                "width": theirs["d_model"],
                "heads": theirs["nhead"],
                "feed_forward": theirs["d_ffn"],
                "kernel": theirs["kernel_size"],
                "causal": theirs["causal"],
            },
        },
        BASELINE,
    )


def transducer() -> SetNetwork:
    theirs = json.loads((GOLDEN / "transducer" / "config.json").read_text())["config"]
    sizes = {
        "width": theirs["d_model"],
        "heads": theirs["nhead"],
        "feed_forward": theirs["d_ffn"],
        "kernel": theirs["kernel_size"],
    }
    return load_published(
        GOLDEN / "transducer",
        {
            "codebooks": theirs["num_codebooks"],
            "codebook_size": theirs["vocab_size"],
            "embedding_width": theirs["embedding_dim"],
            "joint_width": theirs["joint_dim"],
            "encoder": {"layers": theirs["encoder_layers"], **sizes},
            "predictor": {"kind": "conformer", "layers": theirs["predictor_layers"], **sizes},
        },
        TRANSDUCER,
    )


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.inference_mode():
        yield


def close(got: torch.Tensor, want: torch.Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(got, want, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", ["encoder", "causal"])
def test_every_stage_of_the_encoder(name: str) -> None:
    """Fails when a norm, a residual, the order inside a layer or a position drifts."""
    network, golden = baseline(name), load_file(GOLDEN / f"{name}.safetensors")
    codes = golden["codes"].long()
    found: dict[str, torch.Tensor] = {}

    def keep(key: str) -> Any:
        return lambda module, inputs, output: found.__setitem__(key, output[:1])

    conformer = network.encoder.conformer
    conformer.input.register_forward_hook(keep("projected"))
    for number, layer in enumerate(conformer.layers):
        layer.register_forward_hook(keep(f"layer_{number}"))
    first = conformer.layers[0]
    for ours, theirs in {
        "first": "ffn_module1",
        "attention": "attention",
        "convolution": "convolution",
    }.items():
        getattr(first, ours).register_forward_hook(keep(f"layer_0.{theirs}"))
    pooled = network.encoder.embedding(codes)
    encoded = network.encoder(codes)
    close(pooled, golden["unpadded.pooled"])
    close(encoded, golden["unpadded.encoded"])
    close(network(codes).log_softmax(-1), golden["unpadded.log_probs"])
    assert len(found) == 6
    for key, value in found.items():
        close(value, golden[f"unpadded.stage.{key}"])


def test_the_causal_encoder_with_padding() -> None:
    """Looks back only, so padding cannot leak, in the published code neither."""
    network, golden = baseline("causal"), load_file(GOLDEN / "causal.safetensors")
    got = network(golden["codes"].long(), frames=torch.tensor([20, 13])).log_softmax(-1)
    close(got[0], golden["padded.log_probs"][0])
    close(got[1, :13], golden["padded.log_probs"][1, :13])


def test_padding_of_the_encoder_changes_nothing() -> None:
    """The published encoder lets padding into its convolutions; ours gives what the clip alone gives."""
    network, golden = baseline("encoder"), load_file(GOLDEN / "encoder.safetensors")
    got = network(golden["codes"].long(), frames=torch.tensor([20, 13])).log_softmax(-1)
    close(got[1, :13], golden["alone.log_probs"][0])
    assert (got[1, :13] - golden["padded.log_probs"][1, :13]).abs().max() > 1


def test_the_transducer_with_teacher_forcing_and_fed_with_its_own() -> None:
    """Fails when the joiner, the shift by a frame, BOS or the sum over codebooks drifts."""
    network, golden = transducer(), load_file(GOLDEN / "transducer.safetensors")
    noisy, clean = golden["noisy"].long(), golden["clean"].long()
    close(network.encoder(noisy), golden["encoded"])
    close(network(noisy, shifted(clean, 24)), golden["teacher_forced.logits"], 2e-5)
    own = golden["beam_1.tokens"][:, 0].long()
    close(network(noisy, shifted(own, 24)), golden["self_fed.logits"], 2e-5)
