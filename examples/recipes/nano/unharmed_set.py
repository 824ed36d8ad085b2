"""Write recordings that a filter should leave as they are, so that `dacse evaluate` says what it takes away.

    python unharmed_set.py --data FOLDER --out SETS [--music FOLDER]      # SETS/unharmed/KIND-NN.wav
    dacse enhance SETS/unharmed SETS/unharmed-nano --model nano
    dacse evaluate SETS/unharmed SETS/unharmed-nano       # all to the input itself

Kinds: studio (44.1 kHz), audiobook, quiet (-50 dB of full scale), telephone (300 to 3400 Hz), child (a voice
made higher and faster by a third) and whisper (the voice replaced by noise in the same vocal tract). All of
them are held out. Child and whisper are simulated: no recording with a free licence was at hand. `--music`
adds music: audiobooks over pieces of that folder, 15 dB softer; SETS/unharmed-speech has their speech alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from held_out_set import LEVEL, read
from numpy.typing import NDArray
from scipy.linalg import solve_toeplitz
from scipy.signal import butter, lfilter, sosfiltfilt

from dacse_cli.training.sound.level import active_rms, gain_of

Samples = NDArray[np.float32]
CLIPS = 6
SECONDS = 6.0
ORDER, FRAME = 18, 512
"""Of the linear prediction behind a whisper, at 16 kHz."""


def telephone(sound: Samples) -> Samples:
    """300 to 3400 Hz."""
    return np.asarray(sosfiltfilt(butter(6, (300, 3400), "band", fs=16_000, output="sos"), sound), np.float32)


def child(sound: Samples) -> Samples:
    """Formants and pitch a third higher."""
    return np.asarray(soxr.resample(sound, 16_000, 12_000), np.float32)


def whisper(sound: Samples) -> Samples:
    """Noise through the vocal tract that linear prediction finds, frame by frame."""
    rng, window, out = np.random.default_rng(0), np.hanning(FRAME), np.zeros(len(sound))
    for start in range(0, len(sound) - FRAME, FRAME // 2):
        frame = sound[start : start + FRAME] * window
        r = np.correlate(frame, frame, "full")[FRAME - 1 : FRAME + ORDER].astype(np.float64)
        r[0] = r[0] * 1.0001 + 1e-9
        a = solve_toeplitz(r[:-1], r[1:])
        gain = np.sqrt(max(r[0] - a @ r[1:], 0.0) / FRAME)
        out[start : start + FRAME] += window * lfilter([gain], [1.0, *-a], rng.standard_normal(FRAME))
    return out.astype(np.float32)


KINDS = {
    "studio": ("kerstin", 44_100, lambda sound: sound, -24.0),
    "audiobook": ("libri", 16_000, lambda sound: sound, -24.0),
    "quiet": ("libri", 16_000, lambda sound: sound, -50.0),
    "telephone": ("libri", 16_000, telephone, -24.0),
    "child": ("libri", 16_000, child, -24.0),
    "whisper": ("libri", 16_000, whisper, -24.0),
}
"""Kind -> corpus, rate, change, level."""
MUSIC_BELOW = 15.0
"""dB from speech down to the music under it."""


def with_music(speech: Samples, path: Path, rate: int) -> Samples:
    """Speech over the middle of a piece of music."""
    music, own = sf.read(path, dtype="float32", always_2d=True)
    middle = max(0, (len(music) - round(SECONDS * own)) // 2)
    mono = soxr.resample(music[middle : middle + round(SECONDS * own)].mean(axis=1), own, rate)
    mono = np.pad(mono, (0, max(0, len(speech) - len(mono))))[: len(speech)]
    level = active_rms(speech, rate) * gain_of(-MUSIC_BELOW)
    return np.asarray(speech + mono * np.float32(level / np.sqrt(np.mean(mono**2) + 1e-12)), np.float32)


def write_music(data: Path, music: list[Path], out: Path, names: list[str]) -> None:
    """Speech over music, and the speech alone."""
    alone = out / "unharmed-speech"
    alone.mkdir(parents=True, exist_ok=True)
    corpus, rate, _, _ = KINDS["audiobook"]
    held_out = [name for name in names if name.startswith(f"speech/{corpus}/")][:CLIPS]
    for index, name in enumerate(held_out):
        speech = read(data / name, rate)[: int(SECONDS * rate)]
        speech = speech * np.float32(LEVEL / active_rms(speech, rate))
        file = f"music-{index:02d}.wav"
        sf.write(alone / file, speech, rate, subtype="PCM_24")
        both = with_music(speech, music[index % len(music)], rate)
        sf.write(out / "unharmed" / file, both, rate, subtype="PCM_24")


def main() -> None:
    """Make and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--music", type=Path, help="pieces of music that no training has heard")
    given = parser.parse_args()
    folder = given.out / "unharmed"
    folder.mkdir(parents=True, exist_ok=True)
    names = (Path(__file__).parent / "held_out.txt").read_text().splitlines()
    for kind, (corpus, rate, change, level) in KINDS.items():
        held_out = [name for name in names if name.startswith(f"speech/{corpus}/")][:CLIPS]
        for index, name in enumerate(held_out):
            sound = change(read(given.data / name, rate)[: int(SECONDS * rate)])
            sound = sound * np.float32(LEVEL * gain_of(level + 24.0) / active_rms(sound, rate))
            sf.write(folder / f"{kind}-{index:02d}.wav", sound, rate, subtype="PCM_24")
    if given.music is not None:
        write_music(given.data, sorted(given.music.iterdir()), given.out, names)


if __name__ == "__main__":
    main()
