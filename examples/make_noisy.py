"""Make the noisy recordings in `noisy/` and their references in `clean/` from the sentences in `sources/`.

    python examples/make_noisy.py [FOLDER]

Every noise and every room is computed here from one seed; nothing is recorded. Speech and noise are mixed
at a stated signal-to-noise ratio (energy over the whole clip), the clean reference carries the same gain and
is aligned to the sample, so both can be compared as they are.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
SEED = 20250930
PEAK = 0.7
"""Highest sample of the louder of both files, so that neither is clipped."""

Samples = npt.NDArray[np.float64]
Noise = Callable[[np.random.Generator, int, int, int], Samples]
"""(rng, channels, samples, rate) -> noise [C, S]; the level does not matter."""


@dataclass(frozen=True)
class Example:
    """One noisy recording: what is said, what disturbs it, and the file it becomes."""

    file: str
    """Path below `noisy/`; the reference has the same path below `clean/`, with the suffix .flac."""
    sentence: str
    noise: Noise
    snr_db: float
    rate: int
    channels: int = 1
    subtype: str = "PCM_16"
    reverb_seconds: float = 0.0
    """Time in which the room's sound falls by 60 dB; 0 is no room."""


def shaped(
    rng: np.random.Generator, channels: int, samples: int, rate: int, gain: Callable[[Samples], Samples]
) -> Samples:
    """Gaussian noise [C, S] whose amplitude spectrum follows `gain(frequencies in Hz)`."""
    spectrum = np.fft.rfft(rng.standard_normal((channels, samples)), axis=-1)
    return np.fft.irfft(spectrum * gain(np.fft.rfftfreq(samples, 1 / rate)), samples, axis=-1)


def tones(samples: int, rate: int, base: float, amplitudes: tuple[float, ...]) -> Samples:
    """A hum [S]: harmonics 1, 2, ... of `base` Hz with the given amplitudes."""
    time = np.arange(samples) / rate
    return sum((a * np.sin(2 * np.pi * base * (i + 1) * time) for i, a in enumerate(amplitudes)), 0 * time)


def fan(rng: np.random.Generator, channels: int, samples: int, rate: int) -> Samples:
    """A fan: air that grows softer by 6 dB an octave above 200 Hz, its blades' hum, a slow swell."""
    air = shaped(rng, channels, samples, rate, lambda f: 1 / np.sqrt(1 + (f / 200) ** 2))
    air /= air.std()
    swell = 1 + 0.2 * np.sin(2 * np.pi * 0.7 * np.arange(samples) / rate)
    return swell * (air + tones(samples, rate, 97.0, (0.5, 0.4, 0.2, 0.1)))


def strokes(rng: np.random.Generator, channels: int, samples: int, rate: int, a_second: float) -> Samples:
    """Short decaying bursts at random times, each from its own side and of its own loudness [C, S]."""
    out = np.zeros((channels, samples))
    for _ in range(rng.poisson(a_second * samples / rate)):
        length = int(rate * rng.uniform(0.004, 0.03))
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) * 7 / length)
        start = int(rng.integers(0, max(1, samples - length)))
        sides = rng.uniform(0.4, 1.0, (channels, 1))
        out[:, start : start + length] += rng.lognormal(0, 0.5) * sides * burst[: samples - start]
    return out


def keyboard(rng: np.random.Generator, channels: int, samples: int, rate: int) -> Samples:
    """Typing: nine strokes per second over the hiss of a quiet office."""
    hiss = shaped(rng, channels, samples, rate, lambda f: 1 / np.sqrt(1 + (f / 400) ** 2))
    return strokes(rng, channels, samples, rate, 9.0) + 0.04 * hiss / hiss.std()


def rain(rng: np.random.Generator, channels: int, samples: int, rate: int) -> Samples:
    """Rain on a roof: a bright hiss and three hundred drops per second."""
    hiss = shaped(rng, channels, samples, rate, lambda f: f / (f + 1500))
    return hiss / hiss.std() + 0.7 * strokes(rng, channels, samples, rate, 300.0)


BABBLE = tuple(f"de_rhasspy-{number}.opus" for number in ("0302", "0633", "0956", "0983", "1893", "2259"))


