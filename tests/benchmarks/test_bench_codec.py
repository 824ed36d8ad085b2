"""The benchmark of the codecs runs, and its arithmetic is right."""

from __future__ import annotations

import bench_codec
import pytest

from dacse_cli.codec.dac.shape import DacShape
from dacse_cli.codec.vae.shape import AutoencoderShape, VaeShape, VocoderShape


def test_rates_of_the_released_codecs() -> None:
    """9 codes 86.13 times per second; 80 values 5.38 times."""
    assert bench_codec.rates(bench_codec.DAC.spec("dac")) == (775.2, 5.58)
    assert bench_codec.rates(bench_codec.VAE.spec("vae")) == (430.7, 6.2)


def test_every_codec_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_codec, "DAC", DacShape(2, 16, 8, (2, 4, 8, 8), 2, 16, 2, 44100))
    tiny = VaeShape(
        AutoencoderShape(2, (2, 2, 2, 2, 2), (1,) * 5, (1,) * 5),
        VocoderShape(4, (16, 16), (32, 32), (3,), ((1,),)),
    )
    monkeypatch.setattr(bench_codec, "VAE", tiny)
    results = bench_codec.main(["--seconds", "0.5", "--repeats", "1"])
    assert [result["codec"] for result in results] == [
        "DAC 44.1 kHz", "DC-Speech-VAE", "DC-Speech-VAE, stand-in"
    ]  # fmt: skip
    assert all(result["encode, s per s"] >= 0 for result in results)
