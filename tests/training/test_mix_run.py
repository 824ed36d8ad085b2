"""Data sets as they lie on disk: measured against their manifest, and the same however they came to be."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import fftconvolve

from dacse_cli.errors import InputError, LockedError, NoInputError, UsageError
from dacse_cli.training.mix.plan import MixOptions, plan_mix
from dacse_cli.training.mix.run import run_mix, write_pair
from dacse_cli.training.mix.signals import limit_band
from dacse_cli.training.sound.level import power
from dacse_cli.training.sound.manifest import Manifest, read_manifest
from dacse_cli.training.sound.segments import Segmenting
from dacse_cli.training.sound.splits import parse_splits

RATE = 16_000
SHORT = Segmenting(0.5, 1.0, 1.5)
ALL = "clean=1,white=3,loss=3,white-loss=3,natural=4,reverb=3,downsample=3,mixture=12,codec=1,clip=3"


def speech_like(samples, rng):
    """Noise in syllables: broad in its spectrum, uneven in time, with no repetition."""
    envelope = np.repeat(rng.uniform(0.05, 1.0, samples // 1600 + 1), 1600)[:samples]
    return 0.12 * envelope * rng.standard_normal(samples)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Clean mono at two rates by four speakers; noise in stereo, one recording shorter than any part."""
    folder, rng = tmp_path_factory.mktemp("material"), np.random.default_rng(7)
    for i in range(12):
        rate = (16_000, 24_000)[i % 2]
        (folder / "clean" / f"s{i % 4}").mkdir(parents=True, exist_ok=True)
        sound = speech_like(int(rate * rng.uniform(0.6, 4.0)), rng)
        sf.write(folder / "clean" / f"s{i % 4}" / f"{i}.wav", sound, rate)
    (folder / "noise").mkdir()
    for i, seconds in enumerate((0.3, 2.0, 5.0)):
        sf.write(
            folder / "noise" / f"{i}.flac", 0.05 * rng.standard_normal((int(48_000 * seconds), 2)), 48_000
        )
    return folder


def files(folder):
    return [(p.relative_to(folder).as_posix(), p) for p in sorted(folder.rglob("*.*"))]


def planned(material, out, **options):
    settings = {"recipe": ALL, "rate": RATE, "lengths": SHORT, "room": "decay", "format": "wav", "seed": 5}
    return plan_mix(
        files(material / "clean"), files(material / "noise"), [], out, MixOptions(**{**settings, **options})
    )


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def db(ratio):
    return 10 * np.log10(ratio + 1e-12)


def lost_packets(speech, noisy, packet):
    """Samples in packets that the noisy one does not hold: by regression, whatever lies over them."""
    lost = np.zeros(len(speech), bool)
    for start in range(0, len(speech), packet):
        a, b = speech[start : start + packet], noisy[start : start + packet]
        lost[start : start + packet] = a @ b < 0.5 * (a @ a)
    return lost


def expected_difference(drawn, clean, noisy):
    """(What speech itself became, power of all that was added), from the steps in the manifest's order."""
    speech, added = clean, 0.0
    if "low_rate" in drawn:
        speech = limit_band(speech, RATE, drawn["low_rate"])
    if "white_snr_db" in drawn:
        added += power(speech) * 10 ** (-drawn["white_snr_db"] / 10)
    if "drop" in drawn:
        lost = lost_packets(speech, noisy, drawn["packet"])
        speech, added = np.where(lost, 0.0, speech), added * (1 - lost.mean())
    for key in ("natural_snr_db", "dry_to_wet_db"):
        if key in drawn:
            added += (power(speech) + added) * 10 ** (-drawn[key] / 10)
    return speech, added


def check_additive(drawn, clean, noisy):
    speech, added = expected_difference(drawn, clean, noisy)
    difference = power(noisy - speech)
    if added == 0.0:
        assert difference < 1e-8
        return
    steps = {"white_snr_db", "drop", "natural_snr_db", "dry_to_wet_db"} & drawn.keys()
    assert abs(db(difference / added)) < (0.1 if len(steps) == 1 else 1.0), drawn


def check_loss_alone(drawn, clean, noisy):
    lost = noisy != clean
    assert not noisy[lost].any()
    for start in range(0, len(clean), drawn["packet"]):
        packet = slice(start, start + drawn["packet"])
        assert not noisy[packet].any() or np.array_equal(noisy[packet], clean[packet])


def check_band(drawn, clean, noisy):
    spectrum, clean_spectrum = (np.abs(np.fft.rfft(x)) ** 2 for x in (noisy, clean))
    hertz = np.fft.rfftfreq(len(noisy), 1 / RATE)
    above, below = hertz > 0.55 * drawn["low_rate"], hertz < 0.45 * drawn["low_rate"]
    assert db(spectrum[above].sum() / clean_spectrum[above].sum()) < -40
    assert abs(db(spectrum[below].sum() / clean_spectrum[below].sum())) < 0.1


