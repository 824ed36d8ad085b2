"""The codec in training: linear start, codebooks of both kinds, unused codes, the written folder."""

import math

import numpy as np
import pytest
import torch
from training_runs import CODEC, voice
from transformers import DacConfig, DacModel

from dacse_cli.codec.dac.shape import shape_from_config
from dacse_cli.errors import UsageError
from dacse_cli.training.codec.codebooks import (
    AverageQuantizer,
    count_codes,
    perplexity,
    replace_codes,
    sample_replacements,
    tallies,
)
from dacse_cli.training.codec.network import (
    CodecNetwork,
    fresh_codec,
    norm_weights,
    start_linear_codec,
    thin,
    write_codec,
)
from dacse_cli.training.codec.trainer import _by_fan_in
from dacse_cli.training.codec.warm_start import lapped_transform, start_linear
from dacse_cli.training.runs.machine import Machine

CPU = Machine(torch.device("cpu"))
TINY = CODEC | {"downsampling_ratios": [4, 4]}
SHAPE = shape_from_config({"model_type": "dac"} | TINY, source="test")


def tones(rows, samples=3200):
    return torch.from_numpy(np.stack([0.5 * voice(samples, number) for number in range(rows)]))


def averaged(seed=0, wav=None):
    """A thinned codec with a linear start and codebooks by k-means."""
    torch.manual_seed(seed)
    model = DacModel(DacConfig(**TINY))
    thin(model)
    wav = tones(16) if wav is None else wav
    start_linear_codec(model, wav)
    books = AverageQuantizer(model.config)
    with torch.no_grad():
        latents = model.encoder(wav[:, None]).transpose(1, 2).flatten(0, 1)
    books.start(latents, 1000, torch.Generator().manual_seed(seed))
    return CodecNetwork(model, books, CPU, bf16=False)


