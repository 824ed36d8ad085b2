"""Functions recorded as CUDA graphs: all their launches cost the host one call."""

from __future__ import annotations

from collections.abc import Callable

import torch

Replay = Callable[[], None]
Capture = Callable[[Callable[[], None]], Replay]


class GraphCapture:
    """Captures functions as CUDA graphs that share one memory pool: they never run at the same time."""

    name = ", CUDA graphs"

    def __init__(self) -> None:
        self._pool: object = None

    def __call__(self, body: Callable[[], None]) -> Replay:
        """Run `body` once to load its kernels, then record it. It must not synchronise with the device."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            body()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # other threads, such as the codec's, may use the device meanwhile
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):  # type: ignore[arg-type]
            body()
        return graph.replay


class NoCapture:
    """Runs functions directly: where graphs fail, and to measure the gain from graphs."""

    name = ", no graphs"

    def __call__(self, body: Callable[[], None]) -> Replay:
        return body


def graph_rows(rows: int, most: int) -> int:
    """The captured number of rows that serves `rows` out of `most`: a power of two, or `most`."""
    return min(1 << (rows - 1).bit_length(), most)
