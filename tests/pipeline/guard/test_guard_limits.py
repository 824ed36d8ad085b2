"""The guard's numbers one by one: what is just believed and just not, on frames made by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.pipeline.guard.frames import HOP, RATE, Frames, count, listen
from dacse_cli.pipeline.guard.loops import Repetition, find_repetitions, repeats
from dacse_cli.pipeline.guard.measures import Measures, measure
from dacse_cli.pipeline.guard.transcripts import Opinion, described, later_and_softer, opinion, pause
from dacse_cli.pipeline.guard.verdict import THRESHOLDS, doubts, loudness, sounds, windows
from dacse_cli.speech.recogniser import Transcript

GOOD = Measures(excess=0.0, likeness=1.0, pitch=1.0, voiced=8, gain=0.0, spoken=4, kept=0.0)
EDGES = {
    "normal": {"excess": 1.8, "pitch": 0.3, "gain": 9.0, "kept": -9.0},
    "strict": {"excess": 1.0, "pitch": 0.35, "gain": 7.0, "kept": -8.0},
}
NAMES = {"excess": "invented", "pitch": "other-pitch", "gain": "too-loud", "kept": "dropped"}
WORSE = {"excess": 0.01, "pitch": -0.01, "gain": 0.01, "kept": -0.01}
EVIDENCE = {"pitch": "voiced", "gain": "voiced", "kept": "spoken"}


@pytest.mark.parametrize("mode", EDGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_doubt_begins_behind_its_limit(mode: str, name: str) -> None:
    limit, edge = THRESHOLDS[mode], EDGES[mode][name]
    assert doubts(replace(GOOD, **{name: edge}), limit) == []
    bad = replace(GOOD, **{name: edge + WORSE[name]})
    assert doubts(bad, limit) == [NAMES[name]]
    if name in EVIDENCE:
        few = getattr(GOOD, EVIDENCE[name]) - 1
        assert doubts(replace(bad, **{EVIDENCE[name]: few}), limit) == []


def test_windows_of_a_long_chunk() -> None:
    """The last one takes what is left over, up to half a window more."""
    assert windows(125) == [(0, 125)]
    assert windows(126) == [(0, 126)]
    assert windows(151) == [(0, 100), (50, 151)]
    assert windows(400) == [(0, 100), (50, 150), (100, 200), (150, 250), (200, 300), (250, 400)]


def test_a_loop_lasts_and_its_period_is_short() -> None:
    """At 100 frames per second: 0.3 s of repetition, periods up to 0.25 s, three periods of it."""
    rng = np.random.default_rng(0)

    def looping(period: int, length: int) -> np.ndarray:
        codes = rng.integers(0, 1024, (9, 200)).astype(np.int16)
        codes[:4, 20 : 20 + length] = np.resize(codes[:4, 20 : 20 + period].T, (length, 4)).T
        return codes

    assert Repetition(20, 50, 1) in find_repetitions(looping(1, 30), 100.0)
    assert find_repetitions(looping(1, 29), 100.0) == []
    assert Repetition(0, 30, 1) in find_repetitions(looping(1, 30)[:, 20:50], 100.0)  # the whole of a chunk
    assert Repetition(20, 95, 25) in find_repetitions(looping(25, 75), 100.0)
    assert find_repetitions(looping(25, 74), 100.0) == []
    assert find_repetitions(looping(26, 150), 100.0) == []
    codes, loop = looping(1, 30), Repetition(20, 50, 1)
    half = codes.copy()
    half[0, 21:49:2] += 1  # each breaks two of 29 steps
    assert repeats(codes, loop) and not repeats(half, loop)
    quarter = codes.copy()
    quarter[0, 22:35:2] += 1  # 14 of 29
    assert repeats(quarter, loop)
    assert repeats(quarter, Repetition(20, 49, 1))  # just half of 28 steps


@settings(max_examples=40)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=40))
def test_the_longest_run_is_the_loop(codes: list[int]) -> None:
    """At 4 frames per second a loop is one frame, three times or more."""
    runs = [len(list(same)) for _, same in itertools.groupby(codes)]
    at = runs.index(max(runs))
    start, stop = sum(runs[:at]), sum(runs[: at + 1])
    want = [Repetition(start, stop, 1)] if stop - start >= 3 else []
    assert find_repetitions(np.array([codes], np.int16), 4.0) == want


def transcript(words: list[str], sureness: float = -0.2) -> Transcript:
    return Transcript(tuple(words), "en", sureness)


def test_words_count_from_a_certain_number_on() -> None:
    def changed(words: list[str], count: int) -> list[str]:
        return ["x"] * count + words[count:]

    ten, twenty = list("abcdefghij"), list("abcdefghijklmnopqrst")
    for words, wrong, wavering, want in (
        (ten, 3, 0, Opinion.SAME),
        (ten, 4, 0, Opinion.OTHER),
        (ten, 4, 1, Opinion.OTHER),
        (ten, 4, 2, Opinion.NONE),
        (twenty, 7, 2, Opinion.OTHER),
        (twenty, 7, 3, Opinion.NONE),
        (list("abc"), 2, 0, Opinion.SAME),
        (list("abc"), 3, 0, Opinion.OTHER),
        (list("ab"), 2, 0, Opinion.NONE),
    ):
        again = transcript(changed(words, wavering))
        assert opinion(transcript(words), transcript(changed(words, wrong)), lambda t=again: t) is want
    for sureness, want in ((-0.6, Opinion.OTHER), (-0.61, Opinion.NONE)):
        heard = transcript(ten, sureness)
        assert opinion(heard, transcript(changed(ten, 4)), lambda h=heard: h) is want


def test_what_differs_is_told_in_words() -> None:
    heard, said = transcript(["turn", "the", "very", "light"]), transcript(["turn", "the", "night", "off"])
    assert described(heard, said) == ("very light -> night off",)
    assert described(heard, transcript(["turn", "the", "light"])) == ("very -> (nothing)",)
    assert described(heard, heard) == ()


def test_a_pause_is_cut_in_its_middle() -> None:
    """0.2 s are ten steps of 320 samples."""
    samples = np.ones(2 * RATE, np.float32)
    first = 5000
    samples[first + 7 * 320 : first + 17 * 320] = 0
    assert pause(samples, first, 2 * RATE) == first + 12 * 320
    again = later_and_softer(samples)
    assert len(again) == len(samples) + 4000 and not again[:4000].any()
    np.testing.assert_allclose(again[4000:], 0.7 * samples)


def flat(frames: int, power: float) -> np.ndarray:
    return np.full((frames, 20), power, np.float32)


def frames_of(bands: np.ndarray, peak: float = 0.0, at: int = 5) -> Frames:
    """Frames with so much of a row of harmonics at lag number `at`, out of 95."""
    harmonic = np.full((len(bands), 95), -0.1 * peak, np.float32)
    harmonic[:, at] = peak
    power = bands.mean(axis=1)
    return Frames(bands, power, harmonic * power[:, None], harmonic)


@pytest.mark.parametrize(("louder", "excess"), [(0, 0.0), (3, 0.0), (10, 7.0), (23, 20.0), (40, 20.0)])
def test_excess_is_what_stands_out_by_more_than_three_decibels(louder: float, excess: float) -> None:
    heard, said = frames_of(flat(40, 1e-2)), frames_of(flat(40, 1e-2 * 10 ** (louder / 10)))
    assert measure(heard, said, 1e-2).excess == pytest.approx(excess, abs=1e-3)


def test_excess_is_weighted_by_loudness_within_25_decibels() -> None:
    """The first half of the bands 20 dB louder than heard, the second half 5 dB below the first's range."""
    heard, said = flat(40, 1e-2), flat(40, 1.0)
    said[:, 10:] = 10 ** (-2.6)
    assert measure(frames_of(heard), frames_of(said), 1e-2).excess == pytest.approx(17.0, abs=1e-3)
    said[:, 10:] = 10 ** (-1.5)  # 10 dB within it, 5 dB above what was heard
    want = (25 * 17 + 10 * 2) / 35
    assert measure(frames_of(heard), frames_of(said), 1e-2).excess == pytest.approx(want, abs=1e-3)


