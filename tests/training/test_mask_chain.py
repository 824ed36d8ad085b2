"""`dacse train mask` from end to end: it learns, its folder is a filter, what is killed goes on."""

import json

import numpy as np
import pytest
import soundfile as sf
import torch
from training_runs import RATE, curve, kill_when, voice
from typer.testing import CliRunner

from dacse_cli.audio.resample import resample
from dacse_cli.cli.app import app
from dacse_cli.codec.loading import load_codec
from dacse_cli.filters.mask.analysis import Synthesis
from dacse_cli.filters.mask.config import MaskConfig
from dacse_cli.filters.mask.load import load_mask
from dacse_cli.filters.mask.stream import MaskStream
from dacse_cli.training.losses.compressed import compressed_distance
from dacse_cli.training.mask.guides import SimulatedGuides
from dacse_cli.training.mask.run import load_start
from dacse_cli.training.mask.wave import WaveFilter
from dacse_cli.training.runs.machine import Machine

RECIPE = """
model = { width = 4, blocks = [1, 2] }
data = { seconds = 0.5, valid = 0.3, valid_rows = 4, rooms = "decay" }
run = { cadence = { log_every = 2, validate_every = 6, save_every = 3 } }
[[stage]]
steps = 12
rows = 2
rate = 5e-3
perceived = 0.01
intelligibility = 0.1
warm_up = 2
"""


@pytest.fixture
def sounds(tmp_path):
    """Folders of speech and of noise, and a recipe."""
    rng = np.random.default_rng(0)
    for number in range(6):
        for kind in ("speech", "noise"):
            (tmp_path / kind).mkdir(exist_ok=True)
            noise = 0.1 * rng.standard_normal(RATE).astype(np.float32)
            sf.write(
                tmp_path / kind / f"{number}.wav", voice(RATE, number) if kind == "speech" else noise, RATE
            )
    (tmp_path / "mask.toml").write_text(RECIPE)
    return tmp_path


def words(sounds, name, *more):
    return ["train", "mask", sounds / "speech", sounds / name, "--noise", sounds / "noise", *more]