def check_codec(drawn, clean, noisy):
    correlation = fftconvolve(noisy, clean[::-1])
    assert abs(int(np.argmax(correlation)) - (len(clean) - 1)) <= (0 if drawn["codec"] == "mp3" else 3)


def check_clip(drawn, clean, noisy):
    level = np.abs(noisy).max()
    clipped = np.abs(clean) >= level
    assert clipped.mean() == pytest.approx(drawn["clipped_share"], abs=0.002)
    np.testing.assert_array_equal(noisy[~clipped], clean[~clipped])


CHECKS = {"loss": check_loss_alone, "downsample": check_band, "codec": check_codec, "clip": check_clip}


@pytest.fixture(scope="module")
def two_hundred(material, tmp_path_factory):
    out = tmp_path_factory.mktemp("pairs")
    run_mix(planned(material, out, count=200))
    return out


def test_two_hundred_pairs_are_what_their_manifest_says(two_hundred):
    """The published generator kept no record, and its severities held for one sample rate only."""
    rows, dropped, meant = read_manifest(two_hundred), 0, 0.0
    assert len(rows) == 200
    for row in rows:
        (clean, rate), (noisy, _) = (sf.read(two_hundred / row[kind]) for kind in ("clean", "noisy"))
        assert rate == row["sample_rate"] == RATE
        assert len(clean) == len(noisy) == row["samples"]
        assert max(np.abs(clean).max(), np.abs(noisy).max()) < 0.99
        CHECKS.get(row["task"], check_additive)(row["drawn"], clean, noisy)
        if row["task"] == "loss":
            lost = lost_packets(clean, noisy, row["drawn"]["packet"])
            dropped, meant = dropped + lost.mean(), meant + row["drawn"]["drop"]
    assert dropped == pytest.approx(meant, rel=0.5)
    assert {row["task"] for row in rows} == {name.split("=")[0] for name in ALL.split(",")}


def test_clean_is_the_recording_itself_under_the_gain(two_hundred, material):
    """A clean side that is normalised, moved or of another place teaches a model to do the same."""
    for row in read_manifest(two_hundred)[:40]:
        source, rate = sf.read(material / "clean" / row["speech"])
        if rate == RATE:
            clean, _ = sf.read(two_hundred / row["clean"])
            part = row["gain"] * source[row["start"] : row["start"] + row["samples"]]
            np.testing.assert_allclose(clean, part, atol=1.01 / 32768)


def test_processes_do_not_change_a_byte(two_hundred, material, tmp_path):
    """Rows that share a generator, or a manifest in the order of whoever was first."""
    run_mix(planned(material, tmp_path, count=12), jobs=2)
    there = contents(two_hundred)
    for name, data in contents(tmp_path).items():
        assert there[name][: len(data)] == data


def test_a_killed_run_goes_on_to_the_same_bytes(two_hundred, material, tmp_path):
    """A kill between a pair and its line, or inside a line, must leave nothing double, torn or missing."""
    out = tmp_path / "pairs"
    command = ["mix", material / "clean", "--noise", material / "noise", out, "--recipe", ALL]
    command += ["--rate", RATE, "--seconds", 1, "--max-seconds", 1.5, "--room", "decay", "--format", "wav"]
    process = subprocess.Popen([sys.executable, "-m", "dacse_cli", *map(str, command), "--count", "500"])
    deadline = time.monotonic() + 60
    while not (out / "clean" / "00000004.wav").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with (out / "manifest.jsonl").open("ab") as file:
        file.write(b'{"row": 5, "task": "mix')
    (out / "noisy" / "00000001.wav").unlink()
    options = {"lengths": Segmenting(1.0, 1.0, 1.5), "seed": 0, "count": 10 + len(read_manifest(out))}
    assert run_mix(planned(material, out, **options)).there == options["count"] - 11
    run_mix(planned(material, tmp_path / "again", **options))
    assert contents(out) == contents(tmp_path / "again")


def test_a_larger_count_extends_and_nothing_is_done_twice(material, tmp_path):
    run_mix(planned(material, tmp_path, count=3))
    before = contents(tmp_path)
    report = run_mix(planned(material, tmp_path, count=5))
    assert (report.written, report.there) == (2, 3)
    assert all(contents(tmp_path)[name][: len(data)] == data for name, data in before.items())


def test_any_row_can_be_made_alone(two_hundred, material, tmp_path):
    (work,) = planned(material, tmp_path, count=200).works
    assert write_pair(work, 137) == read_manifest(two_hundred)[137]
    path = "noisy/00000137.wav"
    assert (tmp_path / path).read_bytes() == (two_hundred / path).read_bytes()