@pytest.mark.parametrize(("silent", "excused"), [(15, True), (16, False)])
def test_a_hole_may_last_fifteen_frames(silent: int, excused: bool) -> None:
    heard, said = flat(60, 1e-2), flat(60, 1e-2)
    heard[20 : 20 + silent] = 0
    assert (measure(frames_of(heard), frames_of(said), 1e-2).excess == 0) is excused


def test_every_hole_is_excused() -> None:
    heard, said = flat(60, 1e-2), flat(60, 1e-2)
    for part in (slice(1, 3), slice(10, 20), slice(58, 59)):
        heard[part] = 0
    assert measure(frames_of(heard), frames_of(said), 1e-2).excess == 0


def test_silence_at_an_end_is_no_hole() -> None:
    for part in (slice(0, 5), slice(55, 60)):
        heard, said = flat(60, 1e-2), flat(60, 1e-2)
        heard[part] = 0
        assert measure(frames_of(heard), frames_of(said), 1e-2).excess > 1


def test_what_is_inaudible_is_not_judged() -> None:
    """Below 40 dB under the loudest around, and below a floor of its own."""
    for loudest, power in ((1.0, 0.9e-4), (1e-3, 0.9e-5)):
        heard, said = frames_of(flat(40, 0.0)), frames_of(flat(40, power))
        assert measure(heard, said, loudest).excess == 0
        found = measure(heard, frames_of(flat(40, 2 * power)), loudest)
        # what was not heard counts as 10 dB below what is audible, and 3 dB are excused
        assert found.excess == pytest.approx(10 * np.log10(1.8 * 10) - 3, abs=1e-3)


