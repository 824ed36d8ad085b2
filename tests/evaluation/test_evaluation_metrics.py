"""Each metric against values known beforehand, or against the order every listener would give."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
import soundfile as sf
import soxr

from dacse_cli.errors import ModelError
from dacse_cli.evaluation.metric import Clip, Remembered, ScoringOptions, UnscorableError
from dacse_cli.evaluation.metrics import mos, pesq, speaker, speech_bert_score, stoi, wer
from dacse_cli.evaluation.metrics.lsd import log_spectral_distance, window_size
from dacse_cli.evaluation.metrics.si_sdr import LIMIT_DB, si_sdr
from dacse_cli.evaluation.registry import METRICS

RATE = 16_000
WITH_MODELS_AT_HAND = [metric for metric in METRICS if metric is not speech_bert_score.METRIC]


def speech(examples, kind: str, name: str) -> np.ndarray:
    path = next((examples / kind).rglob(f"{name}.*"))
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE).astype(np.float32)


@pytest.fixture(scope="module")
def clean(examples):
    return speech(examples, "clean", "fan")


@pytest.fixture(scope="module")
def noisy(examples):
    return speech(examples, "noisy", "fan")


def loaded(metric):
    """The metric's scorer; the test is skipped, with the reason, where a package is missing."""
    for package in metric.packages:
        pytest.importorskip(
            package, reason=f"{metric.name} needs {package}: {metric.install}", exc_type=ImportError
        )
    lacking = metric.lacks(ScoringOptions())
    if lacking:
        pytest.skip(lacking)
    return load_once(metric)


@lru_cache
def load_once(metric):
    if "torch" in metric.packages or metric is speaker.METRIC:
        import torch

        torch.set_num_threads(1)
    return metric.load(ScoringOptions())


def values(scorer, samples, clean) -> list[float]:
    return [score.value for score in scorer(Clip(samples, clean, RATE))]


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5])
@pytest.mark.parametrize("gain", [0.25, -3.0])
def test_si_sdr_of_orthogonal_noise_is_its_snr_at_any_gain(snr_db, gain):
    """Would catch a ratio taken before the projection, or one that the level changes."""
    rng = np.random.default_rng(0)
    target, noise = rng.standard_normal((2, 4000))
    target, noise = target - target.mean(), noise - noise.mean()
    noise -= target * (noise @ target) / (target @ target)
    noise *= np.sqrt((target @ target) / (noise @ noise)) * 10 ** (-snr_db / 20)
    assert si_sdr(gain * (target + noise) + 0.5, target) == pytest.approx(snr_db, abs=1e-6)


def test_si_sdr_stays_finite_at_its_ends():
    """An exact copy would make every mean infinite, silence would make it NaN."""
    target = np.sin(np.arange(1000, dtype=np.float32))
    assert si_sdr(target, target) == LIMIT_DB
    assert si_sdr(np.zeros_like(target), target) == -LIMIT_DB
    with pytest.raises(UnscorableError, match="silent"):
        si_sdr(target, np.zeros_like(target))


def test_lsd_is_zero_for_a_copy_and_the_level_for_a_gain():
    """A gain of 2 moves every bin by 6.02 dB: catches a wrong power or logarithm."""
    noise = np.random.default_rng(1).standard_normal(RATE).astype(np.float32)
    assert log_spectral_distance(noise, noise, RATE) == 0
    assert log_spectral_distance(2 * noise, noise, RATE) == pytest.approx(20 * np.log10(2), abs=1e-5)


def test_lsd_in_blocks_equals_lsd_at_once(monkeypatch, clean, noisy):
    """Frames are taken block by block to bound memory; a frame lost at a border would change the mean."""
    whole = log_spectral_distance(noisy, clean, RATE)
    monkeypatch.setattr("dacse_cli.evaluation.metrics.lsd.FRAMES_AT_ONCE", 7)
    assert log_spectral_distance(noisy, clean, RATE) == pytest.approx(whole, rel=1e-12)


