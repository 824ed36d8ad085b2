"""--filter and --limit: which inputs a run takes."""

import pytest

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import NoInputError, UsageError
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.messages import Form


def taken(root, **more):
    request = Request(
        form=Form.ENHANCE,
        inputs=(str(root / "in"),),
        output=str(root / "out"),
        models=ModelOptions("nano"),
        chunk=ChunkOptions(),
        sound=SoundOptions(),
        **more,
    )
    found = plan(request)
    return [job.source.relative_to(root / "in").as_posix() for job in found.waves[0]], found.ignored


@pytest.fixture
def tree(tmp_path):
    for name in ("a_mic1.wav", "a_mic2.wav", "day2/B_MIC1.WAV", "day2/c.flac", "notes.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def test_filters_are_compared_with_path_and_name(tree):
    assert taken(tree, filters=("*_mic1.wav",)) == (["a_mic1.wav", "day2/B_MIC1.WAV"], 3)
    assert taken(tree, filters=("day2/*",))[0] == ["day2/B_MIC1.WAV", "day2/c.flac"]
    assert taken(tree, filters=("*.flac", "a_*2*"))[0] == ["a_mic2.wav", "day2/c.flac"]
    with pytest.raises(NoInputError, match="`filters` xyz"):
        taken(tree, filters=("xyz",))


def test_a_limit_takes_the_first(tree):
    everything = taken(tree)[0]
    assert taken(tree, limit=2)[0] == everything[:2]
    assert taken(tree, limit=99)[0] == everything
    assert taken(tree, filters=("day2/*",), limit=1)[0] == ["day2/B_MIC1.WAV"]
    with pytest.raises(UsageError, match="`limit`"):
        taken(tree, limit=0)


@pytest.mark.parametrize(
    ("form", "output", "says"),
    [
        ("tokenize", "codes.wav", "named like audio"),
        ("detokenize", "a.tokens.safetensors", "named like a token file"),
        ("enhance", "out.wma", ".wma cannot be written"),
    ],
)
def test_a_file_name_of_another_kind_does_not_become_a_folder(tree, form, output, says):
    (tree / "in/t.tokens.safetensors").write_bytes(b"")
    source = "t.tokens.safetensors" if form == "detokenize" else "a_mic1.wav"
    options = (ModelOptions("nano"), ChunkOptions(), SoundOptions())
    with pytest.raises(UsageError, match=says):
        plan(Request(Form(form), (str(tree / "in" / source),), str(tree / output), *options))
    (tree / output).mkdir()
    assert (
        len(plan(Request(Form(form), (str(tree / "in" / source),), str(tree / output), *options)).waves[0])
        == 1
    )


def test_a_misspelt_name_gets_a_guess(tree):
    with pytest.raises(UsageError) as caught:
        plan(
            Request(Form.ENHANCE, (str(tree / "inn"),), None, ModelOptions(), ChunkOptions(), SoundOptions())
        )
    assert str(tree / "in") in caught.value.hint
