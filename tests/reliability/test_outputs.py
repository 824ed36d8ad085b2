"""What a run may replace, what it leaves alone, and what it says of it; over stand-in models."""

import os
from dataclasses import replace

import fake_children
import numpy as np
import pytest
import soundfile
from test_runs import ends, enhance, record, request

from dacse_cli.files.atomic import stage_bytes
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.no_journal import NoJournal
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.request.jobs import Job
from dacse_cli.pipeline.run.forecast import forecast
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.wire.failures import Failure
from dacse_cli.pipeline.wire.outcome import Finished, OutputFile


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch):
    fake_children.install(monkeypatch.setattr)


def test_an_output_of_another_input_is_replaced_only_when_asked(tmp_path):
    """`enhance day1 out; enhance day2 out`: the first day's recording was lost, exit 0."""
    for number, samples in ((1, 400), (2, 900)):
        enhance(record(tmp_path / f"day{number}", "001.wav", samples=samples), tmp_path / "out")
    assert soundfile.info(tmp_path / "out" / "001.wav").frames == 400
    again = enhance(tmp_path / "day2", tmp_path / "out")
    assert ends(again) == {"001.wav": ("skipped", "other-input")}
    assert "`overwrite` replaces it" in again.results[0].message
    assert enhance(tmp_path / "day2", tmp_path / "out", overwrite=True).counts["done"] == 1
    assert soundfile.info(tmp_path / "out" / "001.wav").frames == 900


def test_an_edited_output_is_kept(tmp_path):
    """It was overwritten by the next run with other options if its size was the same."""
    source, made = record(tmp_path / "in", "a.wav"), tmp_path / "out" / "a.wav"
    enhance(source, tmp_path / "out")
    edited = made.read_bytes()[:-1] + b"\x7f"
    made.write_bytes(edited)
    os.utime(made, (1, 1))
    changed = enhance(record(tmp_path / "in", "a.wav", samples=500), tmp_path / "out")
    assert ends(changed) == {"a.wav": ("skipped", "edited")}
    assert made.read_bytes() == edited


def test_an_output_that_was_cut_is_made_again_when_asked(tmp_path):
    source, made = record(tmp_path / "in", "a.wav"), tmp_path / "out" / "a.wav"
    enhance(source, tmp_path / "out")
    whole = made.read_bytes()
    made.write_bytes(whole[:100])
    assert ends(enhance(source, tmp_path / "out")) == {"a.wav": ("skipped", "edited")}
    made.unlink()
    assert enhance(source, tmp_path / "out").counts["done"] == 1
    assert made.read_bytes() == whole


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_an_outputs_place_fails_that_file_alone(tmp_path, overwrite):
    """With `--overwrite` the whole run stopped with exit code 6."""
    source = record(tmp_path / "in", "a.wav", "b.wav")
    (tmp_path / "out" / "a.wav").mkdir(parents=True)
    summary = enhance(source, tmp_path / "out", overwrite=overwrite)
    assert ends(summary) == {"a.wav": ("failed", "in-the-way"), "b.wav": ("done", "")}
    assert summary.exit_code == 3 and summary.results[0].hint.startswith("Move it")


def test_strict_asks_again_what_was_done_of_a_damaged_input(tmp_path):
    """It was skipped as already done, exit 0."""
    source = record(tmp_path / "in", "cut.wav")
    (source / "cut.wav").write_bytes((source / "cut.wav").read_bytes()[:500])
    assert ends(enhance(source, tmp_path / "out")) == {"cut.wav": ("done-warned", "warning")}
    assert ends(enhance(source, tmp_path / "out")) == {"cut.wav": ("skipped", "already-done")}
    assert ends(enhance(source, tmp_path / "out", strict=True)) == {"cut.wav": ("failed", "damaged")}


def test_a_hint_arrives(tmp_path):
    """The supervisor dropped it, so that a batch said less than a single call."""
    source = record(tmp_path / "in", "a.wav")
    told = []
    ledger = Ledger(NoJournal(), "", told.append)
    ledger.begin([Job(0, str(source / "a.wav"), str(tmp_path / "out.wav"), "a.wav")])
    ledger.fail(0, Failure("nan", "1 sample is NaN", "Repair it."))
    (result,) = ledger.summary.results
    assert result.hint == result.to_json()["hint"] == "Repair it."
    assert [event.result for event in told] == [result]


