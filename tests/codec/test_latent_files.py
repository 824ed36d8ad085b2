"""Latents of a DAC in token files: stored in either type, decoded beside codes, refused with a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save

import dacse_cli
from dacse_cli.api.inspect import inspect
from dacse_cli.audio.probe import scan
from dacse_cli.codec.dac.codec import DacCodec
from dacse_cli.codec.loading import load_codec
from dacse_cli.codec.vae.shape import VaeShape
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import InputError, UsageError
from dacse_cli.interfaces import Codes, Latents
from dacse_cli.pipeline.request.find_models import find_models
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.settings import settings_hash_of
from dacse_cli.pipeline.task.codec_work import alone
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.open import open_task
from dacse_cli.pipeline.task.token_files import read_tokens
from dacse_cli.pipeline.wire.messages import Form, Work

NANO = Path(dacse_cli.__file__).parent / "models" / "nano" / "codec"


def codec_of(tiny, units="codes"):
    return DacCodec(tiny.network, tiny.shape.spec("tiny"), units=units)


def request(form="tokenize", **options):
    return Request(
        Form(form), ("a.wav",), None, ModelOptions("nano"), ChunkOptions(), SoundOptions(), **options
    )


def made_by(codec, source, target, form, latents="float32", scanned=None):
    work = Work(0, source, target, Form(form), SoundOptions(), scanned, latents=latents)
    task = open_task(work, Models(codec, codec_name="tiny"))
    for _ in alone(codec, task.chunks()):
        pass
    return task.finish().files[0].temp


@pytest.fixture
def recording(tmp_path, make_noise):
    path = tmp_path / "a.wav"
    soundfile.write(path, make_noise(2, 2017).T, 16000, "FLOAT")
    return path


def test_either_kind_decodes_the_other(tiny_dac, make_noise):
    """A file of latents was refused by the very codec that had written it, unless asked for latents again."""
    tiny = tiny_dac((2, 4))
    codes, latents = codec_of(tiny), codec_of(tiny, "latents")
    assert (codes.spec.units, codes.spec.also) == (latents.spec.also, latents.spec.units)
    assert isinstance(codes.spec.units, Codes)
    assert isinstance(latents.spec.units, Latents)
    sound = make_noise(2, 40 * codes.spec.hop_length)
    for units in (codes.encode(sound), latents.encode(sound)):
        np.testing.assert_array_equal(codes.decode(units), latents.decode(units))


@pytest.mark.parametrize(("stored", "near"), [("float32", 0.0), ("float16", 2e-3)])
def test_there_and_back(tiny_dac, tmp_path, recording, stored, near):
    """What one run writes as latents, another turns back with the same codec as it is by default."""
    tiny = tiny_dac((2, 4))
    target = tmp_path / "a.latents.safetensors"
    written = made_by(codec_of(tiny, "latents"), recording, target, "tokenize", stored, scan(recording))
    written.rename(target)
    assert read_tokens(target).units.dtype == stored
    sound = made_by(codec_of(tiny), target, tmp_path / "b.wav", "detokenize")
    wave, rate = soundfile.read(sound)
    assert (wave.shape, rate) == ((2017, 2), 16000)
    samples, _ = soundfile.read(recording, dtype="float32")
    own = codec_of(tiny, "latents")
    wanted = own.decode(own.encode(samples.T))[:, :2017].T
    np.testing.assert_allclose(wave, wanted, rtol=0, atol=near + 1e-4)


def test_numbers_beyond_float16_are_its_largest(tiny_dac, tmp_path, recording, monkeypatch):
    """They became infinite, and such a file is refused."""
    codec = codec_of(tiny_dac((2, 4)), "latents")
    loud = codec.encode_tensor
    monkeypatch.setattr(codec, "encode_tensor", lambda samples: 1e9 * loud(samples))
    target = tmp_path / "a.latents.npz"
    made_by(codec, recording, target, "tokenize", "float16", scan(recording)).rename(target)
    assert np.abs(read_tokens(target).units).max() == np.finfo(np.float16).max


def test_latents_of_another_width_are_refused(tiny_dac, tmp_path, recording):
    wide, narrow = tiny_dac((2, 4), hidden=24), tiny_dac((2, 4), hidden=16)
    target = tmp_path / "a.latents.safetensors"
    made_by(codec_of(wide, "latents"), recording, target, "tokenize", scanned=scan(recording)).rename(target)
    with pytest.raises(InputError, match="latents of width 24, the codec has latents of width 16"):
        made_by(codec_of(narrow), target, tmp_path / "b.wav", "detokenize")


def test_a_model_of_codes_refuses_latents(tiny_dac, tmp_path, recording):
    tiny = tiny_dac((2, 4))
    target = tmp_path / "a.latents.safetensors"
    made_by(codec_of(tiny, "latents"), recording, target, "tokenize", scanned=scan(recording)).rename(target)
    with pytest.raises(InputError, match="it holds latents of width"):
        made_by(codec_of(tiny), target, tmp_path / "b.wav", "enhance")


def test_latents_after_quantisation_decode_as_the_codes_do(tmp_path, recording):
    """With nano's codec; those before do not. The file says which they are, and `enhance` refuses it."""
    sounds, widths = {}, {}
    for kind in ("codes", "latents", "quantised"):
        target = tmp_path / f"{kind}.tokens.safetensors"
        written = made_by(
            load_codec(NANO, units=kind), recording, target, "tokenize", scanned=scan(recording)
        )
        written.rename(target)
        tokens = read_tokens(target)
        assert tokens.quantised == (kind == "quantised")
        widths[kind] = tokens.units.shape[1]
        written = made_by(load_codec(NANO), target, tmp_path / "b.wav", "detokenize")
        sounds[kind], _ = soundfile.read(written)
    assert widths["quantised"] == widths["latents"]
    np.testing.assert_allclose(sounds["quantised"], sounds["codes"], rtol=0, atol=1e-5)
    assert np.abs(sounds["latents"] - sounds["codes"]).max() > 1e-3
    assert inspect(target)["quantised"]
    with pytest.raises(InputError, match="after quantisation"):
        made_by(load_codec(NANO, units="latents"), target, tmp_path / "c.wav", "enhance")


def test_a_codec_without_codebooks_has_none_after_quantisation(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(VaeShape().config()))
    (tmp_path / "model.safetensors").write_bytes(save({}))
    wanted = request(latents="float32", quantised=True)
    with pytest.raises(UsageError, match="has no codebooks, so no latents after quantisation"):
        find_models(replace(wanted, models=ModelOptions("nano", codec=str(tmp_path))))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"quantised": True}, "name their type with `latents`"),
        ({"latents": "float32", "codes_format": "txt"}, "`codes_format` txt holds codes only"),
        ({"latents": "float32", "codes_format": "dac"}, "`codes_format` dac holds codes only"),
        ({"latents": "float64"}, "`latents` float64 is not one of float32, float16"),
    ],
)
def test_impossible_requests_are_refused_before_any_work(options, says):
    with pytest.raises(UsageError, match=says):
        request(**options).check()


def test_the_journal_tells_them_apart():
    """Files of one type were skipped as done when the other was asked for."""
    requests = [request(), request(latents="float32"), request(latents="float16")]
    requests.append(request(latents="float16", quantised=True))
    found = [find_models(one) for one in requests]
    assert [one.latents for one in found] == [None, "float32", "float16", "float16"]
    assert len({settings_hash_of(a, b) for a, b in zip(requests, found, strict=True)}) == 4
    whole = replace(requests[2], form=Form.DETOKENIZE, latents=None)
    assert find_models(whole).latents is None
