"""A graph without circles as rows of boxes, every arrow pointing down, with few crossings.

The usual steps (Sugiyama): an arrow over several rows gets a bend in each row between; the order of a row is
that of its neighbours' means, and the order with the fewest crossings is kept; places are the means of
neighbours, as far as boxes leave room. Nothing is random, so equal graphs give equal pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

Arrow = tuple[str, str]
SWEEPS = 24
BEND = 14.0
"""Room for an arrow that passes a row, in pixels."""


def rows_of(graph: Mapping[str, set[str]], floor: Mapping[str, int]) -> list[list[str]]:
    """Rows from the top: floor by floor, and within a floor whoever imports a neighbour above it."""
    depth: dict[str, int] = {}

    def height(name: str) -> int:
        if name not in depth:
            beside = [other for other in graph[name] if floor[other] == floor[name]]
            depth[name] = 1 + max(map(height, beside), default=-1)
        return depth[name]

    places = sorted({(-floor[name], -height(name)) for name in graph})
    return [sorted(n for n in graph if (-floor[n], -depth[n]) == place) for place in places]


class Layers:
    """Where the boxes of a graph are, `x` of their middles, and by which bends its arrows go."""

    def __init__(
        self, rows: Sequence[Sequence[str]], graph: Mapping[str, set[str]], width: Mapping[str, float]
    ) -> None:
        self.rows = [list(row) for row in rows]
        self._width = dict(width)
        self.row_of = {name: number for number, row in enumerate(rows) for name in row}
        self.ways: dict[Arrow, list[str]] = {}
        for name in sorted(graph):
            for other in sorted(graph[name]):
                self.ways[name, other] = self._way(name, other)
        self._steps = [step for way in self.ways.values() for step in pairwise(way)]
        self._order()
        self.x = self._places()

    def _way(self, name: str, other: str) -> list[str]:
        way = [name]
        for number in range(self.row_of[name] + 1, self.row_of[other]):
            bend = f"{name}>{other}@{number}"
            self.rows[number].append(bend)
            self.row_of[bend], self._width[bend] = number, BEND
            way.append(bend)
        return [*way, other]

    def _neighbours(self, name: str, *, above: bool) -> list[str]:
        return [a if above else b for a, b in self._steps if name == (b if above else a)]

    def _order(self) -> None:
        best, fewest = [list(row) for row in self.rows], self._crossings()
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for row in self.rows[1:] if down else self.rows[-2::-1]:
                place = {name: i for other in self.rows for i, name in enumerate(other)}
                mean = {}
                for name in row:
                    beside = [place[other] for other in self._neighbours(name, above=down)]
                    mean[name] = sum(beside) / len(beside) if beside else place[name]
                row.sort(key=lambda name: (mean[name], place[name]))
            self._exchange()
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def _exchange(self) -> None:
        """Exchange neighbours in a row where that leaves fewer crossings."""
        for row in self.rows:
            for i in range(len(row) - 1):
                before = self._crossings()
                row[i], row[i + 1] = row[i + 1], row[i]
                if self._crossings() >= before:
                    row[i], row[i + 1] = row[i + 1], row[i]

    def _crossings(self) -> int:
        place = {name: i for row in self.rows for i, name in enumerate(row)}
        count = 0
        for number in range(len(self.rows) - 1):
            steps = [(place[a], place[b]) for a, b in self._steps if self.row_of[a] == number]
            count += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(steps, 2))
        return count

    def _places(self) -> dict[str, float]:
        x: dict[str, float] = {}
        for row in self.rows:
            at = 0.0
            for name in row:
                x[name] = at + self._width[name] / 2
                at += self._width[name]
        for sweep in range(4 * SWEEPS):
            rows = self.rows if sweep % 2 == 0 else self.rows[::-1]
            for row in rows:
                wanted = []
                for name in row:
                    beside = [x[n] for up in (True, False) for n in self._neighbours(name, above=up)]
                    wanted.append(sum(beside) / len(beside) if beside else x[name])
                x.update(zip(row, self._apart(row, wanted), strict=True))
        left = min(x[name] - self._width[name] / 2 for name in x)
        return {name: place - left for name, place in x.items()}

    def _apart(self, row: Sequence[str], wanted: Sequence[float]) -> list[float]:
        """The places nearest to those wanted at which boxes do not overlap (pooled means)."""
        half = [self._width[name] / 2 for name in row]
        offset, offsets = 0.0, []
        for i in range(len(row)):
            offset += half[i] + half[i - 1] if i else 0.0
            offsets.append(offset)
        pools: list[tuple[float, int]] = []
        for want, shift in zip(wanted, offsets, strict=True):
            mean, count = want - shift, 1
            while pools and pools[-1][0] > mean:
                other, more = pools.pop()
                mean, count = (mean * count + other * more) / (count + more), count + more
            pools.append((mean, count))
        means = [mean for mean, count in pools for _ in range(count)]
        return [mean + shift for mean, shift in zip(means, offsets, strict=True)]

    @property
    def width(self) -> float:
        """From the leftmost to the rightmost edge."""
        return max(self.x[name] + self._width[name] / 2 for name in self.x)