def test_lsd_of_a_short_or_silent_clip():
    """A clip below one window is padded; a silent reference has no floor."""
    short = np.ones(100, np.float32)
    assert log_spectral_distance(short, short, RATE) == 0
    with pytest.raises(UnscorableError):
        log_spectral_distance(short, 0 * short, RATE)
    assert window_size(44_100) == window_size(48_000) == 2048


@pytest.mark.parametrize("metric", WITH_MODELS_AT_HAND, ids=lambda m: m.name)
def test_clean_speech_scores_better_than_noisy(metric, clean, noisy):
    """Swapped arguments, a wrong column order or a wrong `higher_is_better` all turn this round."""
    scorer = loaded(metric)
    best, worse = values(scorer, clean, clean), values(scorer, noisy, clean)
    for column, a, b in zip(metric.columns, best, worse, strict=True):
        assert (a > b) == column.higher_is_better, (column.name, a, b)


def test_perfect_scores(clean):
    """Known ends of the scales: PESQ wide band 4.64, STOI 1, no word error, the same speaker."""
    assert values(loaded(pesq.METRIC), clean, clean)[0] == pytest.approx(4.644, abs=1e-3)
    assert values(loaded(stoi.METRIC), clean, clean)[0] == pytest.approx(1.0, abs=1e-6)


def test_perfect_transcript_and_speaker(clean):
    """The same sound has the same words and voice; fewer than five words would mean nothing was heard."""
    (errors,) = loaded(wer.METRIC)(Clip(clean, clean, RATE))
    assert errors.total == 0
    assert errors.count >= 5
    assert values(loaded(speaker.METRIC), 0.1 * clean, clean)[0] == pytest.approx(1.0, abs=1e-4)


def test_speaker_tells_two_voices_apart_from_one(examples, clean):
    """Another voice (the same one a third lower) must be less similar than another sentence of the same."""
    scorer = loaded(speaker.METRIC)
    other = speech(examples, "clean", "rain")
    lower = soxr.resample(other, RATE, 1.35 * RATE).astype(np.float32)
    n = min(other.size, clean.size)
    assert values(scorer, other[:n], clean[:n])[0] > values(scorer, lower[:n], clean[:n])[0] + 0.05


@pytest.mark.parametrize("metric", [pesq.METRIC, stoi.METRIC], ids=lambda m: m.name)
@pytest.mark.parametrize("length", [0, 100, 3000, RATE])
def test_no_speech_is_a_remark_not_a_number(metric, length):
    """pystoi answers 1e-5 and pesq raises its own classes; either would end up in a mean or as a crash."""
    scorer = loaded(metric)
    silence = np.zeros(length, np.float32)
    with pytest.raises(UnscorableError):
        scorer(Clip(silence, silence, RATE))