def test_other_settings_do_not_go_into_a_begun_folder(material, tmp_path):
    """Half a set at one rate and half at another, under one manifest."""
    run_mix(planned(material, tmp_path, count=1))
    with pytest.raises(UsageError, match="other settings: rate, seed"):
        run_mix(planned(material, tmp_path, count=1, rate=8000, seed=6))


def test_two_runs_do_not_write_one_folder(material, tmp_path):
    with Manifest(tmp_path), pytest.raises(LockedError):
        Manifest(tmp_path).__enter__()


def test_a_manifest_with_a_hole_is_refused(tmp_path):
    """Appending to it would give two rows one number."""
    (tmp_path / "manifest.jsonl").write_text('{"row": 0}\n{"row": 2}\n')
    with pytest.raises(InputError, match="line 2"):
        read_manifest(tmp_path)


def test_splits_share_no_speaker_and_no_noise(material, tmp_path):
    """The published splits draw from the same folders: tested with what was learnt."""
    run_mix(planned(material, tmp_path, count=20, splits=parse_splits("train=2,test=1"), recipe="natural"))
    heard = {}
    for name, count in (("train", 13), ("test", 7)):
        rows = read_manifest(tmp_path / name)
        assert len(rows) == count
        noises = {noise["file"] for row in rows for noise in row["drawn"]["noises"]}
        heard[name] = {row["speaker"] for row in rows} | noises
    assert not heard["train"] & heard["test"]


def test_what_cannot_be_used_is_passed_over_and_named(material, tmp_path):
    """The published generator draws a broken file again and again until it stops."""
    folder = tmp_path / "clean"
    folder.mkdir()
    sf.write(folder / "good.wav", speech_like(RATE, np.random.default_rng(0)), RATE)
    sf.write(folder / "silent.wav", np.zeros(RATE), RATE)
    sf.write(folder / "short.wav", np.ones(100), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF")
    options = MixOptions(recipe="white", rate=RATE, lengths=SHORT, count=4)
    mix = plan_mix(files(folder), [], [], tmp_path / "out", options)
    assert mix.too_short == 1
    assert [refused.path.name for refused in mix.refused] == ["broken.wav"]
    run_mix(mix)
    rows = read_manifest(tmp_path / "out")
    assert {row["speech"] for row in rows} == {"good.wav"}
    assert sum("passed_over" in row for row in rows) == 2
    assert "silent" in next(row["passed_over"][0] for row in rows if "passed_over" in row)


def test_useless_recordings_end_the_run_in_words(tmp_path):
    """Ten silent parts in turn: an error with its reason, which must live through a process border."""
    for name in "ab":
        sf.write(tmp_path / f"{name}.wav", np.zeros(RATE), RATE)
    mix = plan_mix(files(tmp_path), [], [], tmp_path / "out", MixOptions(recipe="white", rate=RATE))
    with pytest.raises(InputError, match="10 attempts in turn failed") as caught:
        run_mix(mix)
    restored = pickle.loads(pickle.dumps(caught.value))
    assert (restored.message, restored.reason) == (caught.value.message, "no-usable-source")


def test_noise_that_is_needed_and_not_given_is_asked_for(material, tmp_path):
    with pytest.raises(UsageError, match="mixture") as caught:
        plan_mix(files(material / "clean"), [], [], tmp_path, MixOptions())
    assert "`noise`" in caught.value.hint
    with pytest.raises(NoInputError):
        plan_mix([("x", Path("/nowhere"))], [], [], tmp_path, MixOptions(recipe="white"))


def test_the_command(material, tmp_path, capfd):
    """Lines for scripts on stdout, one a pair and a summary; the output folder inside CLEAN is no input."""
    from typer.testing import CliRunner

    from dacse_cli.cli.app import app

    clean = tmp_path / "clean"
    clean.mkdir()
    sf.write(clean / "a.wav", speech_like(RATE, np.random.default_rng(0)), RATE)
    command = ["mix", str(clean), str(clean / "out"), "--recipe", "white", "--rate", "16000", "--json"]
    for written in (1, 0):
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0
        *pairs, summary = map(json.loads, result.stdout.splitlines())
        assert [pair["task"] for pair in pairs] == ["white"] * written
        assert (summary["type"], summary["written"], summary["there"]) == ("summary", written, 1 - written)


def test_twenty_times_real_time_on_one_core(material, tmp_path):
    """Processor time at 44.1 kHz, resampling, encoding and reading back included; usually 40 to 100 times."""
    (work,) = planned(
        material, tmp_path, recipe="general", rate=44_100, format="flac", lengths=Segmenting(), count=20
    ).works
    write_pair(work, 0)
    begun = time.process_time()
    seconds = sum(write_pair(work, index)["samples"] for index in range(1, 20)) / 44_100
    assert seconds / (time.process_time() - begun) > 20
