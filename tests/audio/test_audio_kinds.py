"""What a file is, by its own bytes wherever they begin, and what it is called when nothing reads it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from dacse_cli.audio.containers.kinds import HEAD, kind_of_head, recognise
from dacse_cli.audio.probe import scan
from dacse_cli.errors import InputError

TONE = (0.3 * np.sin(np.arange(24_000) / 6)).astype(np.float32)
ID3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)


def encoded(container: str, subtype: str = "PCM_16") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, TONE, 16_000, format=container, subtype=subtype)
    return stream.getvalue()


@pytest.mark.parametrize("container", ["WAV", "RF64"])
def test_bw64_is_read_as_rf64(tmp_path, container):
    path = tmp_path / "a.wav"
    path.write_bytes(b"BW64" + encoded(container)[4:])
    found = scan(path)
    assert (found.frames, found.warning) == (24_000, None)
    assert found.info.container in ("WAV", "RF64")


@pytest.mark.parametrize("container", ["FLAC", "WAV", "AIFF"])
def test_an_id3_tag_before_another_kind_of_file(container):
    found = recognise(io.BytesIO(ID3 + encoded(container)))
    assert (found.kind.name, found.start) == (container, len(ID3))


def test_a_flac_behind_an_id3_tag_is_read(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(ID3 + encoded("FLAC"))
    assert scan(path).frames == 24_000


@pytest.mark.parametrize(
    ("data", "words", "hint"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html>log in</html>", "a web page", "Download it again"),
        (b"/annex/objects/SHA256E-s1--0.wav\n", "git-annex pointer", "git annex get"),
    ],
)
def test_placeholders_for_recordings_are_named(tmp_path, data, words, hint):
    path = tmp_path / "a.mp3"
    path.write_bytes(data + bytes(20))
    with pytest.raises(InputError, match=words) as failure:
        scan(path)
    assert hint in failure.value.hint


def test_broken_links_are_named(tmp_path):
    link = tmp_path / "a.wav"
    link.symlink_to(tmp_path / ".git/annex/objects/aa/bb/key")
    with pytest.raises(InputError, match="git-annex link"):
        scan(link)
    other = tmp_path / "b.wav"
    other.symlink_to(tmp_path / "gone.wav")
    with pytest.raises(InputError, match="a missing file"):
        scan(other)


def test_shorten_in_a_sphere_header_is_named(tmp_path):
    header = b"NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n"
    path = tmp_path / "a.sph"
    path.write_bytes(header.ljust(1024) + b"ajkg" + bytes(300))
    with pytest.raises(InputError, match="shorten") as failure:
        scan(path)
    assert failure.value.reason == "unsupported"


def test_format_of_a_pipe_is_detected_from_its_first_bytes():
    for container, subtype in (
        ("WAV", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ):
        assert kind_of_head(encoded(container, subtype)[:HEAD]).name == container
    assert kind_of_head(b"words, and no sound") is None


def test_ogg_flac_is_read_with_the_extra(tmp_path):
    av = pytest.importorskip("av", reason="needs dacse[media]")
    path = tmp_path / "a.ogg"
    with av.open(str(path), "w", format="ogg") as out:
        track = out.add_stream("flac", rate=16_000)
        track.codec_context.format, track.codec_context.layout = "s16", "mono"
        frame = av.AudioFrame.from_ndarray((TONE * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    found = scan(path)
    assert (found.frames, found.info.container, found.info.subtype) == (24_000, "OGG_FLAC", "FLAC_16")


def test_aac_behind_an_id3_tag_is_read_with_the_extra(tmp_path):
    av = pytest.importorskip("av", reason="needs dacse[media]")
    plain = tmp_path / "plain.aac"
    with av.open(str(plain), "w", format="adts") as out:
        track = out.add_stream("aac", rate=16_000)
        track.codec_context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(TONE[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    tagged = tmp_path / "tagged.aac"
    tagged.write_bytes(ID3 + plain.read_bytes())
    assert scan(tagged).info.container == "ADTS"
    assert scan(tagged).frames == scan(plain).frames >= 24_000
