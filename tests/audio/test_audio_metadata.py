"""Chunks follow a change of rate; tags find their way between kinds of files; damage costs no sound."""

import struct

import numpy as np
import pytest
import soundfile

from dacse_cli.audio.metadata.chunks import Extras, read_extras
from dacse_cli.audio.metadata.tags import copy_tags

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(40)


def wav(path, *chunks):
    soundfile.write(path, np.zeros(100), 48_000, "PCM_16")
    body = Extras(chunks=chunks).packed()
    data = path.read_bytes() + body
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    return path


def test_positions_follow_the_rate():
    bext = bytearray(602)
    struct.pack_into("<Q", bext, 338, 96_000)
    cue = struct.pack("<III4sIII", 1, 1, 480, b"data", 0, 0, 480)
    label = b"adtl" + struct.pack("<4sIII", b"ltxt", 8, 1, 960)
    extras = Extras(chunks=((b"bext", bytes(bext)), (b"cue ", cue), (b"LIST", label), (b"smpl", bytes(36))))
    moved = dict(extras.at_rate(48_000, 16_000).chunks)
    assert struct.unpack_from("<Q", moved[b"bext"], 338) == (32_000,)
    assert struct.unpack_from("<II4sIII", moved[b"cue "], 4)[1::4] == (160, 160)
    assert struct.unpack_from("<I", moved[b"LIST"], 16) == (320,)
    assert b"smpl" not in moved
    assert extras.at_rate(48_000, 48_000) is extras


def test_incomplete_chunks_and_those_about_old_samples_are_dropped(tmp_path):
    path = wav(tmp_path / "a.wav", (b"iXML", b"<a/>"), (b"levl", b"1234"), (b"note", b"12345678"))
    path.write_bytes(path.read_bytes()[:-3])
    assert read_extras(path).chunks == ((b"iXML", b"<a/>"),)
    (tmp_path / "b.wav").write_bytes(b"RIFF\xff\xff")
    assert read_extras(tmp_path / "b.wav") == Extras()


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".aiff"])
def test_tags_between_kinds(tmp_path, suffix):
    mutagen = pytest.importorskip("mutagen", reason="needs dacse[media]")
    from mutagen.flac import FLAC, Picture

    source, target = tmp_path / "a.flac", tmp_path / f"b{suffix}"
    soundfile.write(source, np.zeros(4000), 16_000)
    soundfile.write(target, np.zeros(4000), 16_000)
    flac, picture = FLAC(source), Picture()
    flac["title"], flac["artist"], flac["tracknumber"] = "Täst", ["One", "Two"], "3"
    picture.mime, picture.data = "image/png", PICTURE
    flac.add_picture(picture)
    flac.save()
    copy_tags(source, target)
    back = tmp_path / "c.flac"
    soundfile.write(back, np.zeros(4000), 16_000)
    copy_tags(target, back)
    found = FLAC(back)
    assert (found["title"], found["tracknumber"]) == (["Täst"], ["3"])
    assert found["artist"] == ["One", "Two"]
    assert [picture.data for picture in found.pictures] == [PICTURE]
    assert mutagen.File(target).info.length > 0


def test_text_chunks_of_a_wav_and_damaged_tags(tmp_path):
    pytest.importorskip("mutagen", reason="needs dacse[media]")
    from mutagen.flac import FLAC

    source = wav(tmp_path / "a.wav", (b"LIST", b"INFO" + b"INAM" + struct.pack("<I", 4) + b"Talk"))
    target = tmp_path / "b.flac"
    soundfile.write(target, np.zeros(4000), 16_000)
    copy_tags(source, target)
    assert FLAC(target)["title"] == ["Talk"]
    (tmp_path / "bad.mp3").write_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(50))
    copy_tags(tmp_path / "bad.mp3", target)
    assert soundfile.info(target).frames == 4000


def test_odd_values_of_tags_cost_no_sound(tmp_path):
    """They ended the file with `a bug`: base64 that is none, digits that are no number, numbers too large."""
    pytest.importorskip("mutagen", reason="needs dacse[media]")
    from mutagen.flac import FLAC
    from mutagen.oggvorbis import OggVorbis

    from dacse_cli.audio.metadata.fields import Common, give

    ogg, flac = tmp_path / "a.ogg", tmp_path / "b.flac"
    for path in (ogg, flac):
        soundfile.write(path, np.zeros(4000), 16_000)
    tags = OggVorbis(ogg)
    tags["metadata_block_picture"], tags["title"] = ["abc", "\xe9"], "kept"
    tags.save()
    assert copy_tags(ogg, flac) == []
    assert FLAC(flac)["title"] == ["kept"]

    class MP4:
        def __init__(self):
            self.tags = {}

    for number in ("\xb2", "9" * 5000, "70000"):
        file = MP4()
        give(file, Common({"tracknumber": [number], "title": ["kept"]}))
        assert file.tags == {"\xa9nam": ["kept"]}


def test_tags_that_cannot_be_written_are_a_note(tmp_path, monkeypatch):
    pytest.importorskip("mutagen", reason="needs dacse[media]")
    from dacse_cli.audio.metadata import tags

    for name in ("a.flac", "b.flac"):
        soundfile.write(tmp_path / name, np.zeros(4000), 16_000)
    monkeypatch.setattr(tags, "_take", lambda *_: 1 / 0)
    assert copy_tags(tmp_path / "a.flac", tmp_path / "b.flac") == ["not kept: its tags, which are damaged"]
