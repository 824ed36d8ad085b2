"""What a page is made of: loudness, pictures, outlines, previews, links, sizes."""

import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from pulse_reports import facts

from dacse_cli.errors import UsageError
from dacse_cli.report import Entry, budget, build, packing, png, preview, spectrum, stretch, waveform
from dacse_cli.report.page import link

RNG = np.random.default_rng(0)


def tone(hertz, seconds=3.0, rate=48_000, level=1.0):
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@given(st.floats(-60, 0), st.floats(-60, 0), st.floats(0.001, 1), st.floats(0.001, 1))
def test_gains_make_equally_loud_and_never_clip(before, after, peak_before, peak_after):
    first, second = packing.matching_gains((before, after), (peak_before, peak_after))
    assert before + first == pytest.approx(after + second)
    for gain, peak in ((first, peak_before), (second, peak_after)):
        assert peak * 10 ** (gain / 20) <= 1 + 1e-9
    assert before + first <= packing.COMFORT + 1e-9


def test_a_tone_lies_at_its_tick():
    rows = 120
    levels = spectrum.power(tone(4000), 48_000, 50, rows, 24_000)
    (share,) = (share for hz, share in spectrum.ticks(24_000) if hz == 4000)
    loudest = levels.mean(axis=1).argmax()
    assert abs((rows - 1 - loudest) / rows - share) < 0.02
    assert levels.max() > levels.min() + 60


@pytest.mark.parametrize("samples", [1, 100, 1600, 160_000])
def test_a_picture_is_as_wide_as_asked_for_any_length(samples):
    levels = spectrum.power(RNG.standard_normal(samples).astype(np.float32), 16_000, 320, 80, 8000)
    assert levels.shape == (80, 320)
    assert np.isfinite(levels).all()
    assert spectrum.shades(levels, levels.max()).max() < spectrum.LEVELS


def test_png_holds_the_shades():
    shades = RNG.integers(0, 48, (7, 11)).astype(np.uint8)
    data = png.encode(shades, 48)
    assert struct.unpack(">II", data[16:24]) == (11, 7)
    at = data.index(b"IDAT")
    (size,) = struct.unpack(">I", data[at - 4 : at])
    lines = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + size]), np.uint8).reshape(7, 12)
    assert (lines[:, 0] == 0).all()
    assert (lines[:, 1:] == shades).all()


@given(st.integers(0, 3000), st.integers(1, 400))
def test_outlines_hold_the_extremes(samples, columns):
    x = RNG.uniform(-1, 1, samples).astype(np.float32)
    low, high = waveform.outline(x, columns)
    assert len(low) == len(high) == min(samples, columns)
    if samples:
        assert max(high) == round(float(x.max()) * 100)
        assert min(low) == round(float(x.min()) * 100)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 96_000])
def test_previews_keep_length_and_stay_small(rate):
    seconds = 3.0
    noise = (0.1 * RNG.standard_normal(int(seconds * rate))).astype(np.float32)
    data = preview.encode(noise, rate)
    heard, heard_rate = soundfile.read(io.BytesIO(data))
    assert len(heard) / heard_rate == pytest.approx(seconds, abs=0.001)
    assert len(data) * 8 / seconds < 1.15 * budget.bit_rate(preview.preview_rate(rate))


def test_the_stretch_with_most_to_hear_is_shown():
    energy = np.full(1000, 1e-4)
    energy[700:800] = 0.1
    energy[5] = 100.0  # a bang
    assert stretch.choose_start(energy, 10.0) == pytest.approx(70.0, abs=0.5)
    assert stretch.choose_start(energy, 10.0, marks=(40.0,)) == pytest.approx(37.5)
    assert stretch.choose_start(energy, 100.0) == 0.0
    assert stretch.choose_start(energy, 10.0, marks=(99.0,)) == pytest.approx(90.0)


@given(st.integers(1, 300))
def test_pages_of_any_size_stay_below_thirty_megabytes(files):
    mine = budget.share(files)
    sound = 2 * mine.seconds(48_000) * budget.bit_rate(48_000) / 8
    pictures = 2 * mine.columns * mine.rows * budget.PIXEL_BYTES
    assert files * (budget.BASE64 * (1.05 * sound + pictures) + budget.TEXT_BYTES) + budget.FRAME_BYTES < 30e6


