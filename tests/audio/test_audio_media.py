"""Media files through PyAV: exact lengths, alignment, untouched video, hostile bytes, life without PyAV."""

import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dacse_cli.audio.formats import choose_format
from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media import kinds
from dacse_cli.audio.output import open_writer
from dacse_cli.audio.probe import probe, scan
from dacse_cli.audio.recording import open_recording
from dacse_cli.errors import InputError
from dacse_cli.files.atomic import commit

av = pytest.importorskip("av", reason="needs dacse[media]")

RATE = 44_100
WAV = AudioInfo(50_001, RATE, 2, "WAV", "PCM_24", 0)


def chirp(frames=50_001, channels=2, rate=RATE):
    t = np.arange(frames) / rate
    wave = 0.4 * np.sin(2 * np.pi * (200 * t + 400 * t * t))
    wave[::5000] += 0.3  # clicks: a shift of one sample shows
    return np.stack([wave * (1 - 0.3 * c) for c in range(channels)]).astype(np.float32)


def store(target, samples, rate=RATE, source=None, subtype=None):
    """`samples` in a file of the kind that the suffix names."""
    info = (
        source[1]
        if source
        else AudioInfo(samples.shape[1], rate, len(samples), "MATROSKA", subtype or "AAC", 0)
    )
    form = choose_format("keep", info, source_suffix=target.suffix, rate=rate, channels=len(samples))
    writer = open_writer(target, form, len(samples), source)
    for start in range(0, samples.shape[1], 7001):
        writer.write(samples[:, start : start + 7001])
    commit(writer.finish(samples.shape[1]).temp, target)
    return target


def load(path):
    with open_recording(path) as reader:
        pieces = []
        while (piece := reader.read(4097)).shape[1]:
            pieces.append(piece)
        return np.concatenate(pieces, axis=1), reader.info.sample_rate


def film(path, offset=0, seconds=2, audio="aac"):
    """A moving picture with subtitles and sound that starts `offset` audio samples late."""
    with av.open(str(path), "w") as out:
        picture = out.add_stream("mpeg4", rate=25)
        picture.width = picture.height = 32
        track = out.add_stream(audio, rate=RATE)
        track.codec_context.layout = "stereo"
        out.metadata["title"] = "A film"
        track.metadata["language"] = "deu"
        for i in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 5 * i % 255, np.uint8), format="rgb24")
            out.mux(picture.encode(frame))
        sound = chirp(RATE * seconds - 1000)
        for start in range(0, sound.shape[1], 1024):
            block = np.ascontiguousarray(sound[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), offset + start
            out.mux(track.encode(frame))
        out.mux(picture.encode(None))
        out.mux(track.encode(None))
    return path


def packets(path, kind):
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("suffix", "subtype", "error"),
    [
        (".m4a", "AAC", 0.15),
        (".m4a", "ALAC_16", 1e-4),
        (".mov", "PCM_24", 1e-6),
        (".mp4", "AC3", 0.3),
        (".mkv", "AAC", 0.15),
        (".mkv", "FLAC_24", 1e-6),
        (".mka", "FLOAT", 0),
        (".mkv", "MPEG_LAYER_III", 0.2),
    ],
)
def test_a_written_file_reads_back_sample_for_sample(tmp_path, suffix, subtype, error, channels):
    """Priming of an encoder that is played, or a last packet that is filled up: a longer, later recording."""
    if channels > kinds.MAX_CHANNELS.get(subtype, channels):
        pytest.skip(f"{subtype} has no {channels} channels")
    samples = chirp(channels=channels)
    back, rate = load(store(tmp_path / f"x{suffix}", samples, subtype=subtype))
    assert (rate, back.shape) == (RATE, samples.shape)
    assert np.sqrt(np.mean((back[0] - samples[0]) ** 2)) <= error * np.sqrt(np.mean(samples[0] ** 2))
    if error > 1e-3:  # aligned: no shift fits better
        fits = [np.dot(back[0, 3000:40_000], samples[0, 3000 + s : 40_000 + s]) for s in range(-40, 41)]
        assert int(np.argmax(fits)) == 40


@pytest.mark.parametrize("frames", [648, 1024, 48_000])
def test_opus_in_webm_is_exact_from_one_packet_on(tmp_path, frames):
    back, rate = load(store(tmp_path / "x.webm", chirp(frames, 1, 48_000), 48_000))
    assert (rate, back.shape) == (48_000, (1, frames))


