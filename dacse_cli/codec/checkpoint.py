"""A codec's weights: safetensors in a folder -> checked float32 tensors with weight norm folded.

Knows files, names and tensors, not the network. Nothing but safetensors is ever opened.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath, PureWindowsPath

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dacse_cli.errors import CodecError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DOWNLOAD_AGAIN = "download the codec again"

_WEIGHT_NORM = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)
"""Names of gain and direction as torch's old and new weight norm store them."""


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of `folder` as float32 on the CPU, weight norm folded. Raises `CodecError`."""
    weights: dict[str, Tensor] = {}
    for path in _files(folder):
        for name, tensor in _read_file(path).items():
            if name in weights:
                raise CodecError(f"{path} holds {name} a second time", hint=DOWNLOAD_AGAIN)
            weights[name] = tensor
    return fold_weight_norm(weights)


def fold_weight_norm(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Replace every gain g and direction v by weight = g v / |v|, |v| over all axes but the first."""
    folded = dict(weights)
    for gain_suffix, direction_suffix in _WEIGHT_NORM:
        for name in [name for name in weights if name.endswith(gain_suffix)]:
            stem = name[: -len(gain_suffix)]
            direction = folded.pop(stem + direction_suffix, None)
            gain = folded.pop(name)
            if direction is None or gain.shape != (direction.shape[0], *[1] * (direction.ndim - 1)):
                raise CodecError(f"codec weights: {name} has no {stem + direction_suffix} that fits it")
            length = torch.linalg.vector_norm(direction, dim=tuple(range(1, direction.ndim)), keepdim=True)
            weight = direction * (gain / length)
            if not torch.isfinite(weight).all():
                raise CodecError(f"codec weights: {stem} has a direction of length 0", hint=DOWNLOAD_AGAIN)
            folded[stem + ".weight"] = weight
    return folded


def check_weights(weights: dict[str, Tensor], expected: dict[str, torch.Size]) -> None:
    """Raise `CodecError` unless names and shapes are exactly those the network has."""
    missing = sorted(expected.keys() - weights.keys())
    unexpected = sorted(weights.keys() - expected.keys())
    if missing or unexpected:
        parts = [
            f"{kind} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
            for kind, names in (("lacks", missing), ("has unexpected", unexpected))
            if names
        ]
        raise CodecError(f"codec weights do not fit config.json: the file {'; it '.join(parts)}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise CodecError(
                f"codec weights do not fit config.json: {name} is {list(weights[name].shape)}, "
                f"not {list(shape)}"
            )


def _files(folder: Path) -> list[Path]:
    if (folder / SINGLE).exists():
        return [folder / SINGLE]
    if (folder / INDEX).exists():
        return _shards(folder)
    pickles = sorted(p.name for p in folder.glob("*") if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    if pickles:
        raise CodecError(
            f"{folder} holds its weights only as {pickles[0]}: only safetensors is loaded",
            hint="convert it with transformers: save_pretrained(folder, safe_serialization=True)",
        )
    raise CodecError(f"{folder} has no {SINGLE} and no {INDEX}", hint=DOWNLOAD_AGAIN)


def _shards(folder: Path) -> list[Path]:
    """Files of a sharded checkpoint; each name is proven to be one component inside the folder."""
    try:
        index = json.loads((folder / INDEX).read_bytes())
        names = sorted(set(index["weight_map"].values()))
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise CodecError(f"{folder / INDEX} is not an index of shards: {error}") from error
    for name in names:
        pure = (PurePosixPath(str(name)), PureWindowsPath(str(name)))
        if not str(name).endswith(".safetensors") or any(path.name != name for path in pure):
            raise CodecError(f"{folder / INDEX} names {name!r}, which is not a shard in its folder")
    return [folder / name for name in names]


def _read_file(path: Path) -> dict[str, Tensor]:
    tensors = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a dict
                # a copy: a mapped file that is cut short later would end the process by SIGBUS
                tensors[name] = _checked(name, file.get_tensor(name)).to(torch.float32, copy=True)
    except (OSError, SafetensorError) as error:
        raise CodecError(f"cannot read {path}: {error}", hint=DOWNLOAD_AGAIN) from error
    return tensors


def _checked(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise CodecError(f"codec weights: {name} is {tensor.dtype}, not a float type")
    if not torch.isfinite(tensor).all():
        raise CodecError(f"codec weights: {name} holds NaN or infinite values", hint=DOWNLOAD_AGAIN)
    return tensor
