"""One file through `-`, byte for byte what files give; and a watched folder."""

import io
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from typed import typed

RUN = [sys.executable, "-m", "dacse_cli"]


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "talk.flac"
    soundfile.write(path, 0.1 * np.random.default_rng(5).standard_normal(4000), 16_000)
    return path


def dacse(*args, **kwargs):
    return typed(*args, text=False, **kwargs)


def test_a_pipe_equals_files(tmp_path, recording, tiny_model):
    dacse("enhance", recording, tmp_path / "file.flac", "--model", tiny_model, check=True)
    result = dacse("enhance", "-", "-", "--model", tiny_model, stdin=recording.read_bytes(), check=True)
    assert result.stdout == (tmp_path / "file.flac").read_bytes()
    wanted = dacse("enhance", "-", "-", "-f", "wav", "--model", tiny_model, stdin=recording.read_bytes())
    assert soundfile.info(io.BytesIO(wanted.stdout)).format == "WAV"
    assert b"done" in result.stderr


def test_token_files_work_in_pipes(recording, tiny_model):
    tokens = dacse(
        "tokenize", "-", "-o", "-", "--model", tiny_model, stdin=recording.read_bytes(), check=True
    )
    sound = dacse("detokenize", "-", "-o", "-", "--model", tiny_model, stdin=tokens.stdout, check=True)
    assert soundfile.info(io.BytesIO(sound.stdout)).frames == 4000


def test_messages_call_a_pipe_by_its_dash(tmp_path, recording, tiny_model):
    """The pipe's file in a temporary folder was named as the result."""
    sound, tokens = recording.read_bytes(), tmp_path / "a.tokens.safetensors"
    model = ("--model", tiny_model)
    done = dacse("enhance", recording, "-", *model, check=True).stderr.decode()
    assert "done        -\n" in done
    planned = dacse("enhance", "-", "-", "--dry-run", *model, stdin=sound, check=True)
    assert planned.stdout.startswith(b"- -> -  0:00")
    made = dacse("tokenize", "-", "-o", tokens, "--json", *model, stdin=sound, check=True)
    assert json.loads(made.stdout.splitlines()[0])["source"] == "-"
    back = dacse("detokenize", tokens, "-o", "-", *model, check=True).stderr.decode()
    assert "done        -\n" in back
    failed = dacse("enhance", "-", tmp_path / "b.wav", *model, stdin=b"this is no audio").stderr.decode()
    assert "failed      -  not an audio file" in failed
    assert "/stdin" not in done + back + failed
    assert "/stdout" not in done + back + failed


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["enhance", "-", "a.wav", "out"], 2, "- must be the only input"),
        (["enhance", ".", "-"], 2, "must be one file"),
        (["tokenize", "-"], 2, "needs -o"),
        (["enhance", "-", "-", "--json"], 2, "both write to standard output"),
        (["enhance", "-", "out.wav", "--report", "r"], 2, "--report cannot be combined with -"),
        (["enhance", "-", "-"], 3, "not an audio file"),
    ],
)
def test_invalid_uses_of_pipes_are_named(tmp_path, tiny_model, command, code, says):
    result = dacse(*command, "--model", tiny_model, stdin=b"this is no audio", cwd=tmp_path)
    assert result.returncode == code
    assert says in result.stderr.decode()
    assert result.stdout == b""


def test_a_watched_folder_is_enhanced_as_it_fills(tmp_path, recording, tiny_model):
    """Files of two moments, one in a folder; a failed one is not tried again while it stays as it is."""
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    inbox.mkdir()
    (inbox / "text.wav").write_text("no audio")
    (inbox / "a.flac").write_bytes(recording.read_bytes())
    command = ["watch", inbox, out, "--model", tiny_model, "--every", "0.2", "--settled", "0.5", "--json"]
    process = subprocess.Popen([*RUN, *map(str, command)], stdout=subprocess.PIPE, text=True)
    try:
        first = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert first[-1]["type"] == "summary"
        assert (first[-1]["done"], first[-1]["failed"]) == (1, 1)
        (inbox / "sub").mkdir()
        (inbox / "sub/b.flac").write_bytes(recording.read_bytes())
        second = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert (second[-1]["done"], second[-1]["inputs"]) == (1, 1)
        assert (out / "a.flac").read_bytes() == (out / "sub/b.flac").read_bytes()
        time.sleep(1)
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert process.stdout.read() == ""
