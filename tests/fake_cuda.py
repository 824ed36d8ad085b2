"""CUDA's graphs, streams and graph memory pools without CUDA, with the checks that torch makes."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch

Pool = tuple[int, int]


class FakeStream:
    def wait_stream(self, other: object) -> None:
        pass


class FakeGraph:
    """Holds one reference to its pool from the beginning of its capture; replaying it does nothing."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.pool = cuda, None

    def replay(self) -> None:
        pass

    def __del__(self) -> None:
        if self.pool is not None:
            self.cuda.uses[self.pool] -= 1


class FakeCuda:
    """Stands in for the functions of `torch.cuda` that captures use."""

    def __init__(self) -> None:
        self.device = 0
        self.uses: Counter[Pool] = Counter()
        """Graphs of each pool that a graph was ever captured into."""
        self.handles = 0
        self.streams: list[FakeStream] = []
        self.used: list[tuple[str, object]] = []
        """What was done on which stream."""

    def graph_pool_handle(self) -> Pool:
        self.handles += 1
        return 0, self.handles

    def make_stream(self) -> FakeStream:
        self.streams.append(FakeStream())
        return self.streams[-1]

    @contextlib.contextmanager
    def on_stream(self, stream: object) -> Iterator[None]:
        self.used.append(("warm-up", stream))
        yield

    @contextlib.contextmanager
    def capture(
        self,
        graph: FakeGraph,
        pool: Pool | None = None,
        stream: object = None,
        capture_error_mode: str = "global",
    ) -> Iterator[None]:
        assert pool is not None
        if pool in self.uses and self.uses[pool] <= 0:
            raise RuntimeError("it->second->use_count > 0 INTERNAL ASSERT FAILED")
        self.uses[pool] += 1
        graph.pool = pool
        self.used.append(("capture", stream))
        yield

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
        names: dict[str, Any] = {
            "graph_pool_handle": self.graph_pool_handle,
            "CUDAGraph": lambda: FakeGraph(self),
            "Stream": self.make_stream,
            "stream": self.on_stream,
            "current_stream": FakeStream,
            "current_device": lambda: self.device,
            "graph": self.capture,
        }
        for name, stand_in in names.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)
        return self
