"""The same command once more, with other options, after a stop, or where it cannot work: what comes of it."""

import json

import numpy as np
import pytest
import soundfile
from typed import typed

from dacse_cli.audio.media import kinds
from dacse_cli.cli.render.screen import Screen
from dacse_cli.cli.render.text import forecast_text, planned, skipped_text
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import OutputError, UsageError
from dacse_cli.pipeline.record.beside import Beside, is_ours
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.record.standing import Standing
from dacse_cli.pipeline.record.status import look
from dacse_cli.pipeline.request.naming import refuse_unknown_format
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run import run as running
from dacse_cli.pipeline.run.forecast import Forecast
from dacse_cli.pipeline.wire.events import Planned
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.pipeline.wire.outcome import Outcome, Result, Summary

RECIPE = Recipe(100, 1, "abc")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DACSE_CACHE", str(tmp_path / "cache"))
    for name in ("talk.wav", "other.wav"):
        samples = 0.1 * np.random.default_rng(len(name)).standard_normal(4000)
        soundfile.write(tmp_path / name, samples, 16_000)
    return tmp_path


def enhance(*words):
    return typed("enhance", *words, "--model", "nano")


@pytest.mark.parametrize("output", [[], ["out/"]])
def test_other_options_make_an_output_anew_and_the_summary_says_so(here, output):
    """A single file was skipped with exit code 0, a folder's replaced without a word."""
    made = here / (f"{output[0]}talk.wav" if output else "talk.enhanced.wav")
    first = enhance("talk.wav", *output)
    assert first.returncode == 0 and "replaced" not in first.stdout
    before = made.read_bytes()
    again = enhance("talk.wav", *output)
    assert "1, already done" in again.stdout and made.read_bytes() == before
    other = enhance("talk.wav", *output, "--strength", "gentle", "--json")
    file, summary = map(json.loads, other.stdout.splitlines())
    assert file["replaced"] and summary["replaced"] == 1
    gentle = made.read_bytes()
    assert gentle != before
    third = enhance("talk.wav", *output)
    assert "replaced" in third.stdout and "1, made with other options" in third.stdout
    made.write_bytes(gentle)  # as if the user had put it there
    mine = enhance("talk.wav", *output, "--strength", "0.7")
    assert "changed since it was made; --overwrite replaces it" in mine.stderr
    assert made.read_bytes() == gentle


def test_what_nobody_knows_is_left_alone(here):
    (here / "talk.enhanced.wav").write_bytes(b"mine")
    told = enhance("talk.wav")
    assert "perhaps made with other options; --overwrite replaces it" in told.stderr
    assert (here / "talk.enhanced.wav").read_bytes() == b"mine"


def test_two_recordings_are_no_input_and_output(here):
    """`--overwrite` would have replaced the second recording."""
    mine = (here / "other.wav").read_bytes()
    for more in ([], ["--overwrite"], ["--dry-run"]):
        refused = enhance("talk.wav", "other.wav", *more)
        assert refused.returncode == 2
        assert "dacse has not made" in refused.stderr and "-o" in refused.stderr
    assert (here / "other.wav").read_bytes() == mine
    assert enhance("talk.wav", "made.wav").returncode == 0
    assert "already done" in enhance("talk.wav", "made.wav").stdout
    assert enhance("talk.wav", "made.wav", "--overwrite").returncode == 0
    assert "itself an input" in enhance("talk.wav", "talk.wav").stderr


def test_an_output_in_a_folder_is_known_by_its_journal(tmp_path):
    with Journal(LocalPlace(tmp_path)) as journal:
        (tmp_path / "a.wav").write_bytes(b"x")
        journal.finish("a.wav", RECIPE, "in", 1, "00" * 32)
    assert is_ours(tmp_path / "a.wav") and not is_ours(tmp_path / "b.wav")


