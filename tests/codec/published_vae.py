"""The small models of the golden data as a codec, and weights by formula for full-size ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dacse_cli.codec.vae.bigvgan import BigVgan
from dacse_cli.codec.vae.codec import VaeCodec, VaeNetwork, place_vae, vae_shapes
from dacse_cli.codec.vae.published import Published
from dacse_cli.codec.vae.shape import VaeShape, VocoderShape
from dacse_cli.errors import CodecError
from dacse_cli.weights.loading import load_tensors

GOLDEN = Path(__file__).parents[1] / "golden" / "dcvae"


@cache
def small_network() -> VaeNetwork:
    published = Published(GOLDEN / "autoencoder", GOLDEN / "bigvgan")
    shapes = vae_shapes(published.shape)
    return VaeNetwork(published.shape, load_tensors(published.tensors, published.read, shapes, CodecError))


def small_codec() -> VaeCodec:
    network = small_network()
    return place_vae(network, network.shape.spec("small"))


@cache
def tiny_network() -> VaeNetwork:
    """The small autoencoder with a drawn vocoder of two stages: fast."""
    torch.manual_seed(0)
    vocoder = VocoderShape(8, (16, 16), (32, 32), (3, 5), ((1, 3), (1, 3)))
    shape = VaeShape(small_network().shape.autoencoder, vocoder)
    drawn = {f"vocoder.{name}": tensor for name, tensor in BigVgan(vocoder).state_dict().items()}
    own = {n: t for n, t in small_network().state_dict().items() if n.startswith("autoencoder.")}
    return VaeNetwork(shape, {**own, **drawn})


def tiny_codec() -> VaeCodec:
    network = tiny_network()
    return place_vae(network, network.shape.spec("tiny"))


def formula(place: int, name: str, shape: list[int]) -> Tensor:
    """Numbers that anyone can compute: a hash of the tensor's place and the element's (see golden/README)."""
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(place << 40) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    u = ((z >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32).reshape(shape)
    return torch.from_numpy(_scaled(name, u))


def _scaled(name: str, u: np.ndarray) -> np.ndarray:
    if name.endswith(("original1", "weight_v")):
        return u
    if name.endswith(("original0", "weight_g")):
        share = 0.25 if name.startswith("resblocks.") else 0.125 if name.startswith("conv_p") else 1.0
        return (1 + u / 2) * np.float32(share)
    if name.endswith(("norm.weight", "norm_out.weight")):
        return 1 + u / 4
    return u / 2 if name.endswith(("alpha", "beta")) else u / 8
