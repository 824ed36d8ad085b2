"""Which recording, part, task and split a row gets: decided before any sample is read."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.errors import UsageError
from dacse_cli.training.mix.pairs import PairPlan
from dacse_cli.training.mix.tasks import DISTRIBUTIONS, parse_recipe, task_of
from dacse_cli.training.sound.recordings import Recording
from dacse_cli.training.sound.segments import Segmenting, cut
from dacse_cli.training.sound.splits import Split, assign, parse_splits, shared_out

RATE = 100
SPLITS = parse_splits("train=90,valid=5,test=5")


def plan(**changes):
    speech = tuple(Recording(f"s{i}/a", Path(f"{i}.wav"), 100 * (i + 2), RATE, 1) for i in range(7))
    whole = PairPlan("train", 3, RATE, {"mixture": 1.0}, Segmenting(), speech, (), (), "decay")
    return replace(whole, **changes)


@given(st.integers(0, 3000), st.floats(1.0, 3.0), st.floats(0.0, 2.0))
def test_parts_cover_a_recording_once(samples, seconds, more):
    """A part lost at the end, one that overlaps the next, or one longer than the model's chunk."""
    lengths = Segmenting(1.0, seconds, seconds + more).check()
    parts = cut(samples, RATE, lengths)
    if samples < RATE:
        assert parts == ()
        return
    assert [start for start, _ in parts] == [0, *np.cumsum([n for _, n in parts])[:-1]]
    assert sum(n for _, n in parts) == samples
    assert all(n >= RATE for _, n in parts)
    assert all(n <= max(lengths.longest, seconds + 1.0) * RATE + 1 for _, n in parts)


@pytest.mark.parametrize(
    ("seconds", "parts"),
    [(0.99, []), (1, [1]), (5, [5]), (5.01, [4, 1.01]), (8.5, [4, 4.5]), (9.0, [4, 4, 1.0]), (12, [4, 4, 4])],
)
def test_the_published_rule(seconds, parts):
    """Below 1 s left out, up to 5 s whole, else a 4 s grid whose rest below 1 s stays with the last part."""
    assert [n / RATE for _, n in cut(round(seconds * RATE), RATE, Segmenting())] == parts


def test_lengths_that_contradict_each_other_are_refused():
    with pytest.raises(UsageError, match="`longest`"):
        Segmenting(seconds=4.0, longest=3.0).check()


def test_rows_are_a_function_of_seed_split_and_index():
    """A row that depends on rows before it cannot be made alone, in parallel or again."""
    one, again = plan(), plan()
    assert [one.row(i, one.rng(i, 0)) for i in (9, 2, 5)] == [
        again.row(i, again.rng(i, 0)) for i in (9, 2, 5)
    ]
    drawn = {p.rng(4, a).random() for p in (one, plan(seed=4), plan(split="test")) for a in (0, 1)}
    assert len(drawn) == 6


def test_every_recording_is_used_before_any_is_used_again():
    """Draws with replacement leave a third of a corpus unheard in its first turn."""
    one = plan()
    for turn in range(3):
        names = [one.row(i, one.rng(i, 0)).speech.name for i in range(7 * turn, 7 * turn + 7)]
        assert sorted(names) == sorted(r.name for r in one.speech)


@given(st.integers(1, 3000))
def test_tasks_come_in_their_shares_from_the_start(rows):
    """Independent draws of a small set may hold no row of a rare task."""
    shares = parse_recipe("extended")
    counts = Counter(task_of(i, shares) for i in range(rows))
    assert all(abs(counts[name] - share * rows) < 5 for name, share in shares.items())


def test_the_published_distributions():
    assert parse_recipe("general") == {"mixture": 1.0}
    assert sum(DISTRIBUTIONS["custom"].values()) == 22_000
    assert parse_recipe("natural=3, reverb=1") == {"natural": 0.75, "reverb": 0.25}


@pytest.mark.parametrize("text", ["loud", "natural=0", "natural=x", "natural,natural", ""])
def test_recipes_that_are_none_are_named(text):
    with pytest.raises(UsageError, match="`recipe`"):
        parse_recipe(text)


@pytest.mark.parametrize("text", ["train", "a=1,a=2", "../x=1", "=1", "a=-1", "a=nan"])
def test_splits_that_are_none_are_named(text):
    """A split's name becomes a folder: nothing that leads out of it."""
    with pytest.raises(UsageError, match="`splits`"):
        parse_splits(text)


@given(st.sets(st.text("abcdef", min_size=1), min_size=3, max_size=40))
def test_every_split_gets_something_and_every_group_one_split(groups):
    found = assign(groups, SPLITS, "speakers")
    assert set(found) == groups
    assert set(found.values()) == {"train", "valid", "test"}


def test_a_group_stays_where_it_is_when_others_come():
    """A ranking would move a speaker from test to train when the corpus grows: a leak nobody sees."""
    few, many = ([f"speaker{i}" for i in range(n)] for n in (200, 400))
    before, after = assign(few, SPLITS, "speakers"), assign(many, SPLITS, "speakers")
    assert all(after[name] == split for name, split in before.items())
    assert 0.85 < Counter(after.values())["train"] / 400 < 0.95


def test_fewer_groups_than_splits_are_refused():
    with pytest.raises(UsageError, match="2 speakers cannot be split into 3"):
        assign(["a", "b"], SPLITS, "speakers")


@given(st.integers(0, 10_000))
def test_counts_add_up(count):
    shared = shared_out(count, (Split("a", 0.7), Split("b", 0.15), Split("c", 0.15)))
    assert sum(shared) == count
    assert abs(shared[0] - 0.7 * count) <= 1