def test_channels_of_one_input_do_not_overwrite_another_inputs_file(tmp_path):
    """Stereo a.wav and mono a.ch1.wav, tokenised to text: one was overwritten, "done 2"."""
    record(tmp_path, "a.wav", "a.ch1.wav")
    jobs = [
        Job(i, str(tmp_path / f"{name}.wav"), str(tmp_path / "out" / f"{name}.tokens.txt"), f"{name}.wav")
        for i, name in enumerate(("a", "a.ch1"))
    ]
    with Journal(LocalPlace(tmp_path / "out")) as journal:
        ledger = Ledger(journal, "", lambda event: None, overwrite=True)
        ledger.begin(jobs)
        for index, names in ((1, ["a.ch1"]), (0, ["a.ch1", "a.ch2"])):
            staged = [(tmp_path / "out" / f"{n}.tokens.txt", str(index).encode()) for n in names]
            files = []
            for target, data in staged:
                written = stage_bytes(target, data)
                files.append(OutputFile(written.temp, target, written.size, written.sha256))
            ledger.settle(index, Finished(tuple(files), 1.0), [], damaged=False)
        ledger.close()
    of = {result.source: result for result in ledger.summary.results}
    assert of["a.ch1.wav"].outcome.value == "done"
    assert of["a.wav"].reason == "collision" and "a.ch1.wav" in of["a.wav"].message
    assert (tmp_path / "out" / "a.ch1.tokens.txt").read_bytes() == b"1"
    assert not list((tmp_path / "out").glob(".*part"))


def test_a_forecast_writes_nothing_and_says_what_is_skipped(tmp_path):
    source = record(tmp_path / "in", "a.wav", "b.wav")
    before = sorted(tmp_path.rglob("*"))
    asked = request(source, tmp_path / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dacse_cli.registry.read_spec", lambda *_: fake_spec())
        rows = forecast(asked, lambda event: None)
        assert [(row.seconds, row.skipped) for row in rows] == [(0.025, ""), (0.025, "")]
        assert sorted(tmp_path.rglob("*")) == before
        run(replace(asked, limit=1), lambda event: None)
        assert [row.skipped for row in forecast(asked, lambda event: None)] == ["already done", ""]


def fake_spec():
    from dacse_cli.interfaces import CodecSpec, Codes

    return CodecSpec("codec", 16000, 320, Codes(2, 16), 0, 0)


@pytest.mark.parametrize("store", ["memory", "local"])
def test_one_object_into_one_file_of_the_old_age(tmp_path, store):
    """`s3://.../t.wav single.wav` made a folder single.wav/, and `--keep-mtime` was ignored."""
    fsspec = pytest.importorskip("fsspec", reason="needs dacse[cloud]")
    record(tmp_path / "in", "t.wav")
    os.utime(tmp_path / "in" / "t.wav", (1_000_000_000, 1_000_000_000))
    source = f"local://{tmp_path}/in/t.wav"
    if store == "memory":
        source = f"memory://{tmp_path.name}/t.wav"
        fsspec.filesystem("memory").pipe_file(f"/{tmp_path.name}/t.wav", (tmp_path / "in/t.wav").read_bytes())
    summary = run(request(source, tmp_path / "single.wav", keep_mtime=True), lambda event: None)
    assert summary.counts["done"] == 1
    assert soundfile.info(tmp_path / "single.wav").frames == 400
    if store == "local":
        assert (tmp_path / "single.wav").stat().st_mtime == 1_000_000_000


def test_a_lot_of_silence_is_read_in_peace(tmp_path, monkeypatch):
    """16 hours of quiet Opus in 22 MB: the decoder was given time by bytes, not by what is decoded."""
    from dacse_cli.pipeline.children import decoder
    from dacse_cli.pipeline.wire.messages import Decoding, Look, Seen

    monkeypatch.setattr(decoder, "PROGRESS_SECONDS", 0.0)
    soundfile.write(tmp_path / "quiet.flac", np.zeros(16000 * 120), 16000)
    answers = []
    decoder.handle(iter([Look(0, tmp_path / "quiet.flac")]), answers.append)
    assert sum(isinstance(answer, Decoding) for answer in answers) > 5
    assert isinstance(answers[-1], Seen)
    monkeypatch.setattr("dacse_cli.audio.probe.MAX_SECONDS", 60.0)
    decoder.handle(iter([Look(0, tmp_path / "quiet.flac")]), answers.append)
    assert answers[-1].failure.reason == "too-long"