def test_records_of_single_files_are_kept_short(tmp_path, monkeypatch):
    monkeypatch.setattr("dacse_cli.pipeline.record.beside.SLACK", 3)
    key = str(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(b"x")
    for _ in range(9):
        journal = Beside(tmp_path / "made")
        journal.standing(key, RECIPE, "in")
        journal.intend(key, RECIPE, "in", 1, "00" * 32)
        journal.finish(key, RECIPE, "in", 1, "00" * 32)
    (file,) = (tmp_path / "made").iterdir()
    assert len(file.read_bytes().splitlines()) < 10
    assert Beside(tmp_path / "made").standing(key, RECIPE, "in") is Standing.DONE


def test_records_that_cannot_be_written_stop_nothing(tmp_path):
    journal = Beside(tmp_path / "a file" / "made")
    (tmp_path / "a file").touch()
    journal.finish(str(tmp_path / "a.wav"), RECIPE, "in", 1, "00" * 32)
    assert not Beside(tmp_path / "a file" / "made").knows(tmp_path / "a.wav")


@pytest.mark.parametrize(("output", "form", "says"), [
    ("x.xyz", Form.ENHANCE, "no format is called xyz"),
    ("clean.fla", Form.ENHANCE, "no format is called fla"),
    ("x.xyz", Form.DETOKENIZE, "no format is called xyz"),
    ("x.toke", Form.TOKENIZE, "does not name a token file"),
])  # fmt: skip
def test_a_mistyped_format_is_no_folder(output, form, says):
    with pytest.raises(UsageError, match=says) as error:
        refuse_unknown_format(output, form)
    assert f"{output}/" in error.value.hint
    assert output != "clean.fla" or "flac" in error.value.hint


@pytest.mark.parametrize("output", ["x.xyz/", "out", "run1.5", ".hidden", "a.folder/of", "v. 2"])
def test_a_folder_is_no_mistyped_format(output):
    refuse_unknown_format(output, Form.ENHANCE)


def test_a_mistyped_format_is_refused_before_any_work(here):
    """It made a folder of that name, after all the work."""
    told = enhance("talk.wav", "x.xyz")
    assert told.returncode == 2 and not (here / "x.xyz").exists()
    assert "no format is called xyz" in told.stderr and "For a folder write x.xyz/" in told.stderr
    assert enhance("talk.wav", "other.wav", "x.xyz", "--dry-run").returncode == 0


def run_here(output, told, sound=None):
    models = ModelOptions(model="nano")
    request = Request(Form.ENHANCE, ("talk.wav",), output, models, ChunkOptions(), sound or SoundOptions())
    return running.run(request, told.append)


@pytest.mark.parametrize(("output", "form"), [("x.m4a", "keep"), ("out/", "m4a")])
def test_a_missing_extra_is_found_before_any_work(here, monkeypatch, output, form):
    """Minutes of work were done first."""
    monkeypatch.setattr(kinds, "available", lambda: False)
    told = []
    (result,) = run_here(output, told, SoundOptions(format=form)).results
    assert (result.outcome, result.reason) == (Outcome.FAILED, "format")
    assert (
        ".m4a needs the extra" in result.message
        and result.hint == 'Use `format="wav"`, or a name that ends in .wav.'
    )
    assert not [event for event in told if isinstance(event, Planned)]


def test_a_folder_that_cannot_be_written_is_found_before_any_work(here, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(running.tempfile, "TemporaryFile", refuse)
    told = []
    summary = run_here("clean.wav", told)
    assert isinstance(summary.fatal, OutputError)
    assert summary.fatal.message == "cannot write clean.wav: permission denied"
    assert summary.fatal.hint == "Give another place with -o."
    assert not [event for event in told if isinstance(event, Planned)]


def test_status_knows_what_a_stopped_run_has_left(tmp_path):
    place = LocalPlace(tmp_path)

    def finish(journal, name, message=""):
        (tmp_path / name).write_bytes(b"x")
        journal.finish(name, RECIPE, "in", 1, "00" * 32, message=message)

    with Journal(place) as journal:
        journal.note_run(6, ended=False)
        finish(journal, "a.wav", "cut: 2.0 s of 6.0 s are there")
        journal.fail("b.wav", RECIPE, "nan", "1 sample is NaN")
        running = look(str(tmp_path))
        assert (running.left, running.stopped, len(running.writing)) == (4, False, 1)
    killed = look(str(tmp_path))  # it could not say a word
    assert (killed.left, killed.stopped) == (4, True)
    assert killed.warned == [("a.wav", "cut: 2.0 s of 6.0 s are there")]
    with Journal(place) as journal:
        journal.note_run(4, ended=False)
        finish(journal, "c.wav")
        journal.note_run(3, ended=True)
    assert (look(str(tmp_path)).left, look(str(tmp_path)).stopped) == (3, True)
    told = typed("status", tmp_path)
    assert "3; the last run was stopped, run its command again" in told.stdout
    assert "a.wav  cut: 2.0 s of 6.0 s are there" in told.stdout
    with Journal(place) as journal:
        journal.note_run(3, ended=False)
        journal.note_run(0, ended=True)
    assert (look(str(tmp_path)).left, look(str(tmp_path)).stopped) == (0, False)


def test_a_run_notes_its_beginning_and_its_end(here):
    assert enhance("talk.wav", "other.wav", "out/").returncode == 0
    lines = [json.loads(line) for line in (here / "out/.dacse/journal.jsonl").read_text().splitlines()]
    notes = [(line["run"], line["left"]) for line in lines if "run" in line]
    assert notes == [("begun", 2), ("ended", 0)]
    enhance("talk.wav", "other.wav", "out/")  # nothing to do, nothing to note
    assert len((here / "out/.dacse/journal.jsonl").read_text().splitlines()) == len(lines)


def test_a_run_that_goes_on_says_so_and_failures_come_at_the_end(here):
    """The failed file had scrolled away, and the rest was given as all there is."""
    enhance("talk.wav", "out/")
    (here / "bad.wav").write_bytes(b"this is no audio")
    told = enhance("talk.wav", "other.wav", "bad.wav", "out/")
    assert told.returncode == 3
    assert "continuing: 1 of 3 files is done; 1 to do" in told.stderr
    line = "failed      bad.wav  not an audio file"
    assert line in told.stderr.splitlines() and line in told.stdout.splitlines()


def test_nothing_to_do_is_said(here):
    """A dry run said "unknown before a first run" after ten of them."""
    enhance("talk.wav")
    assert "nothing to do: 1 file named, none to be made" in enhance("talk.wav", "--dry-run").stdout


def test_a_long_list_of_failures_ends_with_where_the_rest_is(capsys):
    results = [Result(f"{n}.wav", "", Outcome.FAILED, "nan", "1 sample is NaN") for n in range(12)]
    screen = Screen()
    screen.summary(Summary(results, elapsed=1.0, place="my out"))
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [f"failed      {n}.wav  1 sample is NaN" for n in range(10)] + [
        "and 2 more: dacse status 'my out'"
    ]


def test_an_interrupted_run_says_not_done(capsys):
    """ "not-reached" was a riddle; scripts still read it."""
    summary = Summary([Result("a", "b", Outcome.NOT_REACHED)], elapsed=1.0)
    Screen().summary(summary)
    assert "not done" in capsys.readouterr().out and summary.to_json()["not_reached"] == 1


def test_words_for_counts():
    assert planned(Planned(5, 100.0, 5)) == "5 files, 1:40 of audio"
    assert planned(Planned(3, None, 6, 3)) == "continuing: 3 of 6 files are done; 3 to do"
    assert planned(Planned(5, 26.0, 6)) == "5 of 6 files, 0:26 of audio"
    assert skipped_text({"already-done": 6}) == "6, already done"
    said = skipped_text({"already-done": 5, "edited": 1})
    assert said == "6: 5 already done, 1 with an output that was changed"
    row = Forecast("a", "b", 10.0, 0, 100, None)
    assert "unknown before a first run" in forecast_text([row])
    assert "unknown for token files" in forecast_text([Forecast("a", "b", 0.0, 0, 0, None)])
    timed = Forecast("a", "b", 10.0, 0, 100, 20.0)
    assert forecast_text([timed]).endswith("expected time: 0:20")
