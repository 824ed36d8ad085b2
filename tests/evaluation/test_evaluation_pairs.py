"""Which file is compared with which."""

from pathlib import Path

import pytest

from dacse_cli.errors import NoInputError, UsageError
from dacse_cli.evaluation.pairs import plan, system_names


def tree(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_pairs_by_path_whatever_the_suffix(tmp_path):
    """Stems alone would pair a/x with b/x; suffixes change with --format; hidden files are no recordings."""
    clean = tree(tmp_path / "clean", "a/x.flac", "b/x.flac", "b/y.v2.wav", ".hidden.wav", "notes.txt")
    ours = tree(tmp_path / "ours", "b/x.OPUS", "a/x.wav", "b/y.v2.mp3")
    items, remarks = plan(clean, [ours], None)
    assert [
        (i.key, i.clean.suffix, [p.relative_to(ours).as_posix() for _, p in i.systems]) for i in items
    ] == [
        ("a/x", ".flac", ["a/x.wav"]),
        ("b/x", ".flac", ["b/x.OPUS"]),
        ("b/y.v2", ".wav", ["b/y.v2.mp3"]),
    ]
    assert remarks == []


def test_what_is_lacking_is_said(tmp_path):
    """A system that failed on the hard files would otherwise win by leaving them out."""
    clean = tree(tmp_path / "clean", "a.wav", "b.wav")
    items, remarks = plan(
        clean, [tree(tmp_path / "ours", "a.wav", "c.wav")], tree(tmp_path / "in", "a.wav", "b.wav")
    )
    assert [[name for name, _ in item.systems] for item in items] == [["noisy", "ours"], ["noisy"]]
    assert remarks == ["ours lacks 1 of 2 recordings: b", "ours has 1 recordings without a clean one: c"]


def test_single_files_need_no_common_name(tmp_path):
    """`evaluate clean.wav enhanced.wav` means these two."""
    tree(tmp_path, "clean.wav", "out.wav", "in.wav")
    items, _ = plan(tmp_path / "clean.wav", [tmp_path / "out.wav"], tmp_path / "in.wav")
    assert len(items) == 1
    assert [name for name, _ in items[0].systems] == ["noisy", "out"]


def test_without_reference_every_recording_counts(tmp_path):
    """Reference-free scores need no partner."""
    items, remarks = plan(None, [tree(tmp_path / "a", "x.wav"), tree(tmp_path / "b", "y.wav")], None)
    assert [(i.key, i.clean, len(i.systems)) for i in items] == [("x", None, 1), ("y", None, 1)]
    assert remarks == ["a lacks 1 of 2 recordings: y", "b lacks 1 of 2 recordings: x"]


def test_names_of_systems_are_distinct(tmp_path):
    """runs/1/out and runs/2/out are two systems; a folder called noisy is not the noisy input."""
    paths = [tmp_path / part for part in ("1/out", "2/out", "3/noisy")]
    for path in paths:
        path.mkdir(parents=True)
    names = system_names([*paths, tmp_path / "best.wav"], tmp_path / "input")
    assert list(names) == ["noisy", *(p.as_posix() for p in paths), "best"]
    with pytest.raises(UsageError, match="twice"):
        system_names([paths[0], paths[0]], None)


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        (["ours/b.wav"], NoInputError, "no recording of ours"),
        (["ours/a.txt"], NoInputError, "no audio files"),
        ([], NoInputError, "does not exist"),
        (["ours/a.wav", "ours/a.flac"], UsageError, "differ only in suffix"),
    ],
)
def test_mistakes_are_named(tmp_path, files, error, message):
    """Each of these once meant an empty table."""
    tree(tmp_path, "clean/a.wav", *files)
    with pytest.raises(error, match=message):
        plan(tmp_path / "clean", [tmp_path / "ours"], None)


def test_nothing_to_score(tmp_path):
    """Only a clean folder is a mistake of the caller."""
    with pytest.raises(UsageError, match="nothing to score"):
        plan(tree(tmp_path / "clean", "a.wav"), [], None)