@pytest.mark.parametrize("stride", [2, 8, 10])
def test_the_lapped_transform_reconstructs(stride):
    rows = lapped_transform(stride)[:, None]
    wav = torch.randn(1, 1, stride * 20)
    bands = torch.nn.functional.conv1d(wav, rows, stride=stride, padding=stride // 2)
    back = torch.nn.functional.conv_transpose1d(bands, rows, stride=stride, padding=stride // 2)
    inside = slice(stride, -stride)
    assert back.shape == wav.shape
    assert torch.allclose(back[..., inside], wav[..., inside], atol=1e-5)


def test_a_linear_start_is_nearly_transparent():
    model = DacModel(DacConfig(**TINY)).eval()
    start_linear(model)
    wav = 0.05 * torch.randn(1, 1, 1600)
    with torch.no_grad():
        error = (model.decoder(model.encoder(wav)) - wav)[..., 64:-64]
    assert 10 * torch.log10(wav.square().mean() / error.square().mean()) > 15


def test_a_linear_start_under_weight_norm_still_reconstructs():
    """Weight norm divides a silent filter by its length: without a nudge all would be NaN."""
    wav, model = 0.4 * tones(2), fresh_codec(SHAPE, 0)
    start_linear_codec(model, tones(16))
    norm_weights(model)
    with torch.no_grad():
        linear = model.decoder(model.encoder(wav[:, None]))[:, 0] - wav
    inside = linear[:, 200:-200]
    assert torch.isfinite(linear).all()
    assert 10 * math.log10(float(wav.square().mean() / inside.square().mean())) > 10


def test_odd_strides_have_no_linear_start():
    shape = shape_from_config({"model_type": "dac"} | CODEC | {"downsampling_ratios": [4, 5]}, source="test")
    with pytest.raises(UsageError, match="odd"):
        start_linear_codec(fresh_codec(shape, 0), torch.zeros(1, 400))


def test_euclidean_codes_survive_the_released_format_and_come_back_from_it():
    """Cosine of rows with a constant dimension must choose what the smallest distance chooses."""
    torch.manual_seed(0)
    config = DacConfig(**TINY)
    quantizer = AverageQuantizer(config).eval()
    latents = torch.randn(4000, config.hidden_size) * torch.linspace(0.1, 3, config.hidden_size)
    quantizer.start(latents, 1000, torch.Generator().manual_seed(0))
    model = DacModel(config).eval()
    assert not AverageQuantizer(config).read_from(model, 1000)
    quantizer.write_into(model)
    latent = latents[:200].t()[None]
    mine = quantizer(latent)
    theirs = model.quantizer(latent)
    assert (mine.codes == theirs[1]).float().mean() > 0.99
    same = (mine.codes == theirs[1]).all(1)[0]
    assert torch.allclose(mine.latent[0, :, same], theirs[0][0, :, same], atol=1e-4)
    back = AverageQuantizer(config).eval()
    assert back.read_from(model, 1000)
    assert torch.equal(back(latent).codes, mine.codes)


def test_the_codebooks_make_no_tensor_on_another_device():
    """Fails when a step on a GPU meets a tensor on the CPU: an operation on both raises, here as there."""
    config, meta = DacConfig(**TINY), torch.device("meta")
    quantizer = AverageQuantizer(config).to(meta)
    latent = torch.zeros(3, config.hidden_size, 5, device=meta, requires_grad=True)
    quantised = quantizer(latent, torch.ones(3, dtype=torch.int64, device=meta))
    (quantised.latent.sum() + quantised.commitment).backward()
    moved = tallies(quantised.codes, quantised.asked, config.codebook_size)
    quantizer.update(moved)
    used = quantizer.unused(15)
    made = (
        quantised.latent,
        quantised.codes,
        moved,
        used,
        perplexity(count_codes(quantised.codes, config.codebook_size)),
    )
    assert all(tensor.device == meta for tensor in (*made, latent.grad, *quantizer.buffers()))


def test_averaged_codes_follow_their_latents():
    network, wav = averaged(), tones(8)
    books = network.averaged
    made = network((wav, wav, None))
    codes, asked = made.extra["codes"], made.extra["asked"]
    found = tallies(codes, asked, 32)
    assert torch.equal(found[..., 0], count_codes(codes, 32))
    before = books.books[0].codes.clone()
    for _ in range(1000):
        books.update(list(found))
    used = found[0, :, 0] > 0
    means = found[0, used, 1:] / found[0, used, :1]
    assert torch.allclose(books.books[0].codes[used], means, atol=0.05)
    assert not torch.equal(books.books[0].codes, before)


@pytest.mark.parametrize("kind", ["gradient", "average"])
def test_unused_codes_are_put_on_latents_of_their_own_codebook(kind):
    torch.manual_seed(0)
    network = averaged() if kind == "average" else CodecNetwork(DacModel(DacConfig(**TINY)), None, CPU, False)
    wav = tones(4)
    with torch.no_grad():
        made = network((wav, wav, None))
    asked = made.extra["asked"]
    if kind == "average":
        network.averaged.books[0].counts[:5] = 0.0
        unused = network.averaged.unused(1000)
        assert unused[0, :5].all()
    else:
        unused = count_codes(made.extra["codes"], 32) == 0
    found = sample_replacements(asked, unused, torch.Generator().manual_seed(0))
    if kind == "average":
        before = [book.codes.clone() for book in network.averaged.books]
        network.averaged.replace(unused, found, 1000)
        after = [book.codes for book in network.averaged.books]
        assert not network.averaged.unused(1000).any()
    else:
        before = [book.codebook.weight.clone() for book in network.quantizer.quantizers]
        replace_codes(network.quantizer, unused, found)
        after = [book.codebook.weight for book in network.quantizer.quantizers]
    for k in range(3):
        assert torch.allclose(after[k][~unused[k]], before[k][~unused[k]], atol=1e-6)
        nearest = torch.cdist(after[k][unused[k]], asked[k]).amin(1) if unused[k].any() else torch.zeros(1)
        assert float(nearest.detach().max()) < 0.01


def test_usage_is_counted():
    codes = torch.tensor([[[0, 0, 1, 1], [3, 3, 3, 3]]])  # [B, K, T]
    counts = count_codes(codes, 4)
    assert counts.tolist() == [[2, 2, 0, 0], [0, 0, 0, 4]]
    assert perplexity(counts).tolist() == pytest.approx([2.0, 1.0])


def test_only_the_decoder_moves_when_codes_must_stay():
    """A language model is trained on these codes: one changed weight of encoder or quantizer garbles it."""
    network, wav = averaged(), tones(4)
    network.freeze(True)
    network((wav, wav, None)).estimate.square().sum().backward()
    moved = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert moved == {"decoder"}
    assert not network((wav, wav, None)).losses


def test_rows_that_keep_fewer_codebooks_lose_the_later_ones():
    network, wav = averaged().eval(), tones(2)
    with torch.no_grad():
        whole = network.quantise(network.encode(wav))[0].latent
        kept = network.quantise(network.encode(wav), torch.tensor([3, 1]))[0].latent
    assert torch.equal(kept[0], whole[0]) and not torch.equal(kept[1], whole[1])


@pytest.mark.parametrize("kind", ["gradient", "average"])
def test_written_codecs_compute_what_the_trained_ones_do(tmp_path, kind):
    if kind == "average":
        network = averaged().eval()
    else:
        model = fresh_codec(SHAPE, 0)
        norm_weights(model)
        network = CodecNetwork(model, None, CPU, False).eval()
    write_codec(tmp_path, network, "float16" if kind == "average" else "float32")
    wav = tones(1, 1600)
    plain = DacModel.from_pretrained(tmp_path).eval()
    assert plain.dtype == torch.float32
    with torch.no_grad():
        mine, theirs = network((wav, wav, None)).estimate, plain(wav[:, None]).audio_values[:, :1600]
    tolerance = 0.01 if kind == "average" else 1e-9  # convolutions in half precision move some codes
    assert (theirs.view_as(mine) - mine).square().mean() < tolerance * mine.square().mean()
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "config.json").stat().st_mode


def test_steps_are_smaller_where_many_inputs_meet():
    assert _by_fan_in("", torch.zeros(384, 384, 7)) == pytest.approx(2688**-0.5)
    assert _by_fan_in("", torch.zeros(1, 48, 1)) == pytest.approx(0.1)
