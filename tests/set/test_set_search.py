"""Search: the published tables, and what must hold for any network."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny_set import ATTENTION, CONFIG, FACTORED, LSTM, K, V, tiny_network

from dacse_cli.interfaces import Codes, Draw
from dacse_cli.set.expansion import EXPANSIONS, Propose, best, expand, first_scores, ranked
from dacse_cli.set.network import SetNetwork, shifted
from dacse_cli.set.scoring import NetworkScorer, ScoringWeights
from dacse_cli.set.search import RowNoise, beam_search, greedy, read_back, rows_left

GOLDEN = Path(__file__).parents[1] / "golden" / "set"
NETWORKS = {"conformer": CONFIG, "lstm": LSTM, "attention": ATTENTION, "factored": FACTORED}


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


class TableScorer:
    """Logits `[B, T, K, V]`, to which a table `[K, K, V + 1, V]` of what was written before may be added."""

    def __init__(self, logits: torch.Tensor, weights: torch.Tensor | None, beam: int) -> None:
        B, _, books, size = logits.shape
        self.table, self.weights, self.beam, self.frame = logits, weights, beam, 0
        self.first = torch.full((B, beam, books), size)

    def logits(self, last: torch.Tensor, parents: torch.Tensor | None) -> torch.Tensor:
        found = self.table[:, self.frame].unsqueeze(1).expand(-1, self.beam, -1, -1)
        self.frame += 1
        if self.weights is None:
            return found
        books = last.shape[2]
        return found + torch.stack(
            [sum(self.weights[o, i][last[:, :, i]] for i in range(books)) for o in range(books)], dim=2
        )

    def keep(self, rows: int) -> None:
        self.table = self.table[:rows]


@pytest.mark.parametrize("beam", [1, 3, 10])
@pytest.mark.parametrize("case", ["table", "history"])
def test_the_published_search(case: str, beam: int) -> None:
    """Fails when pairing by rank, the first frame, ties of parents or the end of a short row drifts."""
    golden = load_file(GOLDEN / "search.safetensors")
    frames = json.loads((GOLDEN / "extra.json").read_text())["search"]["frames"]
    scorer = TableScorer(golden[f"{case}.logits"], golden.get(f"{case}.weights"), beam)
    tokens, scores = beam_search(scorer, frames, ranked)
    for row, own in enumerate(frames):
        want = golden[f"{case}.beam_{beam}.tokens"][row, :, :own].long()
        torch.testing.assert_close(tokens[row, :, :own], want)
        assert not tokens[row, :, own:].any()
    torch.testing.assert_close(scores, golden[f"{case}.beam_{beam}.scores"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("beam", [1, 3, 10])
def test_the_published_transducer_is_searched_as_published(beam: int) -> None:
    """Network, caches and search together."""
    from test_set_golden import transducer

    network, golden = transducer(), load_file(GOLDEN / "transducer.safetensors")
    tokens, scores = search(network, golden["noisy"].long(), [14, 14], beam, ranked)
    torch.testing.assert_close(tokens, golden[f"beam_{beam}.tokens"].long())
    torch.testing.assert_close(scores, golden[f"beam_{beam}.scores"], atol=2e-4, rtol=0)


def search(
    network: SetNetwork, noisy: torch.Tensor, frames: Sequence[int], beam: int, propose: Propose = best
) -> tuple[torch.Tensor, torch.Tensor]:
    scorer = NetworkScorer(ScoringWeights(network, torch.float32), len(noisy), beam, noisy.shape[1])
    scorer.begin(network.encoder(noisy, torch.tensor(frames)))
    found = beam_search(scorer, frames, propose)
    assert scorer.healthy()
    return found


def greedily(network: SetNetwork, noisy: torch.Tensor, frames: Sequence[int]) -> torch.Tensor:
    scorer = NetworkScorer(ScoringWeights(network, torch.float32), len(noisy), 1, noisy.shape[1])
    scorer.begin(network.encoder(noisy, torch.tensor(frames)))
    return greedy(scorer, frames)


class UncachedScorer:
    """The whole prefix of every hypothesis through the network, every frame."""

    def __init__(self, network: SetNetwork, noisy: torch.Tensor, beam: int) -> None:
        self.network, self.encoded, self.beam = network, network.encoder(noisy), beam
        self.past = torch.zeros(len(noisy), beam, 0, K, dtype=torch.int64)
        self.first = torch.full((len(noisy), beam, K), V)

    def logits(self, last: torch.Tensor, parents: torch.Tensor | None) -> torch.Tensor:
        if parents is not None:
            rows = torch.arange(len(parents)).unsqueeze(1)
            self.past = self.past[rows, parents]
        self.past = torch.cat([self.past, last.unsqueeze(2)], dim=2)
        predicted = self.network.predictor(self.past.flatten(0, 1))[:, -1].unflatten(0, last.shape[:2])
        joined = self.network.joined(self.encoded[:, self.past.shape[2] - 1].unsqueeze(1), predicted)
        return self.network.split(self.network.head(joined))

    def keep(self, rows: int) -> None:
        raise AssertionError("not used")


def codes(seed: int, rows: int, frames: int) -> torch.Tensor:
    return torch.randint(V, (rows, frames, K), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("expansion", EXPANSIONS)
@pytest.mark.parametrize("beam", [1, 4])
def test_cached_equals_uncached(kind: str, expansion: str, beam: int) -> None:
    """Fails when a cache follows the wrong parent, or a ring, a position or a mask is off by one."""
    network, noisy = tiny_network(NETWORKS[kind]), codes(1, 3, 17)
    got = search(network, noisy, [17] * 3, beam, EXPANSIONS[expansion])
    want = beam_search(UncachedScorer(network, noisy, beam), [17] * 3, EXPANSIONS[expansion])
    torch.testing.assert_close(got[0], want[0], atol=0, rtol=0)
    torch.testing.assert_close(got[1], want[1], atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_beam_of_one_is_greedy(kind: str) -> None:
    network, noisy = tiny_network(NETWORKS[kind]), codes(2, 4, 19)
    frames = [19, 18, 7, 1]
    found = greedily(network, noisy, frames)
    for expansion in EXPANSIONS.values():
        torch.testing.assert_close(found, search(network, noisy, frames, 1, expansion)[0][:, 0])


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 24), min_size=1, max_size=5),
    seed=st.integers(0, 99),
    beam=st.sampled_from([1, 3]),
)
def test_a_batch_equals_single_rows(lengths: list[int], seed: int, beam: int) -> None:
    """Fails when padding leaks, or a row that has ended takes others with it."""
    frames = sorted(lengths, reverse=True)
    network, noisy = tiny_network(), codes(seed, len(frames), frames[0])
    tokens, scores = search(network, noisy, frames, beam)
    for row, own in enumerate(frames):
        alone, score = search(network, noisy[row : row + 1, :own], [own], beam)
        torch.testing.assert_close(tokens[row, :, :own], alone[0], atol=0, rtol=0)
        torch.testing.assert_close(scores[row], score[0], atol=1e-3, rtol=0)


@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from(sorted(NETWORKS)), frames=st.integers(2, 20), data=st.data(), seed=st.integers(0, 99)
)
def test_no_frame_depends_on_later_clean_frames(
    kind: str, frames: int, data: st.DataObject, seed: int
) -> None:
    network, noisy, clean = tiny_network(NETWORKS[kind]), codes(seed, 2, frames), codes(seed + 1, 2, frames)
    at = data.draw(st.integers(0, frames - 1))
    changed = clean.clone()
    changed[:, at:] = (changed[:, at:] + 1 + codes(seed + 2, 2, frames)[:, at:] % (V - 1)) % V
    first, second = network(noisy, shifted(clean, V)), network(noisy, shifted(changed, V))
    assert torch.equal(first[:, : at + 1], second[:, : at + 1])
    if at + 1 < frames:
        assert not torch.equal(first[:, at + 1], second[:, at + 1])


@settings(max_examples=20, deadline=None)
@given(own=st.integers(1, 20), padding=st.integers(0, 20), seed=st.integers(0, 99))
def test_padding_changes_nothing(own: int, padding: int, seed: int) -> None:
    network = tiny_network()
    long, past = codes(seed, 2, own + padding), codes(seed + 1, 2, own + padding)
    got = network(long, past, torch.tensor([own + padding, own]))[1, :own]
    alone = network(long[1:, :own], past[1:, :own])[0]
    torch.testing.assert_close(got, alone, atol=2e-5, rtol=1e-5)
    other = torch.cat([long[:, :own], codes(seed + 2, 2, padding)], dim=1)
    assert torch.equal(network(other, past, torch.tensor([own + padding, own]))[1, :own], got)


@settings(max_examples=60, deadline=None)
@given(books=st.integers(1, 5), size=st.integers(1, 4), count=st.integers(1, 12), seed=st.integers(0, 999))
def test_best_proposals_are_the_best_of_all(books: int, size: int, count: int, seed: int) -> None:
    """Against all combinations there are."""
    logits = torch.randn(1, 1, books, size, generator=torch.Generator().manual_seed(seed)) * 2
    scores, found = best(logits, count)
    log_probs = logits[0, 0].log_softmax(-1)
    every = sorted(
        (
            float(sum(log_probs[k, c] for k, c in enumerate(tuple_)))
            for tuple_ in itertools.product(range(size), repeat=books)
        ),
        reverse=True,
    )
    real = scores[0, 0].isfinite()
    assert int(real.sum()) == min(count, len(every))
    torch.testing.assert_close(scores[0, 0][real], torch.tensor(every[:count]), atol=1e-5, rtol=0)
    own = torch.stack([log_probs[torch.arange(books), c].sum() for c in found[0, 0][real]])
    torch.testing.assert_close(own, scores[0, 0][real], atol=1e-5, rtol=0)


def test_ranked_proposals_take_the_same_rank_in_every_codebook() -> None:
    logits = torch.tensor([[[[0.0, 3.0, 1.0], [5.0, 4.0, 6.0]]]])
    scores, found = ranked(logits, 2)
    assert found.tolist() == [[[[1, 2], [2, 0]]]]
    log_probs = logits.log_softmax(-1)[0, 0]
    torch.testing.assert_close(scores[0, 0, 0], log_probs[0, 1] + log_probs[1, 2])


def test_the_first_frame_has_one_parent() -> None:
    """All hypotheses are alike before the first frame: kept as N, the N best would be N copies of one."""
    logits = torch.randn(1, 1, 2, 9).expand(1, 4, 2, 9)
    kept = expand(logits, first_scores(1, 4, logits.device), ranked)
    assert kept.parents.tolist() == [[0, 0, 0, 0]]
    assert len({tuple(codes) for codes in kept.codes[0].tolist()}) == 4


def test_hypotheses_are_read_back_through_their_parents() -> None:
    """Row 1 ends a frame earlier: its order is that of its own last frame."""
    written = [
        torch.tensor([[[1], [2]], [[3], [4]]]),
        torch.tensor([[[5], [6]], [[7], [8]]]),
        torch.tensor([[[9], [0]]]),
    ]
    links = [torch.tensor([[0, 0], [0, 0]]), torch.tensor([[1, 0], [0, 0]]), torch.tensor([[1, 0]])]
    whole = read_back(written, links, 2)[..., 0]
    assert whole.tolist() == [[[1, 6, 9], [2, 5, 0]], [[3, 7, 0], [3, 8, 0]]]
    assert read_back(written[:1], links[:1], 2)[..., 0].tolist() == [[[1], [2]], [[3], [4]]]


class Watched(TableScorer):
    """A table that notes how many rows it is told to keep."""

    def __init__(self, rows: int, frames: int, beam: int) -> None:
        logits = torch.randn(rows, frames, K, V, generator=torch.Generator().manual_seed(rows))
        super().__init__(logits, None, beam)
        self.kept: list[int] = []

    def keep(self, rows: int) -> None:
        super().keep(rows)
        self.kept.append(rows)


@pytest.mark.parametrize("beam", [1, 3])
def test_reports_and_rows_that_end(beam: int) -> None:
    """Fails when a long search reports nothing or the wrong frame, or a scorer is cut at every frame."""
    frames, said = [51, 25, 25], []
    scorer = Watched(3, frames[0], beam)
    if beam == 1:
        greedy(scorer, frames, None, said.append)
    else:
        beam_search(scorer, frames, best, said.append)
    assert said == [25, 50]
    assert scorer.kept == [1]


def test_noise_of_a_row_is_its_own() -> None:
    """Fails when a draw depends on its company or the temperature, or a row without one is disturbed."""
    cpu, kinds = torch.device("cpu"), Codes(K, V)
    cold, hot, other = Draw(0.5, 7), Draw(1.0, 7), Draw(1.0, 8)
    alone, pair = RowNoise([hot], kinds, cpu), RowNoise([hot, cold, other], kinds, cpu)
    for _ in range(2):
        one, three = alone(2), pair(3)
        assert one.shape == (2, K, V) and one.dtype is torch.float32 and three.shape == (3, K, V)
        assert torch.equal(one[0], three[0]) and not one[1].any()
        torch.testing.assert_close(three[1], 0.5 * three[0])
        assert not torch.equal(three[2], three[0])
        assert not torch.equal(one[0, 0], one[0, 1])  # nor do codebooks share it
    assert abs(RowNoise([hot], Codes(9, 1024), cpu)(1).mean() - 0.5772) < 0.1  # of Gumbel's distribution


def test_drawn_codes_follow_the_noise() -> None:
    """Fails when noise is drawn and not used: the best of logits plus noise."""
    scorer, noise = Watched(2, 4, 1), torch.zeros(2, K, V)
    wanted = torch.arange(K) + torch.tensor([[1], [2]])  # another one for every row and codebook
    noise.scatter_(2, wanted.unsqueeze(2), 1e6)
    found = greedy(scorer, [4, 2], lambda rows: noise[:rows])
    assert (found[0] == wanted[0]).all() and (found[1, :2] == wanted[1]).all() and not found[1, 2:].any()


def test_rows_come_longest_first() -> None:
    assert rows_left([4, 2, 2]) == [3, 3, 1, 1]
    for frames in ([1, 2], [], [3, 0]):
        with pytest.raises(ValueError, match="longest first"):
            rows_left(frames)
