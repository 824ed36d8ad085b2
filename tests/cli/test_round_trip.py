"""Containers and codecs in and out of the real command, compared by FFmpeg's own programs.

`pytest tests/cli/test_round_trip.py -s` prints the table of examples/docs/pages/formats.md.
"""

import json
import shutil
import struct
import subprocess

import numpy as np
import pytest
import soundfile
from typed import typed

pytest.importorskip("av", reason="needs dacse[media]")
pytest.importorskip("mutagen", reason="needs dacse[media]")
if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
    pytest.skip("needs ffmpeg and ffprobe", allow_module_level=True)

SOUND, COVER, FILM, SRT = "sound.wav", "cover.png", "film.mkv", "words.srt"
TAGS = ("-metadata", "title=Täst", "-metadata", "artist=Who", "-metadata", "date=1999")
WITH_COVER = ("-i", COVER, "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
WITH_FILM = ("-i", FILM, "-map", "1:v", "-map", "0:a", "-c:v", "copy")
SURROUND, SIDE = [
    ("-af", f"pan={layout}|" + "|".join(f"c{c}=c0" for c in range(6))) for layout in ("5.1", "5.1(side)")
]
COMBINATIONS = {
    "bext.wav": ("-c:a", "pcm_s16le", "-write_bext", "1", "-metadata", "description=Take 1",
                 "-metadata", "time_reference=44100"),
    "surround.wav": (*SIDE, "-c:a", "pcm_s24le"),
    "float.wav": ("-c:a", "pcm_f32le"),
    "cover.flac": (*WITH_COVER, "-c:a", "flac", "-sample_fmt", "s32"),
    "cover.mp3": (*WITH_COVER, "-c:a", "libmp3lame"),
    "talk.ogg": ("-c:a", "libvorbis"),
    "talk.opus": ("-c:a", "libopus"),
    "talk.aiff": ("-c:a", "pcm_s24be", "-write_id3v2", "1"),
    "cover.m4a": (*WITH_COVER, "-c:a", "aac"),
    "lossless.m4a": ("-c:a", "alac"),
    "surround.m4a": (*SURROUND, "-c:a", "aac"),
    "words.mp4": ("-i", FILM, "-i", SRT, "-map", "1:v", "-map", "0:a", "-map", "2", "-c:v", "copy",
                  "-c:s", "mov_text", "-c:a", "aac"),
    "words.mkv": ("-i", FILM, "-i", SRT, "-map", "1:v", "-map", "0:a", "-map", "2", "-c:v", "copy",
                  "-c:s", "srt", "-c:a", "flac", "-attach", COVER, "-metadata:s:t", "mimetype=image/png"),
    "film.mov": (*WITH_FILM, "-c:a", "pcm_s16le"),
    "film.webm": ("-i", FILM, "-map", "1:v", "-map", "0:a", "-c:v", "libvpx", "-c:a", "libopus"),
}  # fmt: skip
CUE = b"cue " + struct.pack("<IIII4sIII", 28, 1, 7, 22_050, b"data", 0, 0, 22_050)
CHANGING = ("encoder", "ENCODER", "major_brand", "minor_version", "compatible_brands", "DURATION")


def run(*command, **kwargs):
    return subprocess.run(command, check=True, capture_output=True, **kwargs).stdout


def ffmpeg(*arguments, cwd):
    return run("ffmpeg", "-v", "error", "-y", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_model):
    """All combinations, and what the command made of them (`--mix 0`: it is not about the sound)."""
    root = tmp_path_factory.mktemp("trip")
    t = np.arange(50_001) / 44_100
    soundfile.write(root / SOUND, np.tile(0.3 * np.sin(2 * np.pi * 300 * t)[:, None], 2), 44_100, "PCM_24")
    ffmpeg("-f", "lavfi", "-i", "color=red:s=16x16", "-frames:v", "1", COVER, cwd=root)
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=1.2", "-c:v", "mpeg4", "-bf", "2", FILM, cwd=root)
    (root / SRT).write_text("1\n00:00:00,100 --> 00:00:00,900\nHello\n\n")
    (root / "in").mkdir()
    for name, arguments in COMBINATIONS.items():
        inputs = [a for i, a in enumerate(arguments) if a == "-i" or (i and arguments[i - 1] == "-i")]
        rest = [a for i, a in enumerate(arguments) if not (a == "-i" or (i and arguments[i - 1] == "-i"))]
        ffmpeg("-i", SOUND, *inputs, *rest, *TAGS, f"in/{name}", cwd=root)
    with (root / "in" / "bext.wav").open("r+b") as file:  # behind the samples, where editors put it
        file.seek(0, 2)
        file.write(CUE)
        size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", size))
    done = typed("enhance", root / "in", root / "out", "--strength", "0", "--model", tiny_model, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def facts(path):
    """What ffprobe says of a file, without what names the program that wrote it."""
    shown = ("-show_streams", "-show_format", "-show_chapters", "-of", "json")
    found = json.loads(run("ffprobe", "-v", "error", *shown, str(path)))
    keys = ("codec_name", "codec_type", "sample_rate", "channels", "channel_layout", "bits_per_raw_sample",
            "bits_per_sample", "start_time")  # fmt: skip
    streams = []
    for stream in found["streams"]:
        streams.append({key: stream.get(key) for key in keys})
        streams[-1]["picture"] = stream["disposition"]["attached_pic"]
        kept = {k: v for k, v in stream.get("tags", {}).items() if k not in CHANGING}
        streams[-1]["tags"] = (
            kept if stream["codec_type"] != "audio" or path.suffix in (".ogg", ".opus") else {}
        )
        if stream["codec_type"] == "audio":
            streams[-1]["duration_ts"] = stream.get("duration_ts")
    tags = {k: v for k, v in found["format"].get("tags", {}).items() if k not in CHANGING}
    return {"streams": streams, "tags": tags, "chapters": found["chapters"]}


def decoded_samples(path, channels):
    if path.suffix == ".ogg":  # of some Vorbis files FFmpeg 5 leaves out the first 128 samples
        return soundfile.info(path).frames
    return (
        len(run("ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a:0", "-f", "s16le", "-"))
        // channels
        // 2
    )


def copied_bits(path):
    """Checksum of every packet of every stream but the sound, with its time."""
    shown = (
        "-show_packets",
        "-show_data_hash",
        "md5",
        "-show_entries",
        "packet=stream_index,codec_type,pts_time,data_hash",
    )
    packets = json.loads(run("ffprobe", "-v", "error", *shown, "-of", "json", str(path)))["packets"]
    packets = [p for p in packets if p["codec_type"] != "audio"]
    return sorted((p["stream_index"], p.get("pts_time", ""), p["data_hash"]) for p in packets)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_everything_but_the_sound_is_kept(folders, name):
    """A tag, a picture, a speaker, a sample or a frame that is lost on the way."""
    before, after = folders / "in" / name, folders / "out" / name
    old, new = facts(before), facts(after)
    assert new == old
    assert "st" in str(old["tags"]) + str(old["streams"][0]["tags"])  # the tags were there to lose
    sound = next(stream for stream in old["streams"] if stream["codec_type"] == "audio")
    samples = decoded_samples(after, sound["channels"])
    assert samples == decoded_samples(before, sound["channels"])
    bits = copied_bits(after)
    assert bits == copied_bits(before)
    depth = sound["bits_per_raw_sample"] or sound["bits_per_sample"] or "-"
    layout = sound["channel_layout"] or sound["channels"]
    print(
        f"\n| {name} | {sound['codec_name']} | {sound['sample_rate']} Hz, {layout}, {depth} | {samples:,} | "
        f"{len(old['tags']) + len(sound['tags'])} | {len(bits)} |",
        end="",
    )


def test_chunks_of_broadcast_wav_are_kept_byte_for_byte(folders):
    """bext, LIST and cue are not sound: nothing in them may change, and bext stands before the samples."""
    before, after = [(folders / which / "bext.wav").read_bytes() for which in ("in", "out")]

    def chunks(data):
        found, at = {}, 12
        while at + 8 <= len(data):
            name, length = struct.unpack_from("<4sI", data, at)
            found[name] = data[at + 8 : at + 8 + length]
            at += 8 + length + length % 2
        return found

    old, new = chunks(before), chunks(after)
    assert {b"bext", b"cue ", b"LIST"} <= set(old) == set(new)
    assert all(old[name] == new[name] for name in old if name != b"data")
    assert len(old[b"data"]) == len(new[b"data"])
    assert list(new).index(b"bext") < list(new).index(b"data")
    assert struct.unpack_from("<I", after, 4)[0] == len(after) - 8
