"""Which files are found, where their outputs go, and which plans are refused."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.audio.info import AudioInfo
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import InputError, NoInputError, OutputError, UsageError
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.request.collisions import Collisions
from dacse_cli.pipeline.request.jobs import Found, input_stamp
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run.run import check_space
from dacse_cli.pipeline.wire.messages import Form


def tree(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def request(*inputs, output=None, form="enhance", **sound) -> Request:
    names = tuple(map(str, inputs))
    out = None if output is None else str(output)
    return Request(Form(form), names, out, ModelOptions(), ChunkOptions(), SoundOptions(**sound))


def jobs(todo):
    return [job for wave in todo.waves for job in wave]


def targets(todo, root: Path) -> dict[str, str]:
    return {str(job.source.relative_to(root)): os.path.relpath(job.target, root) for job in jobs(todo)}


def test_a_folder_is_walked_sorted_and_mirrored(tmp_path):
    """Elsewhere files of sub-folders are found and then not saved, or flattened over each other."""
    tree(
        tmp_path / "in", "b.wav", "a.flac", "sub/a.flac", "sub/.hidden.wav", ".x/y.wav", "notes.txt", "c.WAV"
    )
    todo = plan(request(tmp_path / "in", output=tmp_path / "out"))
    assert targets(todo, tmp_path) == {
        "in/a.flac": "out/a.flac",
        "in/b.wav": "out/b.wav",
        "in/c.WAV": "out/c.WAV",
        "in/sub/a.flac": "out/sub/a.flac",
    }
    assert todo.ignored == 2
    assert [job.index for job in jobs(todo)] == [0, 1, 2, 3]


def test_the_output_folder_inside_the_input_is_left_out(tmp_path):
    """Otherwise the second run enhances the results of the first."""
    tree(tmp_path, "a.wav", "out/a.wav")
    assert targets(plan(request(tmp_path, output=tmp_path / "out")), tmp_path) == {"a.wav": "out/a.wav"}


def test_patterns_are_ours_to_expand(tmp_path):
    tree(tmp_path / "in [1]", "x/a.wav", "x/b.wav", "y/a.wav", "y/z.txt")
    folder = plan(request(tmp_path / "in [1]", output=tmp_path / "out"))
    assert len(jobs(folder)) == 3  # brackets in a folder's name are no pattern
    tree(tmp_path / "in", "x/a.wav", "x/b.wav", "y/a.wav", "y/z.txt")
    found = plan(request(tmp_path / "in/**/a.*", output=tmp_path / "out"))
    assert targets(found, tmp_path) == {"in/x/a.wav": "out/x/a.wav", "in/y/a.wav": "out/y/a.wav"}


def test_one_input_may_name_its_output_file(tmp_path):
    tree(tmp_path, "a.wav", "b.wav")
    todo = plan(request(tmp_path / "a.wav", output=tmp_path / "clean.flac"))
    assert targets(todo, tmp_path) == {"a.wav": "clean.flac"}
    assert todo.folder is None
    with pytest.raises(UsageError, match="one file"):
        plan(request(tmp_path / "a.wav", tmp_path / "b.wav", output=tmp_path / "clean.flac"))
    assert targets(plan(request(tmp_path / "a.wav", output=tmp_path / "out")), tmp_path) == {
        "a.wav": "out/a.wav"
    }


def test_the_format_changes_only_the_suffix(tmp_path):
    tree(tmp_path, "talk.v2.wma", "b.wav")
    todo = plan(request(tmp_path, output=tmp_path / "out", format="flac"))
    assert targets(todo, tmp_path) == {"talk.v2.wma": "out/talk.v2.flac", "b.wav": "out/b.flac"}
    kept = plan(request(tmp_path / "talk.v2.wma", output=tmp_path / "out"))
    assert targets(kept, tmp_path) == {"talk.v2.wma": "out/talk.v2.wav"}


def test_two_inputs_for_one_output_are_refused_with_both_names(tmp_path):
    tree(tmp_path / "in", "a.wav", "a.flac")
    with pytest.raises(UsageError) as caught:
        plan(request(tmp_path / "in", output=tmp_path / "out", format="wav"))
    assert "a.wav" in caught.value.message
    assert "a.flac" in caught.value.message


def check(found, output):
    """The outputs of inputs, refused where two are one."""
    pairs = [(one, output / one.relative) for one in found]
    collisions = Collisions(fold_case=True)
    list(collisions.watch(pairs))
    collisions.refuse(lambda: pairs)
    return [target for _, target in pairs]


@pytest.mark.parametrize(("one", "two"), [("A.wav", "a.wav"), ("é.wav", "é.wav")])
def test_names_that_some_disks_take_for_one_are_refused(tmp_path, one, two):
    found = [Found(tmp_path / one, one), Found(tmp_path / two, two)]
    with pytest.raises(UsageError):
        check(found, tmp_path / "out")


def test_an_input_is_never_an_output(tmp_path):
    tree(tmp_path, "a.wav")
    for output in (tmp_path, tmp_path / "a.wav"):
        with pytest.raises(UsageError, match="never written to"):
            plan(replace(request(tmp_path / "a.wav", output=output), overwrite=True))


def test_every_link_counts_and_loops_end(tmp_path):
    """Of a file, its hard link and its symbolic link only one was found, the others neither done nor counted.
    A followed loop returns the same file 41 times."""
    tree(tmp_path / "in", "a.wav")
    (tmp_path / "in/again.wav").symlink_to("a.wav")
    (tmp_path / "in/hard.wav").hardlink_to(tmp_path / "in/a.wav")
    (tmp_path / "in/loop").symlink_to(".")
    (tmp_path / "in/gone.wav").symlink_to("nowhere.wav")
    todo = plan(request(tmp_path / "in", tmp_path / "in" / "a.wav", output=tmp_path / "out"))
    assert [job.source.name for job in jobs(todo)] == ["a.wav", "again.wav", "gone.wav", "hard.wav"]


def test_nothing_to_do_is_said(tmp_path):
    tree(tmp_path, "notes.txt", "pack.zip")
    with pytest.raises(NoInputError):
        plan(request(tmp_path, output=tmp_path / "out"))
    with pytest.raises(UsageError, match="no such file"):
        plan(request(tmp_path / "absent.wav", output=tmp_path / "out"))
    with pytest.raises(UsageError, match="archive"):
        plan(request(tmp_path / "pack.zip", output=tmp_path / "out"))


def test_token_files_are_named_by_their_recording(tmp_path):
    tree(tmp_path, "speech.wav", "codes/x.tokens.safetensors", "codes/y.tokens.npz")
    beside = plan(request(tmp_path / "speech.wav", form="tokenize"))
    assert targets(beside, tmp_path) == {"speech.wav": "speech.tokens.safetensors"}
    back = plan(request(tmp_path / "codes", form="detokenize"))
    assert set(targets(back, tmp_path).values()) == {"codes/x.decoded.wav", "codes/y.decoded.wav"}
    kept = plan(request(tmp_path / "codes", output=tmp_path / "out"))
    assert set(targets(kept, tmp_path).values()) == {"out/x.tokens.safetensors", "out/y.tokens.safetensors"}
    spoken = plan(request(tmp_path / "codes", output=tmp_path / "out", format="flac"))
    assert set(targets(spoken, tmp_path).values()) == {"out/x.flac", "out/y.flac"}


def test_a_vanished_input_is_an_input_error(tmp_path):
    with pytest.raises(InputError) as caught:
        input_stamp(tmp_path / "gone.wav")
    assert caught.value.reason == "vanished"


@given(st.lists(st.sampled_from(["a.wav", "A.wav", "x/a.wav", "x/b.flac", "b.flac", "b.mp3"]), unique=True))
def test_a_plan_never_writes_one_file_twice(names):
    found = [Found(Path("/nowhere") / name, name) for name in names]
    try:
        targets_ = check(found, Path("/out"))
    except UsageError:
        assert {"a.wav", "A.wav"} <= set(names)
    else:
        assert len({str(target).casefold() for target in targets_}) == len(names)


@pytest.mark.parametrize("inputs", [["in/**/*.wav"], ["in/*"], ["in/a.wav", "in/sub", "in/out"]])
def test_an_output_folder_below_a_pattern_is_left_out(tmp_path, inputs):
    """Otherwise a rerun finds its own results, and refuses to write over an input."""
    tree(tmp_path / "in", "a.wav", "sub/b.wav", "out/a.wav", "out/sub/b.wav", "out/b.wav")
    todo = plan(request(*(tmp_path / name for name in inputs), output=tmp_path / "in/out"))
    assert {job.source.name for job in jobs(todo)} == {"a.wav", "b.wav"}
    assert len(jobs(todo)) == 2
    above = plan(request(tmp_path / "in/sub/*.wav", output=tmp_path / "in"))
    assert [job.source.name for job in jobs(above)] == ["b.wav"]


def test_a_folder_that_cannot_be_listed_fails_and_is_not_overlooked(tmp_path, monkeypatch):
    tree(tmp_path / "in", "a.wav", "closed/b.wav")
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    todo = plan(request(tmp_path / "in", output=tmp_path / "out"))
    assert [job.source.name for job in jobs(todo)] == ["a.wav", "closed"]


def test_a_name_longer_than_any_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="too long"):
        plan(request(tmp_path / ("x" * 300 + ".wav"), output=tmp_path / "out"))


def test_one_output_by_two_spellings_is_one_output(tmp_path, monkeypatch):
    """Beside their inputs outputs have no folder in common to be compared in."""
    tree(tmp_path, "a.wav", "a.flac")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="both write"):
        plan(request("a.wav", tmp_path / "a.flac", form="tokenize"))


def test_only_what_surely_needs_the_space_is_held_against_the_disk(tmp_path):
    """A hundred hours of MP3 are a tenth of their samples; the disk they fill must not be refused."""
    tree(tmp_path, "in/a.mp3", "in/b.wav")
    todo = plan(request(tmp_path / "in", output=tmp_path))
    exabyte = AudioInfo(10**18, 16000, 1, "WAV", "PCM_16", 1)
    ledger = Ledger(Journal.peek(LocalPlace(tmp_path)), "", lambda event: None)
    ledger.begin(jobs(todo))
    check_space(todo, ledger, {0: exabyte})
    with pytest.raises(OutputError, match="no space"):
        check_space(todo, ledger, {1: exabyte})
