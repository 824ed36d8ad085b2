"""A server in this process over models that are none, on a free port, spoken to over real sockets."""

import contextlib
import threading
import time
from types import SimpleNamespace

import httpx
import numpy as np
import soundfile

from dacse_cli.serve import server

TOKEN = "a-token-for-the-tests"


class HalfAsLoud:
    """Stands in for an `Enhancer`: a second per piece, at half its level, while `gate` is set."""

    batch_size = 4

    def __init__(self):
        self.gate, self.log = threading.Event(), []
        self.gate.set()

    def stream(self, audio, *, batch_size=None):
        samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
        for start in range(0, len(samples), rate):
            self.gate.wait(20)
            self.log.append((len(samples), start // rate))
            piece = np.float32(0.5) * samples[start : start + rate].T
            yield SimpleNamespace(samples=piece, sample_rate=rate, guard=None)

    def close(self):
        pass


@contextlib.contextmanager
def served(load, **options):
    """A client of a running server; `client.folder` is where it keeps recordings."""
    opened, stop = threading.Event(), {}

    def on_open(address, token):
        stop["address"] = address
        opened.set()

    with stoppable_server() as running:
        thread = threading.Thread(
            target=server.run, args=(load, "half", on_open), kwargs={"token": TOKEN, **options}, daemon=True
        )
        thread.start()
        assert opened.wait(20)
        base = stop["address"].split("/?")[0]
        with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client:
            client.address = stop["address"]
            yield client
        running[0].should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@contextlib.contextmanager
def stoppable_server():
    """The uvicorn servers made meanwhile."""
    import uvicorn

    made, original = [], uvicorn.Server.__init__

    def remember(self, config):
        original(self, config)
        made.append(self)

    uvicorn.Server.__init__ = remember
    try:
        yield made
    finally:
        uvicorn.Server.__init__ = original


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "never"
        time.sleep(0.02)
    return found


def wav_bytes(seconds, rate=16_000, channels=1, level=0.5):
    """A WAV file of a tone with pauses, and its samples `[S, C]`."""
    import io

    time_axis = np.arange(round(seconds * rate)) / rate
    tone = level * np.sin(2 * np.pi * 440 * time_axis) * (time_axis % 1 < 0.6)
    samples = np.repeat(tone[:, None], channels, axis=1).astype(np.float32)
    out = io.BytesIO()
    soundfile.write(out, samples, rate, "FLOAT", format="WAV")
    return out.getvalue(), samples


def samples_of(content):
    import io

    return soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