def test_plain_aac_keeps_length_and_position(tmp_path):
    """ADTS cannot say what is priming: it is left out, and whole packets come back as they are."""
    first = store(tmp_path / "a.aac", chirp(50 * 1024, 1))
    samples, _ = load(first)
    assert samples.shape == (1, 50 * 1024)
    again, _ = load(store(tmp_path / "b.aac", samples))
    assert again.shape == samples.shape
    fits = [np.dot(again[0, 3000:40_000], samples[0, 3000 + s : 40_000 + s]) for s in range(-9, 10)]
    assert int(np.argmax(fits)) == 9


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("offset", [0, 22_050])
def test_the_picture_is_copied_bit_for_bit_and_stays_in_step(tmp_path, suffix, offset):
    """Sound that starts later than the picture must still do so, or lips and words part."""
    source = film(tmp_path / f"in{suffix}", offset)
    found = scan(source)
    samples, rate = load(source)
    assert samples.shape[1] == found.frames
    target = store(tmp_path / f"out{suffix}", samples, rate, (source, found.info))
    before, after = packets(source, "video"), packets(target, "video")
    assert [data for _, data in before] == [data for _, data in after]
    tick = Fraction(1, 1000) if suffix == ".mkv" else 0
    with open_recording(source) as old, open_recording(target) as new:
        late, later = old.start - before[0][0], new.start - after[0][0]
    assert abs(late - Fraction(offset, RATE)) < Fraction(1, 20)
    written = load(target)[0]
    lead = written.shape[1] - samples.shape[1]  # a late track of an MP4 is led in by silence
    assert abs(lead - (round(late * RATE) if suffix != ".mkv" else 0)) <= 1
    assert abs(late - later - Fraction(lead, RATE)) <= max(tick, Fraction(1, RATE))
    fits = [
        np.dot(written[0, lead + 30_000 : lead + 60_000], samples[0, 30_000 + s : 60_000 + s])
        for s in range(-9, 10)
    ]
    assert int(np.argmax(fits)) == 9
    with av.open(str(source)) as old, av.open(str(target)) as new:
        assert {key.lower(): value for key, value in new.metadata.items()}["title"] == "A film"
        assert old.streams.audio[0].metadata.get("language") == new.streams.audio[0].metadata.get("language")


def test_no_picture_is_copied_into_m4a(tmp_path):
    source = film(tmp_path / "in.mp4")
    samples, rate = load(source)
    with av.open(str(store(tmp_path / "out.m4a", samples, rate, (source, probe(source))))) as container:
        assert [stream.type for stream in container.streams] == ["audio"]


def test_a_gap_in_the_timestamps_is_silence(tmp_path):
    """A recorder that paused: without the hole all that follows comes too early."""
    with av.open(str(tmp_path / "x.mkv"), "w") as out:
        track = out.add_stream("pcm_s16le", rate=8000)
        track.codec_context.layout = "mono"
        for start in (0, 16_000):
            block = np.full((1, 4000), 8000, np.int16)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = 8000, Fraction(1, 8000), start
            out.mux(track.encode(frame))
    samples, _ = load(tmp_path / "x.mkv")
    assert samples.shape == (1, 20_000)
    assert not samples[0, 4000:16_000].any()
    assert samples[0, 16_000:].all()


def test_hostile_bytes_give_an_input_error_or_samples(tmp_path):
    """Any other exception would be counted as a bug of ours; FFmpeg's own crashes cost the intake's child."""
    rng = random.Random(3)
    sources = [film(tmp_path / f"a{suffix}", seconds=1).read_bytes() for suffix in (".mp4", ".mkv")]
    sources.append(store(tmp_path / "a.aac", chirp(20_480, 1)).read_bytes())
    path, ends = tmp_path / "x.bin", set()
    for i in range(150):
        data = bytearray(sources[i % 3])
        for _ in range(rng.choice((1, 8, 60))):
            data[rng.randrange(min(len(data), rng.choice((300, 3000, len(data)))))] = rng.randrange(256)
        path.write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
        try:
            ends.add(scan(path).warning is None)
        except InputError as error:
            ends.add(error.reason)
    assert {True, False, "bad-header"} <= ends


def test_a_file_that_refers_to_another_is_refused(tmp_path):
    """A playlist under a film's name, and a film whose samples lie in another file."""
    (tmp_path / "x.mp4").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    with pytest.raises(InputError) as caught:
        scan(tmp_path / "x.mp4")
    assert caught.value.reason == "not-audio"


def test_a_full_disk_stops_the_run_and_leaves_nothing(tmp_path, monkeypatch):
    import errno

    from dacse_cli.audio.write import PartStream
    from dacse_cli.errors import OutputError

    monkeypatch.setattr(
        "dacse_cli.audio.write.os.write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full"))
    )
    with pytest.raises(OutputError, match="no space"):
        store(tmp_path / "x.m4a", chirp())
    assert not list(tmp_path.iterdir())
    assert PartStream(-1).closed is False


