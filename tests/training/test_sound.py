"""Recordings as training material: parts from files or from memory, levels, shares, contents."""

import pickle
import shutil

import numpy as np
import pytest
import soundfile as sf
from training_runs import RATE, voice

from dacse_cli.errors import InputError, NoInputError, UsageError
from dacse_cli.training.runs.chance import numpy_rng
from dacse_cli.training.sound.crops import Chooser, Crops, Level, whole_frames
from dacse_cli.training.sound.decoded import decode
from dacse_cli.training.sound.folders import digest as digest_pairs
from dacse_cli.training.sound.folders import find_pairs
from dacse_cli.training.sound.level import active_rms, rms
from dacse_cli.training.sound.passages import Passages, Talk
from dacse_cli.training.sound.recordings import FromFiles, digest, look
from dacse_cli.training.sound.splits import divide

FILES = FromFiles(RATE)


def recordings(folder, seconds, names=None):
    names = names or [f"r{number}.wav" for number in range(len(seconds))]
    for number, (name, length) in enumerate(zip(names, seconds, strict=True)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(folder / name, voice(int(length * RATE), number), RATE)
    return [(name, folder / name) for name in names]


def found(folder, seconds, names=None):
    return look(recordings(folder, seconds, names))[0]


def test_decoded_recordings_are_those_of_the_files_and_are_decoded_once(tmp_path):
    speech = found(tmp_path, [0.5, 1.0])
    sf.write(tmp_path / "quiet.wav", 1e-4 * voice(RATE, 3), RATE, subtype="FLOAT")
    speech += look([("quiet.wav", tmp_path / "quiet.wav")])[0]
    kept = decode(speech, tmp_path / "kept", RATE)
    for recording, own in zip(speech, kept.recordings, strict=True):
        part = FILES.read(recording, 2000, 3000)
        np.testing.assert_allclose(kept.read(own, 2000, 3000), part, atol=np.abs(part).max() / 20_000)
    before = kept.path.stat().st_mtime_ns
    again = decode(speech, tmp_path / "kept", RATE)
    assert again == kept and kept.path.stat().st_mtime_ns == before
    there = pickle.loads(pickle.dumps(kept))
    assert np.array_equal(there.read(there.recordings[0], 0, 99), kept.read(kept.recordings[0], 0, 99))
    kept.path.unlink()
    kept.path.write_bytes(b"")  # a file without what its index says is made again
    assert np.array_equal(
        decode(speech, tmp_path / "kept", RATE).read(speech[0], 5, 9), there.read(speech[0], 5, 9)
    )
    with pytest.raises(InputError, match="has no"):
        kept.read(kept.recordings[0], 0, RATE)


def test_a_speed_is_a_speaker_more(tmp_path):
    speech, told = found(tmp_path, [0.5], ["a/r.wav"]), []
    kept = decode(
        speech, tmp_path / "kept", RATE, speeds=(1.0, 1.1), progress=lambda *counts: told.append(counts)
    )
    assert told == [(1, 2), (2, 2)]
    plain, fast = kept.recordings
    assert (plain.name, fast.name, fast.speaker) == ("a/r.wav", "a/r.wav@1.1", "a")
    assert kept.length(fast) == pytest.approx(plain.frames / 1.1, abs=2)
    peaks = [np.abs(np.fft.rfft(kept.read(r, 100, 4000))).argmax() for r in (plain, fast)]
    assert peaks[1] / peaks[0] == pytest.approx(1.1, rel=0.1)


def test_crops_have_the_level_asked_for_and_follow_their_generator(tmp_path):
    crops = Crops(found(tmp_path, [0.5, 1.0, 2.0]), FILES, 1600, Level(-20.0))
    wav = np.stack([crops.crop(numpy_rng(1, row)) for row in range(5)])
    assert np.sqrt(np.square(wav).mean(1)) == pytest.approx(0.1, rel=1e-3)
    assert np.array_equal(wav[3], crops.crop(numpy_rng(1, 3)))
    spread = Crops(crops.recordings, FILES, 1600, Level(-30.0, 5.0))
    levels = [20 * np.log10(rms(spread.crop(numpy_rng(2, row)))) for row in range(60)]
    assert np.mean(levels) == pytest.approx(-30, abs=2.5) and 3 < np.std(levels) < 7
    assert whole_frames(0.1, RATE, 64) == 1600 and whole_frames(0.001, RATE, 64) == 64


def test_longer_recordings_are_drawn_more_often_and_shares_overrule_that(tmp_path):
    speech = found(tmp_path, [0.2, 1.8], ["a/r.wav", "b/r.wav"])
    counts = []
    for shares in (None, {"a": 3.0, "b": 1.0}, {"a": 1.0}):
        chooser, rng = Chooser(speech, FILES, shares), np.random.default_rng(0)
        counts.append(sum(chooser.draw(rng).speaker == "a" for _ in range(400)) / 400)
    assert counts == pytest.approx([0.1, 0.75, 1.0], abs=0.07)
    with pytest.raises(UsageError, match="'c'"):
        Chooser(speech, FILES, {"c": 1.0})


def test_a_pause_is_taken_when_there_is_nothing_else_and_stays_one(tmp_path):
    sf.write(tmp_path / "pause.wav", 1e-5 * voice(4000, 1), RATE, subtype="FLOAT")
    pause = look([("pause.wav", tmp_path / "pause.wav")])[0]
    assert np.abs(Crops(pause, FILES, 1600, Level()).crop(numpy_rng(0))).max() < 1e-3
    sf.write(tmp_path / "nothing.wav", np.zeros(4000), RATE)
    nothing = look([("nothing.wav", tmp_path / "nothing.wav")])[0]
    with pytest.raises(InputError, match="digital silence"):
        Crops(nothing, FILES, 1600, Level()).crop(numpy_rng(0))


def test_passages_fill_a_row_with_utterances_and_pauses(tmp_path):
    rows = Passages(found(tmp_path, [0.3, 0.4]), FILES, 3 * RATE, Talk(pause=0.3, stops=0.0, late=0.0))
    row = rows.crop(numpy_rng(0))
    assert row.shape == (3 * RATE,)
    assert np.array_equal(row, rows.crop(numpy_rng(0)))
    assert 0.2 < np.mean(row == 0) < 0.8
    assert 20 * np.log10(active_rms(row, RATE)) == pytest.approx(-26, abs=3.5)
    late = Passages(rows.recordings, FILES, RATE, Talk(late=1.0, latest=0.5)).crop(numpy_rng(1))
    assert not late[:100].any()


def test_recordings_are_divided_by_speaker(tmp_path):
    speech = divide(recordings(tmp_path, [0.5, 1.0, 2.0, 0.05]), RATE, 0.1, 0.3)
    assert len(speech.train) + len(speech.valid) == 3
    with pytest.raises(NoInputError):
        divide(recordings(tmp_path, [0.05]), RATE, 0.1, 0.0)


@pytest.mark.parametrize(("share", "together"), [(0.05, False), (0.5, True)])
def test_a_folder_of_many_voices_is_held_out_only_where_there_are_enough_folders(tmp_path, share, together):
    """Two per cent of four corpora took one of them out of the training of `nano`."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE // 2)
    files = []
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
        for number in range(5):
            sf.write(path := tmp_path / name / f"{number}.wav", noise, RATE)
            files.append((f"{name}/{number}.wav", path))
    speech = divide(files, RATE, 0.1, share)
    assert speech.valid
    shared = {r.speaker for r in speech.train} & {r.speaker for r in speech.valid}
    assert bool(shared) is not together


def test_equal_names_and_lengths_are_not_equal_recordings(tmp_path):
    """A cache or a run that goes by names takes the codes of other noise for these."""
    for name, seed in (("one", 1), ("other", 2), ("copy", 1)):
        (tmp_path / name).mkdir()
        noise = 0.1 * np.random.default_rng(seed).standard_normal(RATE)
        sf.write(tmp_path / name / "a.wav", noise, RATE)
    one, other, copy = (
        digest(look([("a.wav", tmp_path / name / "a.wav")])[0]) for name in ("one", "other", "copy")
    )
    assert one == copy != other


def test_pairs_that_differ_in_their_noise_only_are_told_apart(tmp_path):
    """Two data sets of one clean corpus; with a manifest and without."""
    from dacse_cli.training.mix.plan import MixOptions, plan_mix
    from dacse_cli.training.mix.run import run_mix

    speech = recordings(tmp_path / "speech", [1.0, 1.2])
    for name, seed in (("one", 1), ("other", 2)):
        (tmp_path / f"noise-{name}").mkdir()
        noise = 0.1 * np.random.default_rng(seed).standard_normal(2 * RATE)
        sf.write(tmp_path / f"noise-{name}" / "n.wav", noise, RATE)
        options = MixOptions(recipe="natural", rate=RATE)
        run_mix(
            plan_mix(speech, [("n.wav", tmp_path / f"noise-{name}" / "n.wav")], [], tmp_path / name, options)
        )
    marks = [digest_pairs(find_pairs(tmp_path / name, 0.0).train) for name in ("one", "other")]
    assert marks[0] != marks[1]
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    assert digest_pairs(find_pairs(tmp_path / "copy", 0.0).train) == marks[0]
    for name in ("one", "other", "copy"):
        (tmp_path / name / "manifest.jsonl").unlink()
    marks = [digest_pairs(find_pairs(tmp_path / name, 0.0).train) for name in ("one", "other", "copy")]
    assert marks[0] == marks[2] != marks[1]
