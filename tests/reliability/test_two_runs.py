"""What one run must leave to another: its list of inputs, and chunks in a folder that it has no lock of."""

import contextlib
import json
import time

import fake_children
import fsspec
import pytest
from breaking import tree

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.record.chunk_cache import binding, keep_for
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run import run as running
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.store.store import Store


def request(source, output):
    return Request(Form.ENHANCE, (str(source),), str(output), ModelOptions(), ChunkOptions(), SoundOptions())


def quiet(event):
    pass


@pytest.mark.parametrize("breaks", [True, False])
def test_a_second_run_that_lists_does_not_cut_the_first_ones_list(tmp_path, monkeypatch, breaks):
    """Both wrote one file of inputs before the lock: the first run did a part of them and ended with 0."""
    fake_children.install(monkeypatch.setattr)
    url, source = f"memory://{time.time_ns()}", tree(tmp_path / "in", 6)
    fs, root = fsspec.core.url_to_fs(url)
    for path in source.rglob("*.*"):
        fs.pipe_file(f"{root}/in/{path.name}", path.read_bytes())
    command, find_models, entries = request(f"{url}/in", f"{url}/out"), running.find_models, Store.entries

    def two(self):
        yield from list(entries(self))[:2]
        if breaks:
            raise KeyboardInterrupt

    def meanwhile(*args):
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(Store, "entries", two)
            assert plan(command).count == 2
        return find_models(*args)

    monkeypatch.setattr(running, "find_models", meanwhile)
    summary = run(command, quiet)
    assert (summary.counts["done"], summary.counts["not-reached"], summary.exit_code) == (7, 0, 0)
    todo = plan(command)
    assert [path for path in todo.own.iterdir() if path.is_file()] == []


def test_a_single_file_leaves_the_current_folders_chunks_alone(tmp_path, monkeypatch):
    """In an output folder, `enhance x.wav y.wav` removed kept chunks of it, which another run may write."""
    fake_children.install(monkeypatch.setattr)
    source = next(tree(tmp_path / "in", 2).glob("*.wav"))
    keep = keep_for(tmp_path, str(source), Recipe(1, 1, "another model"), lasting=True)
    keep.path.parent.mkdir(parents=True)
    keep.path.write_text(json.dumps(binding(keep)) + "\n")
    damaged = keep.path.with_name("damaged.chunks")
    damaged.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    assert run(request(source, tmp_path / "elsewhere" / "y.wav"), quiet).counts["done"] == 1
    assert keep.path.exists() and damaged.exists()
