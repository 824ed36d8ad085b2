"""What the guard believes and what it doubts: real speech in noise, good answers and planted faults."""

import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.pipeline.guard.frames import HOP, RATE, WINDOW, listen
from dacse_cli.pipeline.guard.loops import find_repetitions, repeats
from dacse_cli.pipeline.guard.measures import measure
from dacse_cli.pipeline.guard.verdict import THRESHOLDS, judge, loudness, windows
from dacse_cli.pipeline.wire.coding import from_json, to_json
from dacse_cli.pipeline.wire.guard_report import KEPT, PASSED, REPAIRED, GuardReport, Stretch, joined
from dacse_cli.training.mix.signals import add_at_snr

SOURCES = sorted((Path(__file__).parents[3] / "examples" / "sources").glob("*.opus"))


def speech(which: int, start: float = 0.7, seconds: float = 1.0) -> np.ndarray:
    samples, rate = soundfile.read(SOURCES[which], dtype="float32")
    samples = soxr.resample(samples, rate, RATE)
    return samples[int(start * RATE) : int((start + seconds) * RATE)].astype(np.float32)


def noisy(clean: np.ndarray, snr: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    return add_at_snr(clean, noise, snr)


def doubts(heard: np.ndarray, said: np.ndarray, mode: str = "normal") -> list[str]:
    frames = listen(heard)
    return judge(frames, listen(said), loudness(frames), THRESHOLDS[mode])


@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("snr", [0, 5, 15, 100])
@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.0])
def test_clean_speech_is_a_good_answer_to_itself_in_noise(which, snr, seconds):
    clean = speech(which, seconds=seconds)
    assert doubts(noisy(clean, snr), clean, "strict") == []


@pytest.mark.parametrize("snr", [5, 100])
@pytest.mark.parametrize("seconds", [1.0, 3.0])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (lambda clean: speech(7, seconds=len(clean) / RATE), "invented"),
        (lambda clean: np.zeros_like(clean), "dropped"),
        (lambda clean: clean * 0.12, "dropped"),
        (lambda clean: clean * 6, "too-loud"),
        (lambda clean: np.resize(clean[RATE // 4 : RATE // 2], len(clean)), "invented"),
    ],
)
def test_planted_faults_are_named(snr, seconds, fault, expected):
    clean = speech(2, seconds=seconds)
    assert expected in doubts(noisy(clean, snr), fault(clean).astype(np.float32))


def test_one_wrong_second_in_four_is_seen():
    clean = speech(2, seconds=4.0)
    wrong = clean.copy()
    wrong[2 * RATE : 3 * RATE] = speech(7)
    assert doubts(noisy(clean, 10), clean) == []
    assert doubts(noisy(clean, 10), wrong) != []


def test_speech_where_there_was_next_to_nothing():
    hiss = 1e-3 * np.random.default_rng(1).standard_normal(RATE).astype(np.float32)
    assert "invented" in doubts(hiss, speech(3))
    assert doubts(hiss, np.zeros(RATE, np.float32)) == []


def test_noise_that_is_taken_away_is_not_missed():
    """Rumble repeats at every lag and a tone at its own: neither is a voice that was dropped."""
    t = np.arange(RATE) / RATE
    rumble = np.convolve(np.random.default_rng(2).standard_normal(RATE), np.ones(99) / 30, "same")
    for sound in (rumble, 0.3 * np.sin(2 * np.pi * 250 * t)):
        assert doubts(sound.astype(np.float32), np.zeros(RATE, np.float32)) == []


def test_a_short_hole_may_be_filled_and_a_long_one_not():
    clean = speech(2)
    lost, gone = clean.copy(), clean.copy()
    lost[6000:7600] = 0  # a lost packet of 0.1 s
    gone[4000:12000] = 0
    assert doubts(lost, clean) == []
    assert doubts(gone, clean) != []


@given(st.integers(1, 700))
def test_windows_cover_a_chunk(frames):
    parts = windows(frames)
    assert parts[0][0] == 0 and parts[-1][1] == frames
    assert all(b[0] < a[1] and a[0] < b[0] for a, b in itertools.pairwise(parts))
    assert all(50 <= stop - start <= 150 for start, stop in parts) or frames < 50


@given(st.integers(0, 2000))
def test_any_length_can_be_judged(samples):
    some = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    frames = listen(some)
    assert len(frames) == max(1, (samples - WINDOW) // HOP + 1)
    measured = measure(frames, frames, loudness(frames))
    assert measured.excess == 0 and np.isfinite([measured.pitch, measured.gain, measured.kept]).all()


def test_listening_is_cheap():
    """About 2.5 ms per second of audio on a free core: 4 of 1000 where generation runs in real time."""
    sound = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    listen(sound)
    best = min(_cpu_seconds(lambda: listen(sound)) for _ in range(3))
    assert best < 0.2


def _cpu_seconds(work) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def test_stuck_codes_are_found_and_busy_ones_not():
    rng = np.random.default_rng(0)
    busy = rng.integers(0, 1024, (9, 86)).astype(np.int16)
    assert find_repetitions(busy, 86.1) == []
    stuck, looping = busy.copy(), busy.copy()
    stuck[:, 40:] = stuck[:, 40:41]
    looping[:4, 20:80] = np.tile(busy[:4, 20:25], 12)  # only the coarse codebooks repeat
    (found,) = [loop for loop in find_repetitions(stuck, 86.1) if loop.period == 1]
    assert (found.start, found.stop) == (40, 86)
    assert 5 in [loop.period for loop in find_repetitions(looping, 86.1)]
    assert repeats(stuck, found) and not repeats(busy, found)
    assert find_repetitions(busy[:, :1], 86.1) == []


def test_neighbours_are_told_as_one_stretch():
    def stretch(start, stop, outcome=PASSED, row=0, why="dropped"):
        return Stretch(start, stop, row, outcome, (why,))

    found = joined(
        [
            stretch(2, 3),
            stretch(0.95, 2, why="stuck"),
            stretch(0, 1),
            stretch(5, 6, REPAIRED),
            stretch(0, 1, row=1),
        ]
    )
    assert [(s.start, s.stop, s.row) for s in found] == [(0, 3, 0), (0, 1, 1), (5, 6, 0)]
    assert found[0].reasons == ("dropped", "stuck")
    report = GuardReport("normal", 1, 1, 4, found)
    assert from_json(GuardReport, json.loads(json.dumps(to_json(report)))) == report
    assert report.warnings() == ["4 of 6 chunks passed through unenhanced: 0:00.00-0:03.00, 0:00.00-0:01.00"]
    assert GuardReport("normal", 3, 1).warnings() == []
    assert KEPT not in {s.outcome for s in found}
