"""`dacse enhance --report` as it is typed."""

import json

import numpy as np
import soundfile
from typed import typed


def test_a_run_and_its_rerun_draw_the_same_files(tmp_path, tiny_model):
    """Finished files are in the report of a later run, too: nobody enhances twice to look at it."""
    (tmp_path / "in").mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(13_230)  # 0.6 s: repeated, just what DNSMOS wants
    soundfile.write(tmp_path / "in/b.flac", noise, 22_050)
    (tmp_path / "in/text.wav").write_text("no audio")
    command = [
        "enhance",
        tmp_path / "in",
        tmp_path / "out",
        "--model",
        tiny_model,
        "--report",
        tmp_path / "rep",
    ]
    for outcome in ("done", "skipped"):
        result = typed(*command, "--json", timeout=600)
        assert result.returncode == 3
        last = json.loads(result.stdout.splitlines()[-1])
        assert last == {"type": "report", "page": str(tmp_path / "rep/index.html")}
        run, *files = map(json.loads, (tmp_path / "rep/report.jsonl").read_text().splitlines())
        assert run["settings"]["chunk_seconds"] == 0.25
        assert run["command"].startswith("dacse enhance ")
        ends = {file["source"].rpartition("/")[2]: file for file in files}
        assert ends["b.flac"]["outcome"] == outcome
        assert ends["b.flac"]["preview"]["whole"]
        assert ends["text.wav"]["outcome"] == "failed"
        assert "preview" not in ends["text.wav"]


def test_a_report_that_cannot_be_written_is_said_before_any_work(tmp_path, tiny_model):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16_000)
    (tmp_path / "file").write_text("in the way")
    command = [
        "enhance",
        tmp_path / "a.wav",
        tmp_path / "out",
        "--model",
        tiny_model,
        "--report",
        tmp_path / "file",
    ]
    result = typed(*command)
    assert result.returncode == 6
    assert not (tmp_path / "out").exists()
    assert "Traceback" not in result.stderr
    assert str(tmp_path / "file") in result.stderr