def test_likeness_is_a_correlation() -> None:
    rising = flat(40, 1e-3) * np.geomspace(1, 100, 40, dtype=np.float32)[:, None]
    assert measure(frames_of(rising), frames_of(rising), 0.1).likeness == pytest.approx(1, abs=1e-4)
    assert measure(frames_of(rising), frames_of(rising[::-1]), 0.1).likeness < -0.9
    for silent in (flat(40, 0), rising * 1e-5):
        assert measure(frames_of(rising), frames_of(silent), 0.1).likeness == 0
    a, b = np.random.default_rng(0).uniform(1e-4, 1e-2, (2, 40, 20)).astype(np.float32)
    loud = [(x + 1e-6) ** 0.15 for x in (a.astype(float), b.astype(float))]
    want = np.corrcoef(*((x - x.mean(axis=0)).ravel() for x in loud))[0, 1]
    for scale in (1, 1e6):  # the floor is 50 dB below the loudest
        found = measure(frames_of(a * scale), frames_of(b * scale), 1e-1 * scale).likeness
        assert found == pytest.approx(want, rel=1e-3)


def test_voices_are_compared_at_the_answers_pitch() -> None:
    """Harmonics 0.5 said and 0.4 heard at the same lag or the next; twice the power is 3 dB less 1 dB."""
    said = frames_of(flat(40, 2e-2), 0.5)
    for at, pitch in ((5, 0.8), (6, 0.8), (4, 0.8), (7, -0.08)):
        found = measure(frames_of(flat(40, 1e-2), 0.4, at), said, 2e-2)
        assert (found.voiced, found.pitch) == (40, pytest.approx(pitch, abs=1e-4))
        if pitch > 0:
            assert found.gain == pytest.approx(10 * np.log10(2 * 0.5 / 0.4), abs=1e-3)
    for at in (0, 94):  # the shortest and the longest lag
        said = frames_of(flat(40, 2e-2), 0.5, at)
        assert measure(frames_of(flat(40, 1e-2), 0.4, at), said, 2e-2).pitch == pytest.approx(0.8, abs=1e-4)
    none = measure(frames_of(flat(40, 1e-2), 0.4), frames_of(flat(40, 2e-2), 0.24), 1.0)
    assert (none.voiced, none.pitch, none.gain) == (0, 1, 0)
    assert measure(frames_of(flat(40, 0.0)), frames_of(flat(40, 1e-4), 0.5), 1e-2).gain == 60


def test_louder_frames_count_more_for_the_pitch() -> None:
    """By their amplitude: frames of four times the power count twice."""
    bands, heard = flat(40, 1e-2), frames_of(flat(40, 1e-2), 0.5)
    bands[:20] *= 4
    heard.harmonic[:20] *= 0.4
    found = measure(heard, frames_of(bands, 0.5), 1e-2)
    assert found.pitch == pytest.approx((2 * 0.4 + 1) / 3, abs=1e-4)


def test_speech_is_kept_at_the_inputs_pitch() -> None:
    """Clearly voiced frames within 15 dB of the loudest around."""
    heard = frames_of(flat(40, 1e-2), 0.5)
    for loudest, spoken in ((10 ** (-0.51), 40), (10 ** (-0.49), 0)):
        found = measure(heard, frames_of(flat(40, 1e-3)), loudest)
        assert found.spoken == spoken
    assert measure(heard, frames_of(flat(40, 1e-3)), 1e-2).kept == pytest.approx(10 * np.log10(0.2), abs=1e-3)
    assert measure(heard, frames_of(flat(40, 0.0)), 1e-2).kept == -60
    none = measure(frames_of(flat(40, 1e-2), 0.19), frames_of(flat(40, 1e-3)), 1e-2)
    assert (none.spoken, none.kept) == (0, 0)


def test_a_tone_is_no_voice() -> None:
    """It repeats after half its period upside down; harmonics do not."""
    tone = frames_of(flat(40, 1e-2), 0.5)
    tone.harmonic[:, 50] = -0.31
    assert measure(tone, tone, 1e-2).voiced == measure(tone, tone, 1e-2).spoken == 0
    tone.harmonic[:, 50] = -0.29
    assert measure(tone, tone, 1e-2).voiced == measure(tone, tone, 1e-2).spoken == 40


def test_quiet_frames_are_no_voice() -> None:
    """25 dB below the answer's loudest."""
    bands = flat(40, 1e-2)
    bands[:10] = 10 ** (-4.51)
    bands[10:20] = 10 ** (-4.49)
    heard = frames_of(flat(40, 1e-2), 0.5)
    assert measure(heard, frames_of(bands, 0.5), 1e-2).voiced == 30


