"""What a file says beside its samples is in its output, or a note says that it is not."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dacse_cli.audio.containers.headers import read_header
from dacse_cli.audio.formats import OutputFormat, choose_format
from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.metadata.chunks import read_extras
from dacse_cli.audio.output import open_writer
from dacse_cli.audio.probe import probe, scan
from dacse_cli.audio.recording import open_recording
from dacse_cli.audio.write import OutputWriter
from dacse_cli.errors import InputError
from dacse_cli.files.atomic import commit

RATE = 16_000
TONE = (0.3 * np.sin(np.arange(24_000) / 6)).astype(np.float32)


def copied(source: Path, target: Path, requested: str = "keep") -> list[str]:
    """The samples of `source` in a file as a run would write it; what the run would say about it."""
    info = probe(source)
    form = choose_format(
        requested, info, source_suffix=source.suffix, rate=info.sample_rate, channels=info.channels
    )
    writer = open_writer(target, form, info.channels, (source, info))
    frames = 0
    with open_recording(source) as reader:
        while (block := reader.read(65_536)).shape[1]:
            writer.write(block)
            frames += block.shape[1]
    commit(writer.finish(frames).temp, target)
    return [*writer.notes, *([form.note] if form.note else [])]


def wav(fmt: bytes, *before: bytes, data: bytes = bytes(9600)) -> bytes:
    """A WAV with chunks before the one that describes the samples."""
    body = b"".join(before) + struct.pack("<4sI", b"fmt ", len(fmt)) + fmt
    body += struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body


def extensible(channels: int, mask: int, bits: int = 16, valid: int = 16) -> bytes:
    block = channels * bits // 8
    guid = struct.pack("<H14s", 1, bytes.fromhex("000000001000800000aa00389b71"))
    return (
        struct.pack("<HHIIHHHHI", 0xFFFE, channels, RATE, RATE * block, block, bits, 22, valid, mask) + guid
    )


def chunk(name: bytes, body: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}4sI", name, len(body)) + body + bytes(len(body) % 2)


@pytest.mark.parametrize(("channels", "mask"), [(6, 0x60F), (4, 0x107), (2, 0x3), (1, 0x4)])
@pytest.mark.parametrize("before", [b"bext", b"JUNK", None])
def test_the_speaker_mask_is_kept(tmp_path, channels, mask, before):
    source = tmp_path / "a.wav"
    chunks = [chunk(before, bytes(602))] if before else []
    source.write_bytes(wav(extensible(channels, mask), *chunks, data=bytes(2 * channels * 800)))
    copied(source, tmp_path / "b.wav")
    assert read_extras(tmp_path / "b.wav").mask == struct.pack("<I", mask)
    assert scan(tmp_path / "b.wav").frames == 800


def test_the_number_of_valid_bits_is_kept(tmp_path):
    source = tmp_path / "a.wav"
    source.write_bytes(wav(extensible(1, 4, bits=32, valid=24)))
    copied(source, tmp_path / "b.wav")
    assert read_extras(tmp_path / "b.wav").valid_bits == 24


def test_texts_of_an_aiff(tmp_path):
    source = tmp_path / "a.aiff"
    soundfile.write(source, TONE, RATE, "PCM_16")
    data = source.read_bytes()
    mark = struct.pack(">HHI", 1, 1, 1600) + b"\x04here\x00"
    more = chunk(b"NAME", b"Interview 12", ">") + chunk(b"AUTH", b"Somebody", ">") + chunk(b"MARK", mark, ">")
    data = data[:4] + struct.pack(">I", len(data) + len(more) - 8) + data[8:] + more
    source.write_bytes(data)
    copied(source, tmp_path / "b.aiff")
    chunks = dict(read_extras(tmp_path / "b.aiff").chunks)
    assert (chunks[b"NAME"], chunks[b"AUTH"], chunks[b"MARK"]) == (b"Interview 12", b"Somebody", mark)
    assert scan(tmp_path / "b.aiff").frames == 24_000


def test_texts_of_a_caf_an_au_and_a_wave64(tmp_path):
    for suffix, name in ((".caf", "CAF"), (".au", "AU"), (".w64", "W64")):
        source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
        soundfile.write(source, TONE, RATE, "PCM_16")
        data = source.read_bytes()
        with source.open("rb") as stream:
            at = read_header(stream).samples_chunk_at
        if name == "AU":
            header = struct.pack(">I", 24 + 16)
            data = data[:4] + header + data[8:24] + b"Interview 12".ljust(16, b"\0") + data[24:]
        elif name == "CAF":
            info = struct.pack(">I", 1) + b"title\0Interview 12\0"
            data = data[:at] + struct.pack(">4sq", b"info", len(info)) + info + data[at:]
        else:
            guid = b"bext" + bytes.fromhex("f3acd3118cd100c04f8edb8a")
            body = b"Interview 12".ljust(602, b"\0")
            more = guid + struct.pack("<Q", 24 + len(body)) + body + bytes(-len(body) % 8)
            data = data[:16] + struct.pack("<Q", len(data) + len(more)) + data[24:at] + more + data[at:]
        source.write_bytes(data)
        assert scan(source).frames == 24_000, name
        copied(source, target)
        assert b"Interview 12" in target.read_bytes(), name
        assert scan(target).frames == 24_000, name


def test_metadata_that_another_format_cannot_hold_is_named(tmp_path):
    source = tmp_path / "a.wav"
    source.write_bytes(wav(struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16), chunk(b"bext", bytes(602))))
    assert any("bext" in note for note in copied(source, tmp_path / "b.flac", "flac"))


@pytest.mark.parametrize("rate", [8000, 11_025, 12_000, 16_000])
def test_tags_of_an_mp3_at_every_rate(tmp_path, rate):
    id3 = pytest.importorskip("mutagen.id3", reason="needs dacse[media]")
    source = tmp_path / "a.mp3"
    soundfile.write(source, TONE, rate)
    id3.ID3().save(source)
    tags = id3.ID3(source)
    tags.add(id3.TIT2(encoding=3, text="Eight"))
    tags.save(source, v2_version=3, v1=2)
    copied(source, tmp_path / "b.mp3")
    found = id3.ID3(tmp_path / "b.mp3", translate=False)
    assert (found["TIT2"].text, found.version) == (["Eight"], (2, 3, 0))
    assert (tmp_path / "b.mp3").read_bytes()[-128:-125] == b"TAG"


def test_a_compressed_tag_of_a_gigabyte_takes_little_memory(tmp_path):
    pytest.importorskip("mutagen", reason="needs dacse[media]")
    import tracemalloc
    import zlib

    from dacse_cli.audio.metadata import tags

    packed = zlib.compress(b"\x03" + bytes(200 << 20), 9)

    def safe(number: int) -> bytes:
        return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))

    body = safe(1 + (200 << 20)) + packed
    frame = b"TIT2" + safe(len(body)) + b"\x00\x09" + body
    source = tmp_path / "a.mp3"
    soundfile.write(source, TONE, RATE)
    source.write_bytes(b"ID3\x04\x00\x00" + safe(len(frame)) + frame + source.read_bytes())
    tracemalloc.start()
    tags.rehearse(source)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100 << 20
    copied(source, tmp_path / "b.mp3")
    assert scan(tmp_path / "b.mp3").frames == 24_000


def test_an_id3_tag_before_a_flac_is_copied(tmp_path):
    id3 = pytest.importorskip("mutagen.id3", reason="needs dacse[media]")
    from mutagen.flac import FLAC

    source = tmp_path / "a.flac"
    soundfile.write(source, TONE, RATE)
    plain = tmp_path / "tag.mp3"
    tags = id3.ID3()
    tags.add(id3.TIT2(encoding=3, text="Interview 12"))
    tags.save(plain)
    source.write_bytes(plain.read_bytes() + source.read_bytes())
    copied(source, tmp_path / "b.flac")
    assert FLAC(tmp_path / "b.flac")["title"] == ["Interview 12"]


def test_the_encoder_delay_of_the_input_is_not_copied(tmp_path):
    mp4 = pytest.importorskip("mutagen.mp4", reason="needs dacse[media]")
    pytest.importorskip("av", reason="needs dacse[media]")
    source = tmp_path / "a.wav"
    soundfile.write(source, TONE, RATE)
    m4a = tmp_path / "a.m4a"
    form = choose_format("keep", probe(source), source_suffix=".m4a", rate=RATE, channels=1)
    writer = open_writer(m4a, form, 1)
    writer.write(TONE[None])
    commit(writer.finish(len(TONE)).temp, m4a)
    tags = mp4.MP4(m4a)
    tags["----:com.apple.iTunes:iTunSMPB"] = [b" 00000000 00000840 000001C0 0000000000005DC0"]
    tags["\xa9nam"] = "Interview 12"
    tags.save()
    copied(m4a, tmp_path / "b.m4a")
    found = mp4.MP4(tmp_path / "b.m4a")
    assert found["\xa9nam"] == ["Interview 12"]
    assert not [name for name in found.tags if "SMPB" in name]


@pytest.mark.parametrize(
    ("name", "body"), [(b"smpl", bytes(2)), (b"acid", b""), (b"cue ", bytes(3)), (b"inst", bytes(1))]
)
def test_a_chunk_that_libsndfile_refuses_is_left_out(tmp_path, name, body):
    """The output could not be read back, which ended the run for all other files, each time again."""
    source, note = tmp_path / "a.wav", chunk(b"iXML", b"<a/>")
    soundfile.write(source, TONE, RATE, "PCM_16")
    data = source.read_bytes() + note + chunk(name, body)
    source.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    notes = copied(source, tmp_path / "b.wav")
    kept = dict(read_extras(tmp_path / "b.wav").chunks)
    assert kept[b"iXML"] == b"<a/>"
    assert (name in kept) is not any("not kept" in one for one in notes)
    assert scan(tmp_path / "b.wav").frames == len(TONE)


def test_chunks_end_where_the_next_joined_file_begins(tmp_path):
    """The second file was taken over as a chunk of the first, and the output could not be read."""
    one, joined = tmp_path / "one.wav", tmp_path / "joined.wav"
    soundfile.write(one, TONE, RATE, "PCM_16")
    joined.write_bytes(2 * one.read_bytes())
    assert read_extras(joined).chunks == ()
    assert copied(joined, tmp_path / "b.wav") == []
    assert scan(tmp_path / "b.wav").frames == 2 * len(TONE)


def test_metadata_that_spoils_a_file_costs_that_file_alone(tmp_path):
    def spoil(path: Path) -> list[str]:
        path.write_bytes(b"no audio at all")
        return []

    form = OutputFormat("FLAC", "PCM_16", ".flac", RATE, None)
    writer = OutputWriter(tmp_path / "a.flac", form, 1, add_tags=spoil)
    writer.write(TONE[None])
    with pytest.raises(InputError, match="with its metadata"):
        writer.finish(len(TONE))
    assert not list(tmp_path.iterdir())


def test_the_largest_chunks_fit_beside_the_largest_wav():
    """The length in the header overflowed at the very end of a file just below 4 GiB."""
    info = AudioInfo((2**32 - 2**21) // 2, RATE, 1, "WAV", "PCM_16", 2**32)
    form = choose_format("keep", info, source_suffix=".wav", rate=RATE, channels=1)
    assert form.container == "RF64"
