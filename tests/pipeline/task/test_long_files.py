"""Minutes to hours of real speech: codes that windows do not change, memory that length does not move.

Slow: run with `pytest -m slow tests/pipeline/task/test_long_files.py -s`; each test prints its figures.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dacse_cli.codec.loading import load_codec
from dacse_cli.codec.memory import tune_allocator
from dacse_cli.hub import BUILT_IN

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[3] / "examples"
NANO = BUILT_IN["nano"]


def speech(seconds, rate=16000):
    """Real sentences at `rate`, each time in another order and at another level, `seconds` in all."""
    import soxr

    rng = np.random.default_rng(0)
    sentences = []
    for path in sorted((EXAMPLES / "sources").glob("*.opus")):
        samples, source_rate = soundfile.read(path, dtype="float32")
        sentences.append(soxr.resample(samples, source_rate, rate))
    pieces, have = [], 0
    while have < seconds * rate:
        piece = sentences[rng.integers(len(sentences))] * rng.uniform(0.3, 1)
        pieces.append(piece.astype(np.float32))
        have += len(piece)
    return np.concatenate(pieces)[: int(seconds * rate)]


def test_windowed_codes_equal_those_of_the_whole_file():
    """Ten minutes, three windows, against one pass over everything."""
    tune_allocator()
    codec = load_codec(NANO / "codec")
    samples = speech(600)[None]
    samples = samples[:, : samples.shape[1] // codec.spec.hop_length * codec.spec.hop_length]
    whole = codec.encode(samples, window_seconds=1e5)
    for seconds in (0.5, 2.0, 4.0, 7.3):
        windowed = codec.encode(samples, window_seconds=seconds)
        differ = int((windowed != whole).sum())
        print(f"window {seconds} s: {differ} of {whole.size} codes differ")
        # half a second is 25 frames between margins of 33: convolutions of so other a shape round otherwise,
        # and a code that lies between two entries of a codebook to the last bit may flip
        assert differ <= (2 if seconds < 1 else 0)


@pytest.fixture(scope="module")
def smallest_model(tmp_path_factory):
    """A real DAC and a real Llama, as narrow as they come: an hour in minutes, whatever it sounds like."""
    from transformers import DacConfig, DacModel, LlamaConfig, LlamaForCausalTranslator

    folder = tmp_path_factory.mktemp("smallest")
    codec = DacConfig(
        encoder_hidden_size=2, decoder_hidden_size=32, downsampling_ratios=[2, 4, 5, 8], hidden_size=32,
        upsampling_ratios=[8, 5, 4, 2], n_codebooks=2, codebook_size=16, codebook_dim=4, sampling_rate=16000,
    )  # fmt: skip
    DacModel(codec).save_pretrained(folder / "codec")
    config = LlamaConfig(
        vocab_size=5 + 2 * 16, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=1, max_position_embeddings=1024, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalTranslator(config).save_pretrained(folder)
    (folder / "dacse.json").write_text(json.dumps({"codec": "codec", "chunk_seconds": 4.0}))
    return folder


def peak_mb(*args):
    """Largest memory of any process of a `dacse` run, in MB; measured in a process of its own."""
    code = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run([sys.executable, '-m', 'dacse_cli', *sys.argv[1:]]).returncode\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
        "sys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return float(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("command", ["tokenize", "enhance"])
def test_an_hour_takes_the_memory_of_five_minutes(command, smallest_model, tmp_path):
    minute, peaks = speech(60), {}
    for minutes in (5, 60):
        source = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(source, "w", 16000, 1, "PCM_16") as file:
            for _ in range(minutes):
                file.write(minute)
        out = ["-o", tmp_path / "out"] if command == "tokenize" else [tmp_path / "out"]
        peaks[minutes] = peak_mb(command, source, *out, "--model", smallest_model, "-q")
    print(f"{command}: peak {peaks[5]:.0f} MB for 5 minutes, {peaks[60]:.0f} MB for an hour")
    assert peaks[60] <= 1.05 * peaks[5]


def test_the_supervisor_stays_small(tmp_path):
    """It holds no torch: what it needs for a file is its name and a few numbers."""
    peak = "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss"
    code = f"import resource, dacse_cli.pipeline.run.run; print({peak})"
    small = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout) / 1024
    print(f"supervisor: {small:.0f} MB")
    assert small < 100