def test_noise_for_two_hundred_files_is_as_small_as_planned(tmp_path, monkeypatch):
    """The worst there is, three files of it with the room that each of 200 would have."""
    noise = 0.1 * RNG.standard_normal(48_000 * 20)
    paths = [tmp_path / f"{n}.wav" for n in range(3)]
    for path in paths:
        soundfile.write(path, noise, 48_000)
    monkeypatch.setattr("dacse_cli.report.assembly.share", lambda files: budget.share(200))
    page = build([Entry(str(p), str(p), "done", playable=True) for p in paths], facts(), tmp_path / "report")
    empty = build([], facts(), tmp_path / "empty")
    each = (page.stat().st_size - empty.stat().st_size) / 3
    assert each * 200 + empty.stat().st_size < 30e6


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("a b#c?.wav", "../in/a%20b%23c%3F.wav"),
        ("100%.wav", "../in/100%25.wav"),
        ("\udcff.wav", "../in/%FF.wav"),
    ],
)
def test_links_survive_strange_names(name, address):
    assert link(Path("/x/in") / name, Path("/x/report")) == address


def test_a_link_is_never_read_as_a_scheme():
    assert link(Path("/x/a:b.wav"), Path("/x")) == "./a%3Ab.wav"


def test_lines_for_machines(report):
    run, *files = [json.loads(line) for line in report.with_name("report.jsonl").read_text().splitlines()]
    assert (run["type"], run["format"], run["version"]) == ("run", "dacse-report", 1)
    assert [file["outcome"] for file in files] == ["done", "done-warned", "done", "failed", "done"]
    assert files[0]["loudness"][0] - files[0]["loudness"][1] == pytest.approx(
        17.4, abs=1
    )  # 20 dB, less what the ear gains at 2.5 kHz
    assert files[0]["scores"][0]["dnsmos_ovrl"] == pytest.approx(2.5, abs=0.01)
    assert not files[1]["preview"]["whole"]
    assert files[1]["spans"][1] == {"start": 74, "end": 76, "verdict": "repaired", "why": "repeated codes"}
    assert files[2]["loudness"][1] is None
    assert "playable" in files[4]
    assert files[4]["problem"]


def test_a_side_without_scores_leaves_none_and_a_store_has_no_player(tmp_path):
    noise = 0.1 * RNG.standard_normal(8000)
    path = tmp_path / "a.wav"
    soundfile.write(path, noise, 16_000)
    entries = [
        Entry(str(path), str(path), "done", playable=True),
        Entry("s3://bucket/a.wav", "s3://bucket/out/a.wav", "done"),
    ]
    page = build(entries, facts(), tmp_path / "report", score=lambda samples, rate: {})
    _, here, there = map(json.loads, page.with_name("report.jsonl").read_text().splitlines())
    assert "scores" not in here
    assert here["preview"]["whole"]
    assert "preview" not in there
    assert '"links":[null,null]' in page.read_text()


def test_no_name_becomes_markup(report):
    text = report.read_text()
    assert "<img src=x" not in text
    assert "{{" not in text.replace("{{data}} ", "")


@pytest.mark.parametrize(
    ("name", "text"), [("index.html", "<html>my page</html>"), ("report.jsonl", '{"a": 1}')]
)
def test_a_page_of_the_users_is_not_replaced(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="not a report of dacse"):
        build([], facts(model="nano"), tmp_path)
    assert (tmp_path / name).read_text() == text


def test_a_report_is_replaced_by_the_next_one(tmp_path):
    assert build([], facts(model="nano"), tmp_path) == build([], facts(model="nano"), tmp_path)


def test_a_pipe_in_the_pages_place_is_refused(tmp_path):
    os.mkfifo(tmp_path / "index.html")
    with pytest.raises(UsageError, match="in the way"):
        build([], facts(model="nano"), tmp_path)


def test_an_order_by_scores_is_offered_only_with_scores():
    """Without dacse[evaluate] nothing has a score: the page says so instead of sorting by nothing."""
    assets = Path(packing.__file__).parent / "assets"
    page, script = (assets / "page.html").read_text(), (assets / "page.js").read_text()
    assert 'value="gain"' not in page and "dacse[evaluate]" in page
    assert 'if (files.some((file) => file.scores)) $("sort").append' in script
    assert '$("no-scores").hidden = scored.length > 0' in script
