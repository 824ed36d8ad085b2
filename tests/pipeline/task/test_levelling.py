"""Loudness, profiles and mtime with models that change nothing: only the level may differ, by one factor."""

import numpy as np
import pytest
from fakes import fake_models, on_grid

from dacse_cli.audio.loudness import LoudnessMeter, TruePeakMeter
from dacse_cli.config import SoundOptions
from dacse_cli.errors import OutputError, UsageError
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.task.writing import levelling
from dacse_cli.pipeline.task.writing.sinks import ArraySink

RATE = 16_000


def voice(seconds=3.0, channels=1, level=0.05):
    rng = np.random.default_rng(0)
    n = int(seconds * RATE)
    words = np.repeat(rng.choice([0.0, 0.2, 1.0], n // 4000 + 1), 4000)[:n]
    return on_grid(np.clip(rng.standard_normal((channels, n)) * words * level, -1, 1))


def enhanced(samples, **sound):
    """What comes out, and the warnings."""
    source, sink, ends = ArraySource(samples, Signal.of_array(samples, RATE)), ArraySink(), []
    models = fake_models(1000, 50, 250)
    task = [(0, lambda: EnhanceAudio(source, sink, models, SoundOptions(**sound).check()))]
    Engine(
        models,
        4,
        lambda block: task.pop() if task else None,
        lambda key, end: ends.append(end),
        print,
    ).run()
    return sink.samples, ends[0].warnings


def lufs(samples):
    meter = LoudnessMeter(RATE, len(samples))
    meter.push(samples)
    return meter.integrated()


def test_a_goal_in_lufs_is_reached_by_one_factor(monkeypatch):
    samples = voice()
    out, warnings = enhanced(samples, loudness=-30.0)
    assert (lufs(out), warnings) == (pytest.approx(-30, abs=0.05), ())
    factor = out[samples != 0] / samples[samples != 0]
    assert np.ptp(factor) < 1e-4
    monkeypatch.setattr(levelling, "IN_MEMORY", 1000)  # the same from a file
    np.testing.assert_array_equal(enhanced(samples, loudness=-30.0)[0], out)


def test_match_gives_the_loudness_of_the_input():
    """The input is what the result is made of: for `mono` the mean, 6 dB softer than its one loud channel."""
    samples = np.concatenate([voice(), np.zeros_like(voice())])
    for channels in ("keep", "mono"):
        plain, _ = enhanced(samples, channels=channels)
        matched, warnings = enhanced(samples, channels=channels, loudness="match")
        assert (lufs(matched), warnings) == (pytest.approx(lufs(plain), abs=0.05), ())
    half, _ = enhanced(samples, mix=0.5, loudness="match")
    assert lufs(half) == pytest.approx(lufs(samples), abs=0.05)


def test_the_true_peak_is_kept_and_the_miss_is_said():
    out, (warning,) = enhanced(voice(), loudness=-5.0, true_peak=-3.0)
    meter = TruePeakMeter(RATE, 1)
    meter.push(out)
    assert meter.finish() == pytest.approx(-3.0, abs=0.05)
    assert "LU below -5.0 LUFS" in warning and "-3 dB" in warning
    missed = float(warning.split()[0])
    assert f"`limiter` {'reaches it' if missed < 9 else 'comes closer'}" in warning
    _, (warning,) = enhanced(voice(), loudness=-1.0, true_peak=-20.0)
    assert "`limiter` comes closer" in warning
    _, warnings = enhanced(voice(), loudness=-1.0, true_peak=-20.0, limiter=True)
    assert all("`limiter`" not in warning for warning in warnings)


def test_without_loudness_the_level_is_untouched_and_silence_stays_silence():
    samples = voice()
    np.testing.assert_allclose(enhanced(samples)[0], samples, atol=1e-7)  # cross-fades round
    silence = np.zeros((1, RATE), np.float32)
    np.testing.assert_array_equal(enhanced(silence, loudness=-16.0)[0], silence)


def test_profiles():
    samples = voice()
    np.testing.assert_allclose(
        enhanced(samples, profile="gentle")[0], samples, atol=1e-6
    )  # nothing was changed
    strong, _ = enhanced(samples, profile="strong")
    assert strong.shape == samples.shape
    assert SoundOptions(profile="gentle", mix=0.8).share == pytest.approx(0.6)
    assert SoundOptions(mix=0.5).to_json() != SoundOptions(mix=0.5, profile="strong").to_json()


@pytest.mark.parametrize(
    "sound", [{"loudness": "loud"}, {"loudness": 3.0}, {"true_peak": 2.0}, {"profile": "wild"}]
)
def test_impossible_options_are_named(sound):
    with pytest.raises(UsageError, match=next(iter(sound))):
        SoundOptions(**sound).check()


def test_a_full_disk_under_the_waiting_result(monkeypatch, tmp_path):
    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

    sink = ArraySink()
    sink.folder = tmp_path
    levelled = levelling.LevelledSink(sink, RATE, 1, lambda: -16.0, -1.0)
    monkeypatch.setattr(levelled, "_spool", Full())
    with pytest.raises(OutputError, match="no space"):
        levelled.write(voice())


def test_a_limiter_reaches_what_peaks_would_forbid():
    samples = voice(6.0)
    samples[0, ::RATE] = 0.9
    missed, warnings = enhanced(samples, loudness=-24.0)
    assert lufs(missed) < -25 and "below" in warnings[0]
    reached, warnings = enhanced(samples, loudness=-24.0, limiter=True)
    assert (lufs(reached), warnings) == (pytest.approx(-24, abs=0.15), ())
    meter = TruePeakMeter(RATE, 1)
    meter.push(reached)
    assert meter.finish() <= -0.95


@pytest.mark.parametrize("goal", [-20.0, -18.0, -16.0])
def test_a_loudness_that_was_reached_is_no_reason_for_a_warning(goal):
    """The second pass finds out how much the limiter has taken, the following ones make up for it."""
    reached, warnings = enhanced(voice(6.0, level=0.12), loudness=goal, limiter=True)
    assert bool(warnings) == (goal - lufs(reached) > 0.11)
    assert lufs(reached) == pytest.approx(goal, abs=0.12)


def test_options_of_files_made_before_the_limiter_are_still_theirs():
    assert "limiter" not in SoundOptions(loudness=-16.0).to_json()
    limited = SoundOptions(loudness=-16.0, limiter=True)
    assert SoundOptions(**limited.to_json()) == limited