def test_frames_of_a_row_of_harmonics() -> None:
    """125 Hz repeats after 64 steps of 1/8000 s, the 45th lag of 20 to 114; its power is in its bands."""
    t = np.arange(RATE) / RATE
    sound = sum(np.cos(2 * np.pi * 125 * n * t) for n in range(1, 12)).astype(np.float32)
    frames = listen(sound)
    assert frames.harmonic.shape == (97, 95) and frames.bands.shape == (97, 20)
    assert (frames.harmonic.argmax(axis=1) == 44).all() and frames.harmonic.max() > 0.5
    np.testing.assert_allclose(frames.periodic[:, 44], frames.power, rtol=0.1)
    assert frames.bands[:, :9].sum() > 30 * frames.bands[:, 13:].sum()
    louder = listen(2 * sound)
    np.testing.assert_allclose(louder.power, 4 * frames.power, rtol=1e-3)
    part = frames.part(3, 8)
    assert len(part) == 5 and (part.bands == frames.bands[3:8]).all()
    assert [count(samples) for samples in (0, 640, 799, 800, RATE)] == [1, 1, 1, 2, 97]
    assert len(listen(sound[: 640 + HOP])) == 2


def test_frames_are_what_their_definitions_say() -> None:
    """The slow way: one window of 40 ms, power up to 4 kHz, triangles by ear, correlation by cosines."""
    t = np.arange(640 + 2 * 160) / 16_000
    sound = sum(np.cos(2 * np.pi * 97 * n * t + n * n) for n in range(1, 30))
    sound = (sound + np.random.default_rng(0).standard_normal(len(t))).astype(np.float32)
    window = np.hanning(642)[1:-1]
    window /= np.sqrt(np.square(window).sum())
    hz = np.arange(257) * 15.625
    mel = np.linspace(*(2595 * np.log10(1 + np.array([100, 4000]) / 700)), 22)
    edges = 700 * (10 ** (mel / 2595) - 1)
    lags = np.arange(20, 115)  # 400 Hz to 70 Hz
    cosines = np.cos(2 * np.pi * np.outer(np.arange(257), lags) / 512)
    taper = np.array([(window[2 * lag :] * window[: 640 - 2 * lag]).sum() for lag in lags])
    frames = listen(sound)
    assert len(frames) == 3
    for n in range(3):
        power = np.abs(np.fft.rfft(sound[160 * n : 160 * n + 640] * window, 1024)[:257]) ** 2
        want = [(power * np.interp(hz, edges[b : b + 3], [0, 1, 0])).sum() for b in range(20)]
        np.testing.assert_allclose(frames.bands[n], want, rtol=1e-4)
        voice = np.where((hz >= 80) & (hz < 1500), power, 0)
        assert frames.power[n] == pytest.approx(2 * voice.sum() / 512, rel=1e-5)
        np.testing.assert_allclose(
            frames.periodic[n], 2 * voice @ cosines / 512 / taper, atol=2e-5 * frames.power[n]
        )
        root = np.cbrt(voice)
        np.testing.assert_allclose(frames.harmonic[n], root @ cosines / root.sum(), atol=1e-5)


def test_level_and_length_of_a_sound_do_not_decide_on_its_voice() -> None:
    t = np.arange(640) / RATE
    sound = sum(np.cos(2 * np.pi * 125 * n * t) for n in range(1, 12)).astype(np.float32)
    np.testing.assert_allclose(listen(1e-6 * sound).harmonic, listen(sound).harmonic, atol=1e-3)
    padded = np.concatenate([sound[:400], np.zeros(240, np.float32)])
    np.testing.assert_array_equal(listen(sound[:400]).bands, listen(padded).bands)


def test_white_noise_fills_a_band_by_its_width() -> None:
    noise = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    bands = listen(noise).bands.mean(axis=0)
    assert (np.diff(bands) > 0).mean() > 0.8  # wider from band to band
    assert bands.sum() == pytest.approx(249, rel=0.1)  # bins of 100 to 4000 Hz, less the ends' slopes


def test_loudness_and_silence() -> None:
    bands = flat(100, 1e-3)
    bands[:3, 4] = 1.0
    assert 1e-3 < loudness(frames_of(bands)) <= 1.0
    bands[2, 4] = bands[1, 4] = 1e-3
    assert loudness(frames_of(bands)) == pytest.approx(1e-3)
    for power, loudest, want in (
        (10 ** (-4.49), 1e-2, True), (10 ** (-4.51), 1e-2, False),
        (1.1e-5, 0.0, True), (0.9e-5, 0.0, False),
    ):  # fmt: skip
        assert sounds(frames_of(flat(10, power)), 2, 8, loudest) is want
    assert not sounds(frames_of(flat(10, 1.0)), 4, 4, 0.0)
