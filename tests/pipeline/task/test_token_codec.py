"""Token files say which codec made them: `detokenize` needs no option where that codec can be had."""

import os
import struct

import numpy as np
import pytest

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.hub.resolve import Resolved
from dacse_cli.pipeline.request import find_models as finding
from dacse_cli.pipeline.request.find_models import with_codec_of_files
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.tokens.files import TokenFile
from dacse_cli.tokens.formats import dump
from dacse_cli.tokens.header import codec_of


def tokens(folder, codec):
    made = TokenFile(np.zeros((1, 2, 3), np.int16), codec, 16000, 320, 1024, 16000, 960, "a.wav")
    (path := folder / "a.tokens.safetensors").write_bytes(dump(made, "safetensors"))
    return path


def codec_for(path, **models):
    request = Request(
        Form.DETOKENIZE, (str(path),), None, ModelOptions(**models), ChunkOptions(), SoundOptions()
    )
    return with_codec_of_files(request, plan(request)).models.codec


def test_the_codec_that_the_file_names_is_taken(tmp_path):
    path = tokens(tmp_path, "nano")
    assert codec_for(path) == "nano"
    assert codec_for(path, codec="descript/dac_24khz") == "descript/dac_24khz"
    assert codec_for(path, model="some/model") is None


@pytest.mark.parametrize("codec", ["evil/codec", "sha256:0123456789abcdef", "/etc", "..", "a/b/c", "x" * 300])
def test_nothing_is_fetched_or_opened_because_a_file_says_so(tmp_path, codec):
    """Only published codecs, and those that are in the cache."""
    assert codec_for(tokens(tmp_path, codec)) is None


def test_files_that_do_not_say_it_name_none(tmp_path):
    cases = {
        "empty": b"",
        "long": struct.pack("<Q", 1 << 62) + b"{}",
        "no json": struct.pack("<Q", 4) + b"\xff\xff\xff\xff",
        "no metadata": struct.pack("<Q", 2) + b"{}",
        "a list": struct.pack("<Q", 2) + b"[]",
        "a number": struct.pack("<Q", 29) + b'{"__metadata__":{"codec":17}}',
    }
    for name, data in cases.items():
        (path := tmp_path / name).write_bytes(data)
        assert codec_of(path) is None, name
    os.mkfifo(tmp_path / "fifo")
    assert codec_of(tmp_path / "fifo") is None
    assert codec_of(tmp_path / "missing") is None


def test_to_tokenize_for_the_released_model_only_its_codec_is_fetched(monkeypatch, tmp_path):
    asked = []

    def resolve(name, **options):
        asked.append((name, options["kind"]))
        return Resolved(tmp_path, name, None, "", kind="codec")

    monkeypatch.setattr(finding, "resolve", resolve)
    monkeypatch.setattr(finding, "_codec_part", lambda codec, **units: None)
    request = Request(Form.TOKENIZE, ("a.wav",), None, ModelOptions(), ChunkOptions(), SoundOptions())
    finding.find_models(request)
    assert asked == [("descript/dac_44khz", "codec")]
