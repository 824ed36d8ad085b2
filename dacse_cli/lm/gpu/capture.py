"""Functions recorded as CUDA graphs: all their launches cost the host one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import torch

Replay = Callable[[], None]
Capture = Callable[[Callable[[], None]], Replay]


class GraphCapture:
    """Captures functions as CUDA graphs that share one memory pool: they never run at the same time.

    The pool is used as long as one of its graphs exists. torch fails an assertion when a graph is captured
    into a pool that has lost all its graphs.
    """

    name = ", CUDA graphs"

    def __init__(self) -> None:
        self._pool: object = None
        self._graphs: WeakSet[torch.cuda.CUDAGraph] = WeakSet()
        self._streams: dict[int, torch.cuda.Stream] = {}

    def __call__(self, body: Callable[[], None]) -> Replay:
        """Run `body` once to load its kernels, then record it. It must not synchronise with the device."""
        if not self._graphs:
            self._pool = torch.cuda.graph_pool_handle()
        side = self._side_stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            body()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # other threads, such as the codec's, may use the device meanwhile
        way: dict[str, Any] = {"pool": self._pool, "stream": side, "capture_error_mode": "thread_local"}
        with torch.cuda.graph(graph, **way):
            body()
        self._graphs.add(graph)
        return graph.replay

    def _side_stream(self) -> torch.cuda.Stream:
        """The current device's stream to warm up and capture on: one, because every stream keeps memory."""
        device = torch.cuda.current_device()
        if device not in self._streams:
            self._streams[device] = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        return self._streams[device]


class NoCapture:
    """Runs functions directly: where graphs fail, and to measure the gain from graphs."""

    name = ", no graphs"

    def __call__(self, body: Callable[[], None]) -> Replay:
        return body


def graph_rows(rows: int, most: int) -> int:
    """The captured number of rows that serves `rows` out of `most`: a power of two, or `most`."""
    return min(1 << (rows - 1).bit_length(), most)