@pytest.mark.parametrize(
    ("metric", "worst"),
    [(pesq.METRIC, 1.043), (stoi.METRIC, 0.0), (wer.METRIC, 1.0), (speaker.METRIC, 0.0)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_silent_output_gets_the_worst_score(metric, worst, clean):
    """Left out of the mean (pesq and resemblyzer divide by its level), silence would be the way to win."""
    assert values(loaded(metric), np.zeros_like(clean), clean)[0] == pytest.approx(worst, abs=1e-3)


def test_mos_of_nothing_ends():
    """speechmos repeats a short clip until it is 9 s long, which takes for ever with no samples."""
    scorer = loaded(mos.DNSMOS)
    with pytest.raises(UnscorableError):
        scorer(Clip(np.zeros(0, np.float32), np.zeros(0, np.float32), RATE))


def test_mos_takes_samples_beyond_full_scale(clean):
    """Resampling overshoots; speechmos refuses a sample of 1.0001."""
    assert np.isfinite(values(loaded(mos.PLCMOS), 3 * clean, clean)[0])


def test_plcmos_is_repeatable_and_leaves_the_global_generator_alone(clean):
    """It draws from numpy's global generator, which belongs to the caller."""
    scorer = loaded(mos.PLCMOS)
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    assert values(scorer, clean, clean) == values(scorer, clean, clean)
    assert np.random.random() == expected


@pytest.mark.parametrize("seconds", [0, 1, 20, 20.001, 61, 4000])
def test_pesq_passages_cover_everything_and_stay_safe(seconds):
    """Over 20 s the reference code can write past its table of 50 utterances and kill the process."""
    samples = round(seconds * RATE)
    parts = pesq.passages(samples)
    assert parts[0][0] == 0
    assert parts[-1][1] == samples
    assert all(a[1] == b[0] for a, b in pairwise(parts))
    assert max(b - a for a, b in parts) <= pesq.LONGEST_PASSAGE
    assert len(parts) == max(1, -(-samples // pesq.LONGEST_PASSAGE))


def test_pesq_survives_more_utterances_than_its_table_holds():
    """65 bursts in 30 s made pesq 0.0.4 crash the interpreter."""
    scorer = loaded(pesq.METRIC)
    rng = np.random.default_rng(0)
    clean = rng.standard_normal(30 * RATE) * 1e-4
    for start in range(0, clean.size - RATE, 7360):
        clean[start : start + 3520] += 0.3 * rng.standard_normal(3520)
    noisy = clean + 0.01 * rng.standard_normal(clean.size)
    assert 1 < values(scorer, noisy.astype(np.float32), clean.astype(np.float32))[0] < 4.6


def test_silence_has_no_word_errors():
    """Nothing was said, so nothing can be wrong: a remark, and no division by zero words."""
    silence = np.zeros(RATE, np.float32)
    with pytest.raises(UnscorableError, match="no words"):
        loaded(wer.METRIC)(Clip(silence, silence, RATE))


def test_bert_precision_matches_frames_wherever_they_are():
    """A shuffled copy is perfect; frames with no counterpart count against it; the sum runs over ours."""
    rng = np.random.default_rng(0)
    clean = np.eye(6, dtype=np.float32)[:5]
    assert speech_bert_score.precision(3 * clean[rng.permutation(5)], clean) == pytest.approx(1)
    stranger = np.eye(6, dtype=np.float32)[5:]
    assert speech_bert_score.precision(np.vstack([clean[:1], stranger]), clean) == pytest.approx(0.5)


def test_bert_score_with_a_model_of_the_real_kind(tmp_path, clean, noisy):
    """The whole way through a saved WavLM folder; a copy scores 1 and more than the noisy recording."""
    torch = pytest.importorskip("torch")
    from transformers import WavLMConfig, WavLMModel

    torch.manual_seed(0)
    config = WavLMConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    WavLMModel(config).save_pretrained(tmp_path)
    scorer = speech_bert_score.METRIC.load(ScoringOptions(wavlm=str(tmp_path), wavlm_layer=2))
    half = slice(RATE, 2 * RATE)
    same, worse = values(scorer, clean[half], clean[half]), values(scorer, noisy[half], clean[half])
    assert same[0] == pytest.approx(1, abs=1e-5)
    assert worse[0] < same[0]
    with pytest.raises(ModelError, match="2 layers"):
        speech_bert_score.METRIC.load(ScoringOptions(wavlm=str(tmp_path), wavlm_layer=14))


def test_a_named_model_that_is_not_there_is_a_model_error(tmp_path):
    """A wrong path must end with a sentence that names it, not with a traceback of the package."""
    pytest.importorskip("torch")
    with pytest.raises(ModelError, match="nowhere"):
        speech_bert_score.METRIC.load(ScoringOptions(wavlm=str(tmp_path / "nowhere")))
    pytest.importorskip("faster_whisper", reason="wer needs faster-whisper")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty"):
        wer.METRIC.load(ScoringOptions(asr=str(tmp_path / "empty")))


def test_the_clean_side_is_computed_once_for_all_systems():
    """Transcribing the reference again for every system doubles the time of a comparison."""
    seen = []
    remembered = Remembered(lambda samples: seen.append(1) or float(samples.sum()))
    first, second = np.ones(3, np.float32), np.ones(4, np.float32)
    assert [remembered(x) for x in (first, first, second, first)] == [3, 3, 4, 3]
    assert len(seen) == 3
