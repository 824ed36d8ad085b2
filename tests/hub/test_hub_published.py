"""DC-Speech-VAE by its name: two repositories of pickles become one folder of safetensors, once."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fake_hub import FakeHub, serve
from safetensors.torch import load_file

from dacse_cli.codec.loading import load_codec
from dacse_cli.codec.vae import published as vae
from dacse_cli.codec.vae.shape import AutoencoderShape, VocoderShape
from dacse_cli.errors import CodecError, HubError
from dacse_cli.hub import download, resolve, verify
from dacse_cli.hub.listing import list_models

NAME, VOCODER = "KdaiP/DC-Speech-VAE", "nvidia/bigvgan_v2_22khz_80band_256x"
GOLDEN = Path(__file__).parents[1] / "golden" / "dcvae"


def pickled(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("ran",)


def tensors(part: str) -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / part / "model.safetensors")


@pytest.fixture
def two(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A Hub with both repositories, their networks the small ones of the golden data."""
    configs = {
        part: json.loads((GOLDEN / part / "config.json").read_text()) for part in ("autoencoder", "bigvgan")
    }
    shapes = vae.autoencoder_shape(configs["autoencoder"]), vae.vocoder_shape(configs["bigvgan"])
    monkeypatch.setattr(vae, "AutoencoderShape", lambda: shapes[0])
    monkeypatch.setattr(vae, "VocoderShape", lambda: shapes[1])
    own = {"README.md": b"# a codec", "generator_700000.pt": pickled(tensors("autoencoder"))}
    vocoder = {"config.json": b"{}", "bigvgan_generator.pt": pickled({"generator": tensors("bigvgan")})}
    hub = FakeHub(own, NAME, others={VOCODER: vocoder})
    with serve(hub) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


def test_it_becomes_a_folder_like_any_other(two: FakeHub, cache: Path) -> None:
    fetched = download(NAME)
    assert (fetched.codec, fetched.model.kind) == (None, "codec")
    assert sorted(two.file_requests()) == ["bigvgan_generator.pt", "generator_700000.pt"]
    codec = load_codec(fetched.model.folder)
    assert codec.spec.units.width == 20  # type: ignore[union-attr]
    assert not any(
        name.endswith("original0") for name in load_file(fetched.model.folder / "model.safetensors")
    )
    assert verify(fetched.model) == []
    (listed,) = [one for one in list_models() if one.name == NAME]
    assert (listed.kind, listed.state) == ("codec", "cached")


def test_a_second_run_asks_nobody(two: FakeHub, cache: Path) -> None:
    first = resolve(NAME, kind="codec")
    asked = len(two.requests)
    assert resolve(NAME, kind="codec").sha256 == first.sha256
    assert resolve(NAME, kind="codec", offline=True).folder == first.folder
    assert len(two.requests) == asked


def test_what_moved_is_made_again_and_what_did_not_is_kept(two: FakeHub, cache: Path) -> None:
    first = download(NAME).model
    written = (first.folder / "model.safetensors").stat().st_mtime_ns
    assert (download(NAME).model.folder / "model.safetensors").stat().st_mtime_ns == written
    changed = {name: tensor + 1 for name, tensor in tensors("bigvgan").items()}
    two.others[VOCODER]["bigvgan_generator.pt"] = pickled({"generator": changed})
    assert download(NAME).model.sha256 != first.sha256


def test_a_damaged_folder_is_made_again(two: FakeHub, cache: Path) -> None:
    first = download(NAME).model
    weights = first.folder / "model.safetensors"
    weights.write_bytes(b"x" * weights.stat().st_size)
    assert verify(first) != []
    again = download(NAME).model
    assert verify(again) == []
    assert again.sha256 == first.sha256


@pytest.mark.parametrize("damage", ["other model", "code", "missing"])
def test_what_is_no_such_model_is_refused(
    two: FakeHub, cache: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, and no folder that a later run would take for whole."""
    cache.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(cache.parent)
    if damage == "missing":
        del two.others[VOCODER]["bigvgan_generator.pt"]
    elif damage == "code":
        two.files["generator_700000.pt"] = pickled(Evil())
    else:
        two.files["generator_700000.pt"] = pickled({"weight": torch.zeros(3)})
    with pytest.raises(HubError if damage == "missing" else CodecError) as caught:
        download(NAME)
    assert "\n" not in caught.value.message
    assert not list(cache.rglob("config.json"))
    assert not (cache.parent / "ran").exists()
    with pytest.raises(HubError):
        resolve(NAME, kind="codec", offline=True)


def test_the_shapes_expected_are_the_released_ones() -> None:
    assert vae.autoencoder_shape({}) == AutoencoderShape()
    assert vae.vocoder_shape({}) == VocoderShape()
