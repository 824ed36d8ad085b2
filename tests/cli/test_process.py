"""The real command in real processes, with a small real model: outcomes, exit codes, signals, reruns."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typed import start
from typed import typed as dacse

RUN = [sys.executable, "-m", "dacse_cli"]


def start_interpreter(*args):
    return subprocess.Popen(
        [*RUN, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def speechlike(seconds, rate, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    envelope = np.abs(np.sin(np.arange(n) / rate * 9))[:, None]
    return 0.2 * envelope * rng.standard_normal((n, channels))


def put(path, seconds=0.3, rate=16000, channels=1, seed=0, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, speechlike(seconds, rate, channels, seed), rate, **kwargs)
    return path


def left_over(folder):
    return [p for p in folder.rglob("*") if p.name.endswith(".dacse-part")]


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def batch(tmp_path_factory, tiny_model):
    """One run over good and bad inputs, looked at by several tests."""
    root = tmp_path_factory.mktemp("batch")
    put(root / "in/a.wav", 0.4, 48000, 2)
    put(root / "in/sub/deep/b.flac", 0.3, 22050)
    put(root / "in/[red]c\x1b[2J.wav", 0.2, 8000)
    put(root / "in/long.wav", 1.3, 44100, seed=4)
    (root / "in/text.wav").write_text("this is no audio")
    (root / "in/empty.wav").write_bytes(b"")
    nan = speechlike(0.2, 16000)
    nan[7] = np.nan
    soundfile.write(root / "in/nan.wav", nan, 16000, subtype="FLOAT")
    whole = put(root / "in/cut.wav", 0.5).read_bytes()
    (root / "in/cut.wav").write_bytes(whole[: len(whole) // 2])
    os.mkfifo(root / "in/fifo.wav")
    (root / "in/notes.txt").write_text("")
    result = dacse("enhance", root / "in", root / "out", "--model", tiny_model, "--json")
    return root, result


def test_every_input_has_one_result_and_the_counts_add_up(batch):
    _, result = batch
    *files, summary = lines(result)
    ends = {Path(f["source"]).name: (f["outcome"], f["reason"]) for f in files}
    assert ends == {
        "a.wav": ("done", ""),
        "b.flac": ("done", ""),
        "[red]c\x1b[2J.wav": ("done", ""),
        "long.wav": ("done", ""),
        "cut.wav": ("done-warned", "warning"),
        "text.wav": ("failed", "not-audio"),
        "empty.wav": ("failed", "empty"),
        "nan.wav": ("failed", "nan"),
        "fifo.wav": ("failed", "not-a-file"),
    }
    assert result.returncode == summary["exit_code"] == 3
    assert (summary["inputs"], summary["done"], summary["done_warned"], summary["failed"]) == (9, 4, 1, 4)
    assert summary["ignored"] == 1


def test_outputs_keep_length_rate_channels_and_subfolder(batch):
    root, _ = batch
    for name in ("a.wav", "sub/deep/b.flac", "long.wav"):
        before, after = soundfile.info(root / "in" / name), soundfile.info(root / "out" / name)
        for field in ("frames", "samplerate", "channels", "format", "subtype"):
            assert getattr(before, field) == getattr(after, field)
    assert not left_over(root / "out")


def test_stdout_is_for_results_only_and_names_cannot_reach_the_terminal(batch):
    _, result = batch
    assert all(line.startswith("{") for line in result.stdout.splitlines())
    assert "\x1b" not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert "4 of 3,200 samples" not in result.stderr
    assert "1 of 3,200 samples are NaN" in result.stderr


def test_a_second_run_skips_finished_files_and_loads_no_model(batch, tiny_model):
    root, _ = batch
    began = time.monotonic()
    again = dacse("enhance", root / "in", root / "out", "--model", tiny_model, "--json")
    *files, summary = lines(again)
    assert summary["skipped"] == 5
    assert {f["reason"] for f in files if f["outcome"] == "skipped"} == {"already-done"}
    assert time.monotonic() - began < 10


def test_a_changed_input_is_redone_and_a_foreign_output_is_kept(tmp_path, tiny_model):
    put(tmp_path / "in/a.wav")
    put(tmp_path / "in/b.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.wav").write_bytes(b"mine")
    args = ("enhance", tmp_path / "in", tmp_path / "out", "--model", tiny_model)
    first = dacse(*args)
    assert first.returncode == 0
    assert (tmp_path / "out/b.wav").read_bytes() == b"mine"
    assert "--overwrite" in first.stderr
    before = (tmp_path / "out/a.wav").read_bytes()
    put(tmp_path / "in/a.wav", seed=9)
    assert dacse(*args, "--overwrite").returncode == 0
    assert (tmp_path / "out/a.wav").read_bytes() != before
    assert soundfile.info(tmp_path / "out/b.wav").frames == 4800


def wait_for(predicate, seconds=60):
    until = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_cleanly(tmp_path, tiny_model, number, code):
    for i in range(30):
        put(tmp_path / f"in/{i:02}.wav", 0.6, seed=i)
    run = start(
        "enhance", tmp_path / "in", tmp_path / "out", "--model", tiny_model, "--json", "--batch-size", 2
    )
    wait_for(lambda: list(tmp_path.glob("out/*.wav")))
    run.send_signal(number)
    began = time.monotonic()
    out, err = run.communicate(timeout=30)
    assert run.returncode == code, err
    assert time.monotonic() - began < 15
    assert not left_over(tmp_path)
    summary = json.loads(out.splitlines()[-1])
    assert summary["inputs"] == 30
    assert summary["not_reached"] > 0
    assert summary["done"] == len(list(tmp_path.glob("out/*.wav")))
    assert "run the same command again to continue" in err


def test_kill_and_rerun_equals_one_run(tmp_path, tiny_model):
    """A broken file under a final name would be skipped for ever; here none can exist."""
    for i in range(8):
        put(tmp_path / f"in/{i:02}.wav", 0.4, seed=i)
    args = ("enhance", tmp_path / "in", tmp_path / "out", "--model", tiny_model, "--batch-size", 2)
    run = start(*args)
    wait_for(lambda: len(list(tmp_path.glob("out/*.wav"))) >= 3)
    run.kill()
    run.communicate()
    done = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("out/*.wav")}
    assert dacse(*args).returncode == 0
    assert dacse("enhance", tmp_path / "in", tmp_path / "one", *args[3:]).returncode == 0
    for i in range(8):
        name = f"{i:02}.wav"
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
        assert name not in done or (tmp_path / "out" / name).stat().st_mtime_ns == done[name]
    assert not left_over(tmp_path)


def children_of(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if int(text.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def worker_of(pid):
    for child in children_of(pid):
        if b"dacse_cli.pipeline.children.model" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    return None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for the worker in /proc")
def test_a_killed_worker_is_replaced_and_a_killed_parent_leaves_no_worker(tmp_path, tiny_model):
    for i in range(5):
        put(tmp_path / f"in/{i}.wav", 0.3, seed=i)
    args = ("enhance", tmp_path / "in", tmp_path / "out", "--model", tiny_model, "--batch-size", 1, "--json")
    run = start_interpreter(*args)
    wait_for(lambda: list(tmp_path.glob("out/*.wav")))
    os.kill(worker_of(run.pid), signal.SIGKILL)
    out, err = run.communicate(timeout=100)
    assert run.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["done"] == 5

    run = start_interpreter(*args, "--overwrite")
    wait_for(lambda: worker_of(run.pid) is not None)
    worker = worker_of(run.pid)
    run.kill()
    run.communicate()
    wait_for(lambda: not Path(f"/proc/{worker}").exists(), seconds=15)


def test_two_runs_on_one_folder(tmp_path, tiny_model):
    for i in range(6):
        put(tmp_path / f"in/{i}.wav", 1.0)
    args = ("enhance", tmp_path / "in", tmp_path / "out", "--model", tiny_model)
    first = start(*args)
    wait_for(
        lambda: (tmp_path / "out/.dacse/lock").exists() and (tmp_path / "out/.dacse/journal.jsonl").exists()
    )
    second = dacse(*args)
    assert second.returncode == 7
    assert str(first.pid) in second.stderr
    first.terminate()
    first.communicate()


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["enhance", "absent.wav", "out"], 2, "no such file"),
        (["enhance", "in", "out", "--rate", "fast"], 2, "--rate"),
        (["enhance", "in", "out", "--overlap", "1"], 2, "--overlap"),
        (["enhance", "in", "out", "--chunk", "0"], 2, "--chunk"),
        (["enhance", "in", "out", "--batch-size", "many"], 2, "--batch-size"),
        (["enhance", "empty", "out"], 4, "no audio files"),
        (["enhance", "in", "out", "--model", "absent/model", "--offline"], 5, "absent/model"),
        (["enhance", "in", "out", "--chunk", "100"], 5, "shorter --chunk"),
        (["enhance", "in", "/proc/out"], 6, "/proc/out"),
        (["enhance", "in", "out", "--device", "cuda:7"], 8, "CUDA"),
        (["enhance", "in/a.wav", "in/a.wav"], 2, "never written to"),
    ],
)
def test_exit_codes_and_one_line_messages(tmp_path, tiny_model, args, code, says):
    put(tmp_path / "in/a.wav")
    (tmp_path / "empty").mkdir()
    if "--model" not in args:
        args = [*args, "--model", str(tiny_model)]
    result = dacse(*args, cwd=tmp_path, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr


AT_TWELVE = pytest.param(12, 8, marks=pytest.mark.ci)


@pytest.mark.skipif(os.name != "posix", reason="ulimit")
@pytest.mark.parametrize(("files", "code"), [(7, 8), (15, 8), (24, 0), AT_TWELVE])
def test_a_low_limit_of_open_files_is_enough_or_named(tmp_path, tiny_model, files, code):
    """A limit of 12 was "a bug"."""
    for name in "abc":
        put(tmp_path / f"in/{name}.wav")
    words = [sys.executable, "-m", "dacse_cli", "enhance", "in", "out", "--model", str(tiny_model)]
    command = ["bash", "-c", f'ulimit -n {files}; exec "$@"', "bash", *words]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert ("ulimit -n 256" in result.stderr) == bool(code)
    assert len(list(tmp_path.glob("out/*.wav"))) == (0 if code else 3)
    assert not left_over(tmp_path)


def test_tokenize_and_detokenize_round_trip(tmp_path, tiny_model):
    put(tmp_path / "speech.wav", 0.7, 48000, 2)
    made = dacse("tokenize", tmp_path / "speech.wav", "--model", tiny_model)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "speech.tokens.safetensors").exists()
    back = dacse("detokenize", tmp_path / "speech.tokens.safetensors", "--model", tiny_model)
    assert "of audio" not in back.stderr  # how long it will be is not known: it said 0:00
    assert back.returncode == 0, back.stderr
    before, after = soundfile.info(tmp_path / "speech.wav"), soundfile.info(tmp_path / "speech.decoded.wav")
    assert (before.frames, before.samplerate, before.channels) == (
        after.frames,
        after.samplerate,
        after.channels,
    )
    clean = dacse("enhance", tmp_path / "speech.tokens.safetensors", tmp_path / "out", "--model", tiny_model)
    assert clean.returncode == 0, clean.stderr
    assert (tmp_path / "out/speech.tokens.safetensors").exists()


@pytest.mark.parametrize("form", ["npz", "txt", "dac"])
def test_other_formats_of_token_files(tmp_path, tiny_model, form):
    put(tmp_path / "speech.wav", 0.3, 44100, 2)
    made = dacse("tokenize", tmp_path / "speech.wav", "--model", tiny_model, "--format", form)
    assert made.returncode == 0, made.stderr
    names = sorted(p.name for p in tmp_path.iterdir() if p.name != "speech.wav")
    expected = {
        "npz": ["speech.tokens.npz"],
        "txt": ["speech.ch1.tokens.txt", "speech.ch2.tokens.txt"],
        "dac": ["speech.dac"],
    }
    assert names == expected[form]
    back = dacse("detokenize", tmp_path / names[0], "-o", tmp_path / "out.wav", "--model", tiny_model)
    assert back.returncode == 0, back.stderr
    frames = soundfile.info(tmp_path / "out.wav").frames
    assert frames == (13312 if form == "txt" else 13230)  # text does not know the length: whole frames


def test_text_tokens_of_several_channels_are_written_once_and_replace_no_foreign_file(tmp_path, tiny_model):
    """Its files are not known before the channels are: a rerun must still find them."""
    put(tmp_path / "in/speech.wav", 0.2, 44100, 2)
    args = (
        "tokenize",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--model",
        tiny_model,
        "--format",
        "txt",
        "--json",
    )
    assert lines(dacse(*args))[-1]["done"] == 1
    assert lines(dacse(*args))[-1]["skipped"] == 1
    (tmp_path / "out/speech.ch2.tokens.txt").unlink()
    assert lines(dacse(*args))[-1]["done"] == 1
    (tmp_path / "out/speech.ch1.tokens.txt").write_text("mine")
    assert lines(dacse(*args))[-1]["skipped"] == 1
    assert (tmp_path / "out/speech.ch1.tokens.txt").read_text() == "mine"


def test_a_dry_run_writes_nothing(tmp_path, tiny_model):
    put(tmp_path / "in/a.wav", 1.0)
    (tmp_path / "in/text.wav").write_text("no audio")
    plan = dacse("enhance", tmp_path / "in", tmp_path / "out", "--model", tiny_model, "--dry-run")
    assert plan.returncode == 0
    assert "1 file, 0:01 of audio, 5 chunks" in plan.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "none_of"),
    [
        (["--help"], {"numpy", "rich", "pydantic"}),
        (["enhance", "--help"], {"numpy", "rich"}),
        (["train", "plan"], {"numpy"}),
        (["models"], {"numpy"}),
        (["status", "."], {"numpy"}),
        (["enhance", "gone.wav", "out"], {"numpy"}),
        (["inspect", "a.dac"], {"soundfile"}),
        (["inspect", "gone.wav"], {"torch"}),
    ],
)
def test_commands_that_run_no_model_start_at_once(tmp_path, command, none_of):
    """`inspect` took nine seconds to say "no such file"."""
    code = f"""