@pytest.mark.parametrize("name", ["talk.m4a", "film.mkv"])
def test_without_the_extra_one_line_names_it(tmp_path, monkeypatch, name):
    monkeypatch.setattr(kinds, "available", lambda: False)
    path = film(tmp_path / "film.mkv") if name == "film.mkv" else store_anyway(tmp_path / name, monkeypatch)
    for look in (probe, scan):
        with pytest.raises(InputError, match=r"pip install 'dacse\[media\]'") as caught:
            look(path)
        assert (caught.value.reason, "\n" in caught.value.message) == ("unsupported", False)
    kept = choose_format("keep", WAV, source_suffix=".m4a", rate=RATE, channels=2)
    assert (kept.suffix, kept.note) == (
        ".wav",
        "written as WAV: .m4a needs the extra dacse[media]: pip install 'dacse[media]'",
    )
    with pytest.raises(InputError, match=r"dacse\[media\]"):
        choose_format("m4a", WAV, source_suffix=".wav", rate=RATE, channels=2)


def store_anyway(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(kinds, "available", lambda: True)
        return store(path, chirp(2000))


def test_formats_of_media_files():
    def chosen(requested, suffix, info, rate=RATE, channels=2):
        form = choose_format(requested, info, source_suffix=suffix, rate=rate, channels=channels)
        return form.container, form.subtype, form.sample_rate

    mkv = AudioInfo(1000, RATE, 2, "MATROSKA", "FLAC_24", 0)
    assert chosen("keep", ".mkv", mkv) == ("MATROSKA", "FLAC_24", RATE)
    assert chosen("keep", ".webm", mkv) == ("WEBM", "OPUS", 48_000)
    assert chosen("wav", ".mkv", mkv) == ("WAV", "PCM_24", RATE)
    assert chosen("m4a", ".wav", WAV) == ("M4A", "AAC", RATE)
    assert chosen("keep", ".m4a", AudioInfo(9, 11_000, 1, "MP4", "AAC", 0), 11_000, 1)[2] == 11_025
    assert chosen("keep", ".m4a", AudioInfo(9, RATE, 2, "M4A", "PCM_32", 0)) == ("M4A", "ALAC_24", RATE)


def test_no_file_handle_is_left(tmp_path):
    source = film(tmp_path / "in.mp4")
    before = len(list(Path("/proc/self/fd").iterdir()))
    samples, rate = load(source)
    store(tmp_path / "out.mp4", samples, rate, (source, probe(source)))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def coded(path, codec, form, samples, rate):
    """One channel as FFmpeg's `codec` writes it."""
    with av.open(str(path), "w") as out:
        track = out.add_stream(codec, rate=rate)
        track.codec_context.layout, track.codec_context.format = "mono", form
        frame = av.AudioFrame.from_ndarray(samples, format=form, layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return path


def test_eight_channels_do_not_crash(tmp_path):
    samples = np.stack([chirp(24_000, 1, 48_000)[0] * (0.2 + 0.1 * c) for c in range(8)]).astype(np.float32)
    source = store(tmp_path / "a.m4a", samples, 48_000)
    found, _ = load(source)
    assert found.shape == (8, 24_000)
    info = probe(source)
    target = store(tmp_path / "b.m4a", found, 48_000, (source, info))
    assert load(target)[0].shape == (8, 24_000)


def test_opus_in_mp4_whose_header_names_another_rate(tmp_path):
    samples = chirp(24_000, 1, 16_000)
    source = coded(tmp_path / "a.mp4", "libopus", "flt", samples, 16_000)
    found, rate = load(source)
    target = store(tmp_path / "b.mp4", found, rate, (source, probe(source)))
    assert load(target)[0].shape == found.shape


def test_pcm_in_mp4_stays_lossless(tmp_path):
    samples = (chirp(24_000, 1, 16_000) * 32_767).astype(np.int16).astype(np.float32) / 32_768
    info = AudioInfo(24_000, 16_000, 1, "MP4", "PCM_16", 0)
    form = choose_format("keep", info, source_suffix=".mp4", rate=16_000, channels=1)
    assert form.subtype == "ALAC_16"
    target = store(tmp_path / "a.mp4", samples, 16_000, subtype="PCM_16")
    np.testing.assert_array_equal(load(target)[0], samples)


@pytest.mark.parametrize(("suffix", "codec", "form"), [(".mka", "flac", "s16"), (".webm", "libopus", "flt")])
def test_an_unfinished_recording_is_named(tmp_path, suffix, codec, form):
    samples = chirp(48_000 * 6, 1, 48_000)
    samples = (samples * 32_000).astype(np.int16) if form == "s16" else samples
    whole = coded(tmp_path / f"a{suffix}", codec, form, samples, 48_000)
    assert scan(whole).warning is None
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = scan(cut)
    assert found.frames < 48_000 * 4
    assert "truncated" in found.warning


def test_a_small_file_that_claims_hours_is_refused(tmp_path):
    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as out:
        track = out.add_stream("flac", rate=8000)
        track.codec_context.layout, track.codec_context.format = "mono", "s16"
        for at in range(12):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, at * 3590 * 8000
            frame.time_base = Fraction(1, 8000)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    with pytest.raises(InputError, match="hours without sound"):
        scan(path)
