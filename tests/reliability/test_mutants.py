"""Files that nobody wrote on purpose: mutants of every format through the real intake and the token reader.

The figures (R12, R13), printed by:

    pytest tests/reliability/test_mutants.py -m slow -s
"""

import io
import queue
import random
import resource
import time

import numpy as np
import pytest
import soundfile

from dacse_cli.codec.descript.container import DacFile, read_dac, write_dac
from dacse_cli.errors import InputError
from dacse_cli.pipeline.run.decoders import Decoder
from dacse_cli.pipeline.wire.messages import Look, Seen
from dacse_cli.tokens.files import TokenFile
from dacse_cli.tokens.formats import dump, load
from dacse_cli.tokens.names import TOKEN_FORMATS

CODES = np.random.default_rng(0).integers(0, 1024, (1, 9, 8)).astype(np.int16)
TOKENS = TokenFile(CODES, "descript/dac_44khz", 44100, 512, 1024, 44100, 8 * 512, "a.wav")
FORMS = (
    [("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM", "MS_ADPCM")]
    + [("WAV", s) for s in ("GSM610", "G721_32", "NMS_ADPCM_32")]
    + [("WAVEX", "PCM_16"), ("RF64", "FLOAT"), ("W64", "PCM_24"), ("AIFF", "PCM_16"), ("AU", "ULAW")]
    + [("CAF", "ALAC_16"), ("CAF", "PCM_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS")]
    + [("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
)


def mutate(rng, data):
    """A few bytes changed, a piece cut out, doubled or replaced; most often near the front."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = min(
            len(data) - 1, int(rng.expovariate(1 / 60)) if rng.random() < 0.7 else rng.randrange(len(data))
        )
        kind = rng.randrange(6)
        if kind < 3:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind == 3:
            data[at : at + 4] = rng.choice(
                [b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\0\0\0\0", rng.randbytes(4)]
            )
        elif kind == 4:
            data[at:at] = data[at : at + rng.randrange(1, 64)]
        else:
            del data[at : at + rng.randrange(1, 64)]
        if not data:
            return b"\0"
    return bytes(data)


def token_files():
    return [(form, dump(TOKENS, form)) for form in TOKEN_FORMATS] + [
        ("dac", write_dac(DacFile(CODES, (-20.0,), 8 * 512, 44100, 8, padding=True)))
    ]


def fuzz_tokens(cases, seed=0):
    """Exceptions that are not the one for bad files, and MB of memory grown."""
    rng, seeds, other = random.Random(seed), token_files(), []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(cases):
        form, data = rng.choice(seeds)
        mutant = mutate(rng, data)
        try:
            read_dac(mutant) if form == "dac" else load(mutant, form)
        except InputError:
            continue
        except Exception as error:
            other.append(f"{form} {type(error).__name__}: {error}: {mutant!r}")
    return other, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def test_token_files_fail_in_one_way(tmp_path):
    other, grown = fuzz_tokens(2000)
    assert not other, other[0]
    assert grown < 64


@pytest.mark.slow
def test_2_million_token_files():
    other, grown = fuzz_tokens(2_000_000, seed=1)
    print(f"\nR12: 2,000,000 mutants of token files: {len(other)} other exceptions, memory +{grown:.0f} MB")
    assert not other, other[0]
    assert grown < 64


def audio_seeds():
    wave = 0.3 * np.random.default_rng(0).standard_normal(3000)
    seeds = []
    for container, subtype in FORMS:
        out = io.BytesIO()
        rate = 24000 if subtype == "OPUS" else 8000
        soundfile.write(out, wave, rate, format=container, subtype=subtype)
        seeds.append(out.getvalue())
    return seeds


def look_at_mutants(folder, count, seed=0):
    """Deaths of the decoder, the slowest answer in seconds, cuts without a warning."""
    rng, seeds = random.Random(seed), audio_seeds()
    inbox = queue.SimpleQueue()
    decoder = Decoder(inbox)
    deaths, slowest, silent = 0, 0.0, []
    try:
        for index in range(count):
            data = rng.choice(seeds)
            is_cut = rng.random() < 0.2
            mutant = data[: rng.randrange(len(data))] if is_cut else mutate(rng, data)
            path = folder / f"{index % 64}.wav"
            path.write_bytes(mutant)
            began = time.monotonic()
            decoder.ask(Look(index, path))
            answer = None
            while answer is None:
                child, message = inbox.get(timeout=60)
                answer = decoder.take(child, message) if decoder.owns(child) else None
            slowest = max(slowest, time.monotonic() - began)
            deaths += not isinstance(answer, Seen) and answer.failure.reason == "decoder"
            if is_cut and isinstance(answer, Seen) and not answer.scan.warning:
                whole = soundfile.info(io.BytesIO(data)).frames
                if answer.scan.frames < whole:
                    silent.append(f"{data[:4]!r} {len(mutant)} of {len(data)} bytes")
    finally:
        decoder.close()
    return deaths, slowest, silent


def test_mutants_of_recordings_get_a_verdict(tmp_path):
    """A hang, a crash of the supervisor, or half a recording that passes for a whole one."""
    deaths, slowest, silent = look_at_mutants(tmp_path, 300)
    assert slowest < 10
    assert not silent, silent
    assert deaths <= 3


@pytest.mark.slow
def test_20000_mutants_of_recordings(tmp_path):
    deaths, slowest, silent = look_at_mutants(tmp_path, 20_000, seed=1)
    print(
        f"\nR13: 20,000 mutants of {len(FORMS)} formats: 0 deaths of the parent, {deaths} of the decoder, "
        f"slowest verdict {slowest:.1f} s, {len(silent)} cuts without a warning"
    )
    assert slowest < 10
    assert not silent, silent
