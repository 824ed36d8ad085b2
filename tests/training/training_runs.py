"""Trainings that take seconds: pairs, commands in processes of their own, and their curves."""

import os
import signal
import struct
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from transformers import DacConfig, DacModel

from dacse_cli.cli.app import app

RATE = 16000
CODEC = {
    "sampling_rate": RATE,
    "downsampling_ratios": [8, 8],
    "encoder_hidden_size": 8,
    "decoder_hidden_size": 32,
    "n_codebooks": 3,
    "codebook_size": 32,
    "codebook_dim": 9,
}
CODEC_RECIPE = """
[data]
seconds = 0.1
valid = 0.3
valid_rows = 8
valid_seconds = 0.1
[discriminators]
periods = [2, 3]
windows = [128]
width = 2
[run]
cadence = { log_every = 2, validate_every = 10, save_every = 5 }
[[stage]]
name = "mel"
steps = 4
rows = 4
rate = 1e-3
adversarial = false
revive_every = 3
[[stage]]
name = "adversarial"
steps = 14
rows = 4
rate = 5e-4
warm_up = 4
revive_every = 3
"""
WARM_CODEC = CODEC | {"downsampling_ratios": [4, 4], "codebook_size": 256}
"""Channels enough for a warm start, codes enough for some to die."""
NETWORK = {
    "hidden_size": 96,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}


def fresh_codec(codebooks, size):
    """A `DacModel` of drawn weights with so many codebooks of so many codes."""
    torch.manual_seed(1)
    config = CODEC | {"n_codebooks": codebooks, "codebook_size": size, "codebook_dim": 8}
    return DacModel(DacConfig(**config))


def voice(samples, number):
    """A gliding tone [S]; another one for each number."""
    seconds = np.arange(samples) / RATE
    return (0.3 * np.sin(2 * np.pi * (200 + 90 * number) * seconds * (1 + seconds))).astype(np.float32)


def write_pairs(folder, lengths):
    """`clean/` and `noisy/` of gliding tones under white noise."""
    rng = np.random.default_rng(0)
    for number, samples in enumerate(lengths):
        clean = voice(samples, number)
        noisy = clean + 0.1 * rng.standard_normal(samples).astype(np.float32)
        for side, sound in (("clean", clean), ("noisy", noisy)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            sf.write(folder / side / f"p{number}.wav", sound, RATE)
    return folder


def command(*words):
    """`dacse` in a process of its own."""
    return [sys.executable, "-m", "dacse_cli", *map(str, words)]


def run_dacse(*words, **options):
    """Run a command to its end; its output on failure."""
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stderr
    return done


def kill_when(words, reached, *, patience=120.0):
    """Run a command in a copy of this process and `kill -9` it as soon as `reached()`; whether it still ran.

    A copy, because a new process imports torch and transformers first.
    """
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            try:
                app([str(word) for word in words], standalone_mode=False)
            finally:
                os._exit(1)
    until = time.monotonic() + patience
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if reached() or time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(0.005)
    return False


def curve(folder, column="loss"):
    """(step, value) of every line of a run's log that has `column`."""
    lines = (Path(folder) / "log.csv").read_text().splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    return [(int(row["step"]), float(row[column])) for row in rows if row[column]]


WIDTH, LAYERS = 64, 2
"""Of the encoder that `write_recogniser` writes."""


def _recogniser_tensors():
    rng = np.random.default_rng(0)

    def drawn(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float16)

    found = {"conv1/weight": drawn(WIDTH, 80, 3), "conv1/bias": drawn(WIDTH)}
    found |= {"conv2/weight": drawn(WIDTH, WIDTH, 3), "conv2/bias": drawn(WIDTH)}
    found["position_encodings/encodings"] = drawn(1500, WIDTH)
    for n in range(LAYERS):
        at, ff = f"layer_{n}/self_attention/", f"layer_{n}/ffn/"
        sizes = {at + "linear_0": (3 * WIDTH, WIDTH), at + "linear_1": (WIDTH, WIDTH)}
        sizes |= {ff + "linear_0": (128, WIDTH), ff + "linear_1": (WIDTH, 128)}
        for name, (rows, columns) in sizes.items():
            found |= {f"{name}/weight": drawn(rows, columns), f"{name}/bias": drawn(rows)}
        for name in (at, ff):
            found |= {f"{name}layer_norm/gamma": drawn(WIDTH) + 1, f"{name}layer_norm/beta": drawn(WIDTH)}
    return found | {"layer_norm/gamma": drawn(WIDTH) + 1, "layer_norm/beta": drawn(WIDTH)}


def _text(name):
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def write_recogniser(folder, version=6):
    """A CTranslate2 folder with the drawn encoder of a small Whisper."""
    found = _recogniser_tensors()
    body = struct.pack("<I", version) + _text("WhisperSpec") + struct.pack("<II", 3, len(found) + 1)
    body += _text("decoder/x") + struct.pack("<BBI", 0, 1, 1) + b"\1"
    for name, array in found.items():
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        body += _text("encoder/" + name) + shape + struct.pack("<BI", 4, array.nbytes) + array.tobytes()
    (folder / "model.bin").write_bytes(body)
    return folder