import runpy, sys
sys.argv = ["dacse", *{command}]
try:
    runpy.run_module("dacse_cli", run_name="__main__")
except SystemExit as end:
    assert end.code in (None, 0, 2, 3, 4), end.code
heavy = {{"torch", "transformers", "librosa", "scipy", *{sorted(none_of)}}}
print("heavy:", *sorted(heavy & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1:] == ["heavy:"], result.stderr


@pytest.mark.parametrize(
    ("options", "name", "facts"),
    [
        (["--rate", "8000", "--channels", "mono"], "a.wav", (8000, 1, "WAV", "PCM_24", 2400)),
        (["--format", "flac"], "a.flac", (16000, 2, "FLAC", "PCM_24", 4800)),
        (["--format", "opus", "--strength", "0.5"], "a.opus", (16000, 2, "OGG", "OPUS", 4800)),
        (
            ["--format", "mp3", "--chunk", "0.1", "--overlap", "0.5"],
            "a.mp3",
            (16000, 2, "MP3", "MPEG_LAYER_III", 4800),
        ),
    ],
)
def test_every_option_of_the_sound(tmp_path, tiny_model, options, name, facts):
    put(tmp_path / "a.wav", 0.3, 16000, 2, subtype="PCM_24")
    result = dacse("enhance", tmp_path / "a.wav", tmp_path / "out", "--model", tiny_model, *options)
    assert result.returncode == 0, result.stderr
    info = soundfile.info(tmp_path / "out" / name)
    assert (info.samplerate, info.channels, info.format, info.subtype, info.frames) == facts


def test_ctrl_c_while_the_command_is_being_imported_prints_nothing():
    """The first tenth of a second, before there are handlers: it ended in a traceback."""
    code = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'dacse_cli.cli.lazy':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "sys.argv = ['dacse', 'models']\n"
        "from dacse_cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGINT
    assert done.stdout + done.stderr == ""


LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        ["enhance", "{input}", LONG, "-m", "nano"],
        ["enhance", "{input}", "out", "-m", LONG],
        ["tokenize", "{input}", "--codec", LONG],
        ["tokenize", "{input}", "--codec", "nano", "-o", LONG],
        ["evaluate", LONG, LONG],
        ["download", LONG],
        ["status", LONG],
        ["watch", LONG, LONG],
        ["try", LONG],
    ],
    ids=lambda words: words[0],
)
def test_an_impossible_file_name_gives_one_line(words, tmp_path, monkeypatch):
    """All of them ended as a bug."""
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16000)
    monkeypatch.chdir(tmp_path)
    done = dacse(*(word.format(input="a.wav") for word in words))
    assert done.returncode in (2, 4, 5, 6)
    assert "a bug" not in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2
