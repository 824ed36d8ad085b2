"""Parts of a run: disjoint, complete, stable, and free to write one folder at once."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.errors import LockedError, NoInputError, UsageError
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.record.standing import Standing
from dacse_cli.pipeline.record.status import look
from dacse_cli.pipeline.request.shards import Shard, parse_shard

RECIPE = Recipe(100, 1, "abc")
OF_FOUR = {"SLURM_ARRAY_TASK_COUNT": "4"}


@given(st.lists(st.text(min_size=1), max_size=50), st.integers(1, 9))
def test_every_input_is_in_exactly_one_part(names, count):
    parts = [Shard(i, count) for i in range(1, count + 1)]
    for name in names:
        assert sum(part.holds(name) for part in parts) == 1


def test_parts_are_alike_in_size_and_do_not_depend_on_the_machine():
    """The built-in hash() differs from process to process: half the corpus would be done twice."""
    names = [f"speaker {i // 10}/take {i}.wav" for i in range(4000)]
    sizes = [sum(Shard(i, 4).holds(name) for name in names) for i in (1, 2, 3, 4)]
    assert sizes == [1045, 988, 986, 981]


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("2/4", {}, Shard(2, 4)),
        ("slurm", {"SLURM_ARRAY_TASK_ID": "3", **OF_FOUR}, Shard(4, 4)),
        ("slurm", {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MIN": "5", **OF_FOUR}, Shard(1, 4)),
    ],
)
def test_which_part(text, environ, expected):
    assert parse_shard(text, environ) == expected


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "slurm", "-1/2"])
def test_impossible_parts(text):
    with pytest.raises(UsageError):
        parse_shard(text, {})


def finish(journal, name, data=b"x"):
    (journal.place.folder / name).write_bytes(data)
    journal.finish(name, RECIPE, "in", len(data), hashlib.sha256(data).hexdigest())


def test_parts_share_a_folder_and_know_each_others_work(tmp_path):
    place = LocalPlace(tmp_path)
    with Journal(place, Shard(1, 2)) as one, Journal(place, Shard(2, 2)) as two:
        finish(one, "a.wav")
        finish(two, "b.wav")
        two.fail("c.wav", RECIPE, "nan", "1 sample is NaN")
        with pytest.raises(LockedError), Journal(place, Shard(1, 2)):
            pass
        with pytest.raises(LockedError), Journal(place):
            pass
        assert len(look(str(tmp_path)).writing) == 2
    with Journal(place) as whole:
        assert whole.standing("a.wav", RECIPE, "in") is Standing.DONE
        assert whole.standing("b.wav", RECIPE, "in") is Standing.DONE
        assert whole.standing("c.wav", RECIPE, "in") is Standing.FREE
        with pytest.raises(LockedError), Journal(place, Shard(1, 2)):
            pass
    (tmp_path / "b.wav").unlink()
    seen = look(str(tmp_path))
    assert (seen.finished, seen.missing, seen.writing, seen.journals) == (1, ["b.wav"], [], 3)
    assert seen.failed == [("c.wav", "1 sample is NaN")]


def test_a_folder_without_a_journal(tmp_path):
    with pytest.raises(NoInputError):
        look(str(tmp_path))
