"""Chunks that outlive their process: recalled to the bit, or not at all."""

import os
import resource

import numpy as np
import pytest
from fakes import EchoTranslator, fake_models, on_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.config import SoundOptions
from dacse_cli.interfaces import Draw
from dacse_cli.pipeline.engine.chunk_cache import ChunkCache
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.engine.resume import Resuming
from dacse_cli.pipeline.record.chunk_cache import binding, forget, keep_for, sweep, tidy
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.task.task import Chunk
from dacse_cli.pipeline.task.writing.sinks import ArraySink

RECIPE = Recipe(1000, 12345, "settings")


def codes(seed, K=3, t=4):
    return np.random.default_rng(seed).integers(0, 1024, (K, t)).astype(np.int16)


def ask(index, row=0, asked=None, attempt=0, draw=None):
    """A chunk whose codes follow from its index."""
    return Chunk(None, index, row, codes(index) if asked is None else asked, 1.0, attempt, draw)


def kept_at(path, **more):
    keep = keep_for(path.parent, "/in/a.wav", RECIPE, lasting=False)
    return ChunkCache(path, {**binding(keep), **more})


def place(folder, name="x"):
    """Where a cache lies below an output folder."""
    path = folder / ".dacse" / "work" / f"{name}.chunks"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def fill(path, chunks=3):
    """Three chunks of one row, each answered by its negative; the size after each."""
    kept = kept_at(path)
    sizes = []
    for i in range(chunks):
        kept.keep(ask(i), codes(i + 100))
        sizes.append(path.stat().st_size)
    kept.close()
    return sizes


def recalled(path):
    kept = kept_at(path)
    answers = [kept.recall(ask(i)) for i in range(3)]
    kept.close()
    return answers


def test_what_was_kept_comes_back_to_the_bit(tmp_path):
    path = place(tmp_path)
    fill(path)
    for i, answer in enumerate(recalled(path)):
        assert answer.dtype == np.int16 and answer.flags.writeable
        assert np.array_equal(answer, codes(i + 100))
    kept = kept_at(path)
    assert kept.recall(ask(0, row=1)) is None
    assert kept.recall(ask(3)) is None
    kept.close()


def test_an_answer_counts_only_for_what_was_asked(tmp_path):
    """Same place in the file, other sound: a codec or a reader that has changed by a bit."""
    path = place(tmp_path)
    fill(path)
    kept = kept_at(path)
    other = codes(0)
    other[0, 0] ^= 1
    assert kept.recall(ask(0, asked=other)) is None
    assert kept.recall(ask(0, asked=codes(0)[:, :3])) is None
    assert kept.recall(ask(0, asked=codes(0).reshape(4, 3))) is None
    assert kept.recall(ask(0, attempt=1)) is None
    assert kept.recall(ask(0, draw=Draw(0.5, 1))) is None
    assert kept.recall(ask(0)) is not None
    kept.close()


def test_every_try_at_a_chunk_is_kept_as_it_was_drawn(tmp_path):
    path = place(tmp_path)
    kept = kept_at(path)
    for attempt, draw in enumerate([None, Draw(0.5, 1), Draw(0.5, 2)]):
        kept.keep(ask(0, attempt=attempt, draw=draw), codes(attempt + 100))
    kept.close()
    kept = kept_at(path)
    assert np.array_equal(kept.recall(ask(0, attempt=1, draw=Draw(0.5, 1))), codes(101))
    assert kept.recall(ask(0, attempt=1, draw=Draw(0.6, 1))) is None
    kept.close()


@pytest.mark.parametrize("more", [{"recipe": [1001, 12345, "settings"]}, {"runs": "bfloat16 on cuda"}])
def test_other_inputs_settings_or_devices_start_anew(tmp_path, more):
    path = place(tmp_path)
    fill(path)
    kept = kept_at(path, **more)
    assert kept.recall(ask(0)) is None
    kept.close()
    assert recalled(path) == [None, None, None]


def test_a_file_cut_at_any_byte_gives_what_is_whole_and_goes_on(tmp_path):
    """Killed in the middle of a write."""
    path = place(tmp_path)
    sizes = fill(path)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        answers = recalled(path)
        present = [end <= size for end in sizes]
        assert [answer is not None for answer in answers] == present
        fill(path)
        assert all(answer is not None for answer in recalled(path))


def test_no_flipped_byte_changes_an_answer(tmp_path):
    path = place(tmp_path)
    fill(path)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        for i, answer in enumerate(recalled(path)):
            assert answer is None or np.array_equal(answer, codes(i + 100))


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=300), at=st.integers(0, 400))
def test_junk_is_never_an_answer(tmp_path_factory, junk, at):
    path = place(tmp_path_factory.mktemp("kept"))
    fill(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + junk)
    for i, answer in enumerate(recalled(path)):
        assert answer is None or np.array_equal(answer, codes(i + 100))


def test_two_that_make_one_output_do_not_share_a_file(tmp_path):
    path = place(tmp_path)
    first = kept_at(path)
    first.keep(ask(0), codes(100))
    second = kept_at(path)
    second.keep(ask(1), codes(101))
    assert second.recall(ask(0)) is None
    first.close()
    assert [answer is not None for answer in recalled(path)] == [True, False, False]


