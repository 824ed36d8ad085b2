"""Room impulse responses: from files, from a simulation by images and rays, or as decaying noise.

Responses here exclude the direct sound, which is the speech itself at sample 0: so nothing is delayed
relative to the clean recording, and the drawn ratio is that of direct to reverberant power.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError, UsageError
from dacse_cli.training.mix.recipes import Drawn, DrawRoom, Range, decaying_room
from dacse_cli.training.sound.level import Samples
from dacse_cli.training.sound.recordings import Recording, read_part

DIRECT = 0.0025
"""Seconds after the strongest sample that count as direct sound."""
LONGEST = 10.0
"""Seconds of a response that are used."""
RT60 = Range(0.1, 0.8)
"""Reverberation times of simulated rooms, seconds."""
MODELS = ("auto", "image", "decay")


def without_direct_sound(response: Samples, rate: int) -> Samples:
    """`response` from its strongest sample on, its first 2.5 ms zeroed, energy 1.

    Raises `InputError` with reason `dry` if nothing is left.
    """
    start = int(np.abs(response).argmax())
    late = response[start:].copy()
    late[: int(DIRECT * rate)] = 0.0
    energy = float(np.linalg.norm(late))
    if energy == 0.0:
        raise InputError("a room response without reverberation", reason="dry")
    return (late / energy).astype(np.float32)


def recorded_room(recordings: Sequence[Recording], rate: int) -> DrawRoom:
    """Responses from files, one channel each: the mean of several microphones is not a real response."""

    def draw(rng: np.random.Generator, drawn: Drawn) -> Samples:
        recording = recordings[int(rng.integers(len(recordings)))]
        channel = int(rng.integers(recording.channels))
        samples = min(recording.samples_at(rate), round(LONGEST * rate))
        response = without_direct_sound(read_part(recording, 0, samples, rate, channel=channel), rate)
        drawn["room"] = {"model": "file", "file": recording.name, "channel": channel}
        return response

    return draw


def simulated_room(model: str, rate: int) -> DrawRoom:
    """Rooms simulated by `model`, `image` or `decay`, at `rate` Hz."""
    simulate = image_room(rate, RT60) if model == "image" else decaying_room(rate, RT60)

    def draw(rng: np.random.Generator, drawn: Drawn) -> Samples:
        drawn["room"] = {"model": model}
        return simulate(rng, drawn["room"])

    return draw


def draw_room(recordings: Sequence[Recording], model: str, rate: int) -> DrawRoom:
    """Rooms from `recordings`; if there are none, rooms simulated by `model`."""
    return recorded_room(recordings, rate) if recordings else simulated_room(model, rate)


def choose_model(requested: str) -> str:
    """`auto` is `image` where pyroomacoustics is installed, else `decay`. Raises `UsageError`."""
    if requested not in MODELS:
        raise UsageError(f"`room` {requested}: choose one of {', '.join(MODELS)}")
    installed = importlib.util.find_spec("pyroomacoustics") is not None
    if requested == "image" and not installed:
        raise UsageError(
            '`room="image"` needs pyroomacoustics, which is not installed',
            hint="Install the extra: pip install 'dacse[mix]'.",
        )
    if requested == "auto":
        return "image" if installed else "decay"
    return requested


def image_room(rate: int, rt60: Range) -> DrawRoom:
    """Shoebox rooms by pyroomacoustics: three orders of images, then rays."""

    def draw(rng: np.random.Generator, drawn: Drawn) -> Samples:
        drawn["rt60"] = rt60.draw(rng)
        return _image(rate, rng, drawn)

    return draw


def _image(rate: int, rng: np.random.Generator, room: Drawn) -> Samples:
    import pyroomacoustics as pra

    size = rng.uniform((3.0, 2.5, 2.3), (8.0, 6.0, 3.5))  # length, width, height in m
    # the shortest time by Sabine's formula, with fully absorbing walls
    room["rt60"] = max(room["rt60"], 1.2 * 0.161 * float(size.prod()) / _walls(size))
    absorption, _ = pra.inverse_sabine(room["rt60"], size)
    source, microphone = (rng.uniform(0.1, 0.9, 3) * size for _ in range(2))
    pra.random.seed(int(rng.integers(2**31)))
    box = pra.ShoeBox(size, fs=rate, materials=pra.Material(absorption), max_order=3, ray_tracing=True)
    box.set_ray_tracing(receiver_radius=0.3, n_rays=2000, energy_thres=1e-6)
    box.add_source(source)
    box.add_microphone(microphone)
    box.compute_rir()
    room["size"] = [float(length) for length in size]
    return without_direct_sound(np.asarray(box.rir[0][0], np.float32), rate)


def _walls(size: NDArray[np.float64]) -> float:
    """Area of all six walls of a shoebox, m^2."""
    length, width, height = (float(side) for side in size)
    return 2.0 * (length * width + length * height + width * height)
