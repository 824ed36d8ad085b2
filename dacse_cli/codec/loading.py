"""A codec's files -> the codec, whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from dacse_cli.codec.dac.codec import UnitKind, load_dac
from dacse_cli.codec.descript.weights import load_descript
from dacse_cli.codec.placed import NetworkCodec
from dacse_cli.codec.units.codec import load_units
from dacse_cli.codec.units.shape import is_units
from dacse_cli.codec.vae.codec import load_vae
from dacse_cli.codec.vae.published import load_published
from dacse_cli.codec.vae.shape import is_vae
from dacse_cli.errors import CodecError
from dacse_cli.interfaces import Codec
from dacse_cli.registry import LoadOptions


def load_codec(
    where: Path, *, device: str = "cpu", name: str | None = None, units: UnitKind = "codes"
) -> Codec:
    """The codec in a folder or in a published weights file. Raises `CodecError`, `DeviceError`.

    Files are Descript's (`.pth`), and DC-Speech-VAE's (`.pt`) with `bigvgan_generator.pt` beside it. `units`
    is for codecs that have both; a speech VAE has latents only, a units codec codes only.
    """
    if where.suffix == ".pth" and not where.is_dir():
        return load_descript(where, device=device, name=name, units=units)
    if where.suffix == ".pt" and not where.is_dir():
        return load_published(where, device=device, name=name)
    if is_vae(where):
        return load_vae(where, device=device, name=name)
    if is_units(where):
        if units != "codes":
            raise CodecError(f"{where} has codes only: units of a speech encoder, no latents")
        return load_units(where, device=device, name=name)
    return load_dac(where, device=device, name=name, units=units)


def load(where: Path, options: LoadOptions) -> Codec:
    """`load_codec` as the registry calls it."""
    units: UnitKind = "quantised" if options.quantised else "latents" if options.latents else "codes"
    codec = load_codec(where, device=options.device, name=options.name or None, units=units)
    if not options.exact and isinstance(codec, NetworkCodec):
        codec.decoding = "tf32"
    return codec