@pytest.mark.parametrize("trouble", ["a folder", "a file for a folder", "a link", "a pipe"])
def test_trouble_with_the_disk_only_ends_the_keeping(tmp_path, trouble):
    path = place(tmp_path)
    if trouble == "a file for a folder":
        path.parent.rmdir()
        path.parent.touch()
    if trouble == "a folder":
        path.mkdir()
    elif trouble == "a link":
        (tmp_path / "victim").write_bytes(b"mine")
        path.symlink_to(tmp_path / "victim")
    elif trouble == "a pipe":
        os.mkfifo(path)
    kept = kept_at(path)
    kept.keep(ask(0), codes(100))
    assert kept.recall(ask(0)) is None
    kept.close()
    assert trouble != "a link" or (tmp_path / "victim").read_bytes() == b"mine"


def test_a_full_disk_leaves_a_file_that_can_be_read(tmp_path):
    """At every size the disk may have: what was kept before it was full is still there."""
    path = place(tmp_path)
    ends = fill(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        for limit in range(0, ends[-1] + 7, 7):
            path.unlink(missing_ok=True)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            kept = kept_at(path)
            for i in range(3):
                kept.keep(ask(i), codes(i + 100))
            kept.close()
            answers = recalled(path)
            assert [answer is not None for answer in answers] == [end <= limit for end in ends]
            assert all(a is None or np.array_equal(a, codes(i + 100)) for i, a in enumerate(answers))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def keep_one(output, name, recipe=RECIPE):
    keep = keep_for(output, name, recipe, lasting=True)
    kept = ChunkCache(keep.path, binding(keep))
    kept.keep(ask(0), codes(100))
    return keep.path, kept


def test_what_nobody_will_ask_for_is_swept(tmp_path):
    names = ("same.wav", "changed.wav", "elsewhere.wav", "busy.wav")
    paths = {}
    for name in names:
        paths[name], kept = keep_one(tmp_path, name)
        if name != "busy.wav":
            kept.close()
    folder = tmp_path / ".dacse" / "work"
    for junk in ("junk", "0" * 24):
        (folder / f"{junk}.chunks").write_bytes(b"no json")
    (folder / "1.chunks").write_bytes(paths["same.wav"].read_bytes())  # under a name that is not its own
    other = Recipe(1, 2, "x")
    current = {"same.wav": RECIPE, "changed.wav": other, "busy.wav": other}
    assert sweep(tmp_path, current) == 4
    left = {name for name in names if paths[name].exists()}
    assert left == {"same.wav", "elsewhere.wav", "busy.wav"}
    assert len(list(folder.iterdir())) == 3


def test_nothing_is_left_of_a_finished_file(tmp_path):
    _, kept = keep_one(tmp_path, "a.wav")
    kept.close()
    tidy(tmp_path)
    assert (tmp_path / ".dacse").exists()
    forget(tmp_path, "a.wav")
    tidy(tmp_path)
    assert not (tmp_path / ".dacse").exists()
    forget(tmp_path, "a.wav")


class StoppedError(Exception):
    pass


class StoppingTranslator(EchoTranslator):
    """Is killed when `left` rows have been answered."""

    def __init__(self, left):
        super().__init__()
        self.left, self.rows = left, 0

    def translate(self, noisy, *args, **kwargs):
        if self.rows >= self.left:
            raise KeyboardInterrupt
        self.rows += len(noisy)
        return super().translate(noisy, *args, **kwargs)


class Doubting(EnhanceAudio):
    """Asks a second and third time for every third chunk, like a guard that does not trust the answer."""

    def deliver(self, chunk, codes):
        if chunk.index % 3 == 1 and chunk.attempt < 2:
            return chunk.again(Draw(0.5, chunk.attempt))
        return (yield from super().deliver(chunk, codes))


def enhance(path, samples, left, batch, kind=EnhanceAudio):
    """One run over two channels; what it made (None if it was stopped), rows generated, seconds recalled."""
    translator = StoppingTranslator(left)
    models = fake_models(translator=translator)
    sink = ArraySink()
    source = ArraySource(samples, Signal.of_array(samples, 16000))
    heard, done = [], []
    task = Resuming(kind(source, sink, models, SoundOptions()), kept_at(path), heard.append)
    entries = [("a", lambda: task)]
    engine = Engine(
        models,
        batch,
        lambda block: entries.pop() if entries else None,
        lambda key, finished: done.append(finished),
        lambda key, error: pytest.fail(str(error)),
    )
    try:
        engine.run()
    except KeyboardInterrupt:
        return None, translator.rows, sum(heard)
    assert done[0].resumed == pytest.approx(sum(heard))
    return sink.samples, translator.rows, sum(heard)


@pytest.mark.parametrize("kind", [EnhanceAudio, Doubting])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_run_stopped_at_any_chunk_goes_on_there(tmp_path, batch, kind):
    """Nothing is generated twice, and the result is that of one run."""
    samples = on_grid(np.random.default_rng(0).uniform(-0.9, 0.9, (2, 4 * 60)))
    samples[:, 100:180] = 0  # a silence costs no chunk and keeps none
    whole, rows, _ = enhance(place(tmp_path, "none"), samples, 10**9, batch, kind)
    seconds = None
    for stop in range(0, rows - batch + 1, batch):
        path = place(tmp_path, stop)
        made, before, _ = enhance(path, samples, stop, batch, kind)
        assert made is None
        made, after, seconds = enhance(path, samples, 10**9, batch, kind)
        assert np.array_equal(made, whole)
        assert before + after == rows
        assert (seconds > 0) == (before > 0)
    assert seconds < samples.shape[1] / 16000