def babble(rng: np.random.Generator, channels: int, samples: int, rate: int) -> Samples:
    """Six people talking in a room: other sentences, each begun somewhere, pitch and speed changed."""
    out = np.zeros(samples)
    for name, speed in zip(BABBLE, (0.8, 0.85, 0.92, 1.08, 1.15, 1.25), strict=True):
        voice = sentence(name, round(rate / speed))  # played back at `rate`, so lower or higher
        voice = np.resize(np.roll(voice, int(rng.integers(voice.size))), samples)
        out += voice / voice.std()
    return np.stack([in_room(out, room(rng, rate, 0.6)) for _ in range(channels)])


def line(rng: np.random.Generator, channels: int, samples: int, rate: int) -> Samples:
    """A bad telephone line: even hiss and the hum of the mains."""
    return rng.standard_normal((channels, samples)) + tones(samples, rate, 50.0, (0.6, 0.2, 0.4, 0.1, 0.3))


def fridge(rng: np.random.Generator, channels: int, samples: int, rate: int) -> Samples:
    """A kitchen: a compressor's hum, and the rumble of its housing."""
    rumble = shaped(rng, channels, samples, rate, lambda f: 1 / (1 + (f / 120) ** 2))
    return rumble / rumble.std() + tones(samples, rate, 50.0, (0.3, 0.8, 0.2, 0.5, 0.1, 0.3))


def room(rng: np.random.Generator, rate: int, seconds: float) -> Samples:
    """Impulse response [S] of a room: the direct sound at 0, then noise falling by 60 dB in `seconds`.

    The first reflection comes after 4 ms; the tail carries as much energy as the direct sound.
    """
    count = int(rate * seconds)
    tail = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail[: int(0.004 * rate)] = 0
    tail /= np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def in_room(dry: Samples, response: Samples) -> Samples:
    """`dry` [S] heard in the room, as long as before and not delayed."""
    size = 1 << (dry.size + response.size - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(response, size), size)[: dry.size]


def sentence(name: str, rate: int) -> Samples:
    """One source sentence [S] at `rate`."""
    samples, source_rate = sf.read(SOURCES / name, dtype="float64")
    return np.asarray(soxr.resample(samples, source_rate, rate))


def mix(example: Example) -> tuple[Samples, Samples]:
    """The clean reference [S] and the noisy recording [C, S] of one example."""
    # one generator a file: adding an example changes no other
    rng = np.random.default_rng([SEED, zlib.crc32(example.file.encode())])
    clean = sentence(example.sentence, example.rate)
    heard = clean
    if example.reverb_seconds:
        heard = in_room(clean, room(rng, example.rate, example.reverb_seconds))
    noise = example.noise(rng, example.channels, clean.size, example.rate)
    level = np.sqrt(np.mean(heard**2) / np.mean(noise**2)) * 10 ** (-example.snr_db / 20)
    noisy = heard + level * noise
    gain = PEAK / max(np.abs(noisy).max(), np.abs(clean).max())
    return gain * clean, gain * noisy


EXAMPLES = (
    Example("fan.flac", "de_rhasspy-1040.opus", fan, 5.0, 48_000),
    Example("rain.wav", "de_rhasspy-0848.opus", rain, 8.0, 16_000),
    Example("telephone.wav", "de_rhasspy-1267.opus", line, 12.0, 8_000, subtype="ULAW"),
    Example("office/keyboard.wav", "de_rhasspy-0201.opus", keyboard, 3.0, 44_100, channels=2),
    Example("office/babble.opus", "de_rhasspy-2119.opus", babble, 6.0, 48_000, subtype="OPUS"),
    Example(
        "home/kitchen.wav", "de_rhasspy-1111.opus", fridge, 10.0, 32_000, subtype="PCM_24", reverb_seconds=0.5
    ),
)


def write(path: Path, samples: Samples, rate: int, subtype: str) -> None:
    """Write samples [S] or [C, S]; `.opus` is an Ogg container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    container = "OGG" if path.suffix == ".opus" else path.suffix[1:].upper()
    sf.write(path, samples.T, rate, subtype=subtype, format=container)


def main(folder: Path) -> None:
    """Write all examples below `folder`."""
    for example in EXAMPLES:
        clean, noisy = mix(example)
        write(folder / "noisy" / example.file, noisy, example.rate, example.subtype)
        write((folder / "clean" / example.file).with_suffix(".flac"), clean, example.rate, "PCM_16")
        print(f"{example.file}: {clean.size / example.rate:.1f} s, {example.snr_db:g} dB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