def train(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


def test_a_killed_run_goes_on_as_if_never_stopped_and_its_folder_is_a_filter(sounds):
    recipe = ["-r", sounds / "mask.toml"]
    log = sounds / "killed" / "log.csv"
    assert kill_when(words(sounds, "killed", *recipe), lambda: log.exists() and len(curve(log.parent)) >= 2)
    resumed = train(*words(sounds, "killed", *recipe, "--json"))
    assert json.loads(resumed.stdout.splitlines()[-1])["steps"] < 12
    train(*words(sounds, "straight", *recipe))
    for column in ("loss", "valid_loss"):
        resumed, straight = (dict(curve(sounds / name, column)) for name in ("killed", "straight"))
        assert resumed == pytest.approx(straight, rel=1e-3), column
    stream = load_mask(sounds / "straight" / "mask").start(1, RATE)
    sound = voice(RATE, 1)[None]
    made = np.concatenate([stream.push(sound), stream.finish()], axis=1)
    assert made.shape == sound.shape
    assert np.isfinite(made).all()
    train(*words(sounds, "more", *recipe, "--from", sounds / "straight" / "mask", "--set", "stage.steps=2"))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--size", "1B"], "no size"),
        (["--set", "model.width=1"], "width must lie"),
        (["--from", "nowhere"], "is not a folder"),
        (["--set", "data.mix=loud"], "unknown task"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(sounds, more, text):
    done = CliRunner().invoke(app, [str(word) for word in words(sounds, "out", *more)])
    assert done.exit_code != 0
    assert text in done.exception.message


def test_without_noise(sounds):
    done = CliRunner().invoke(app, ["train", "mask", str(sounds / "speech"), str(sounds / "out")])
    assert done.exit_code != 0
    assert "`noise`" in done.exception.hint


def test_training_computes_what_the_stream_does():
    torch.manual_seed(0)
    filter_ = WaveFilter(
        MaskConfig(width=4, dilations=(1, 2)), Machine(torch.device("cpu")), bf16=False
    ).eval()
    rows = 0.1 * torch.randn(2, 9000)
    with torch.no_grad():
        whole = filter_(rows).numpy()
    stream = MaskStream(filter_.network, 2, RATE)
    pieces = np.concatenate([stream.push(rows.numpy()), stream.finish()], axis=1)
    np.testing.assert_allclose(whole, pieces, atol=1e-5)


def test_training_filters_on_the_device_of_its_rows():
    """The window of the synthesis stayed on the CPU, and the first step on any GPU failed."""
    spectra = torch.zeros(2, 5, 257, dtype=torch.complex64, device="meta")
    assert Synthesis(2, RATE, "meta").push(spectra).device.type == "meta"
    if torch.cuda.is_available():
        torch.manual_seed(0)
        config = MaskConfig(width=4, dilations=(1, 2))
        filter_ = WaveFilter(config, Machine(torch.device("cuda")), bf16=False).eval()
        rows = 0.1 * torch.randn(2, 9000)
        with torch.no_grad():
            there = filter_.cuda()(rows.cuda())
            here = filter_.cpu()(rows)
        torch.testing.assert_close(there.cpu(), here, atol=1e-4, rtol=1e-3)


def test_training_with_a_guide_computes_what_the_stream_does():
    """The second row has none."""
    torch.manual_seed(0)
    config = MaskConfig(width=4, dilations=(1, 2), guides=1)
    filter_ = WaveFilter(config, Machine(torch.device("cpu")), bf16=False).eval()
    rows, guide = 0.1 * torch.randn(2, 9000), 0.1 * torch.randn(9000)
    with torch.no_grad():
        whole = filter_(rows, {0: guide}).numpy()
    for row, guides in enumerate((guide[None, None].numpy(), None)):
        stream = MaskStream(filter_.network, 1, RATE)
        pieces = [stream.push(rows[row : row + 1].numpy(), guides), stream.finish()]
        np.testing.assert_allclose(whole[row : row + 1], np.concatenate(pieces, axis=1), atol=1e-5)


def test_a_guide_changes_nothing_before_the_first_step():
    """A network that begins with the weights of one without a guide filters as that one does."""
    torch.manual_seed(0)
    machine = Machine(torch.device("cpu"))
    plain = WaveFilter(MaskConfig(width=4, dilations=(1, 2)), machine, bf16=False).eval()
    guided = WaveFilter(MaskConfig(width=4, dilations=(1, 2), guides=1), machine, bf16=False).eval()
    load_start(guided.network, plain.network)
    rows, guide = 0.1 * torch.randn(1, 9000), 0.1 * torch.randn(9000)
    with torch.no_grad():
        torch.testing.assert_close(guided(rows, {0: guide}), plain(rows))
        torch.testing.assert_close(guided(rows), plain(rows))


def test_guides_are_the_clean_rows_through_the_codec_and_the_same_again(tiny_model):
    codec = load_codec(tiny_model / "codec")
    rate = codec.spec.sample_rate
    guides = SimulatedGuides(codec, seed=1)
    rows = [0.1 * torch.from_numpy(np.stack([voice(8000, n + k) for n in range(20)])) for k in (0, 40)]
    first, again, other = (guides(rows[1], rows[0], batch) for batch in (3, 3, 4))
    assert 4 <= len(first) <= 16
    assert first.keys() == again.keys()
    assert all(torch.equal(first[row], again[row]) and first[row].shape == (8000,) for row in first)
    assert any(row not in first or not torch.equal(first[row], other[row]) for row in other)
    clean = resample(rows[0].numpy(), RATE, rate)
    through = resample(codec.decode(codec.encode(clean)), rate, RATE)[:, :8000]
    assert any(np.allclose(made.numpy(), through[row], atol=1e-5) for row, made in first.items())


def test_wrong_frames_of_a_guide_are_whole_frames(tiny_model, monkeypatch):
    """Each codebook was shuffled by itself, and a wrong frame was made of codes that never go together."""
    codec = load_codec(tiny_model / "codec")
    seen = []
    monkeypatch.setattr(
        codec, "decode", lambda codes: seen.append(codes[0]) or np.zeros((1, 9000), np.float32)
    )
    rows = 0.1 * np.stack([voice(8000, 1), voice(8000, 2)])
    codes = codec.encode(resample(rows, RATE, codec.spec.sample_rate))
    there = {tuple(frame) for row in codes for frame in row.T}
    guides = SimulatedGuides(codec, seed=1)
    for seed in range(20):
        guides.guide(rows[0], rows[1], np.random.default_rng(seed))
    whole = [codes for codes in seen if len(codes) == codec.spec.units.books]
    assert whole and all(tuple(frame) in there for codes in whole for frame in codes.T)


def test_a_filter_is_trained_on_with_a_guide(sounds, tiny_model):
    """Its folder reads a guide, and is trained on only with one."""
    recipe, short = ["-r", sounds / "mask.toml"], ["--set", "stage.steps=2"]
    train(*words(sounds, "plain", *recipe, *short))
    start = ["--from", sounds / "plain" / "mask"]
    codec = tiny_model / "codec"
    train(*words(sounds, "guided", *recipe, *short, *start, "--set", f'data.guide="{codec}"'))
    assert load_mask(sounds / "guided" / "mask").guides == 1
    start = ["--from", sounds / "guided" / "mask"]
    done = CliRunner().invoke(app, [str(word) for word in words(sounds, "no", *recipe, *start)])
    assert "reads a guide" in done.exception.message
    assert "data.guide" in done.exception.hint


def test_the_distance_does_not_see_levels_and_prefers_noise_to_lost_speech():
    rng = torch.Generator().manual_seed(0)
    clean = 0.1 * torch.randn(1, 4000, generator=rng)
    noise = 0.03 * torch.randn(1, 4000, generator=rng)
    assert compressed_distance(clean, clean, clean).item() == pytest.approx(0.0, abs=1e-6)
    at_once = compressed_distance(clean + noise, clean, clean)
    quieter = compressed_distance((clean + noise) / 8, clean / 8, clean / 8)
    torch.testing.assert_close(at_once, quieter, rtol=1e-3, atol=0.0)
    lost, left = (compressed_distance(clean * gain, clean, clean) for gain in (0.8, 1.2))
    assert lost > left
