"""Training a codec: linear start, Euclidean codes in the released format, steps that help."""

import numpy as np
import pytest
import torch
from transformers import DacConfig, DacModel

from dacse_cli.training import export, loop
from dacse_cli.training.codec import CodecTrainer, CodecTraining, fan_in
from dacse_cli.training.quantizer import ResidualQuantizer
from dacse_cli.training.warm_start import lapped_transform, start_linear

TINY = {
    "sampling_rate": 16000,
    "downsampling_ratios": [4, 4],
    "encoder_hidden_size": 8,
    "decoder_hidden_size": 32,
    "n_codebooks": 3,
    "codebook_size": 32,
    "codebook_dim": 9,
}


def tone_batch(seed=0):
    rng = np.random.default_rng(seed)

    def batch(rows):
        seconds = np.arange(4096) / 16000
        pitch = rng.uniform(100, 400, (rows, 1))
        wav = 0.2 * np.sin(2 * np.pi * pitch * seconds) + 0.01 * rng.standard_normal((rows, 4096))
        return wav.astype(np.float32), wav.astype(np.float32)

    return batch


def trainer(seed=0, **options):
    torch.manual_seed(seed)
    made = CodecTrainer(DacConfig(**TINY), CodecTraining(rows=4, bf16=False, **options), loop.Peers(), seed)
    made.start(torch.from_numpy(tone_batch(9)(16)[0])[:, None], 4 * 256)
    return made


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


def test_odd_strides_are_refused():
    with pytest.raises(ValueError, match="odd"):
        start_linear(DacModel(DacConfig(**{**TINY, "downsampling_ratios": [4, 5]})))


def test_euclidean_codes_survive_the_released_format():
    """Cosine of rows with a constant dimension must choose what the smallest distance chooses."""
    torch.manual_seed(0)
    config = DacConfig(**TINY)
    quantizer = ResidualQuantizer(config).eval()
    latents = torch.randn(4000, config.hidden_size) * torch.linspace(0.1, 3, config.hidden_size)
    quantizer.start(latents, 1000, torch.Generator().manual_seed(0))
    model = DacModel(config).eval()
    quantizer.write_into(model)
    latent = latents[:200].t()[None]
    mine = quantizer(latent)
    theirs = model.quantizer(latent)
    assert (mine.codes == theirs[1]).float().mean() > 0.99
    same = (mine.codes == theirs[1]).all(1)[0]
    assert torch.allclose(mine.latent[0, :, same], theirs[0][0, :, same], atol=1e-4)


def test_dead_codes_are_put_where_latents_are():
    quantizer = ResidualQuantizer(DacConfig(**TINY)).train()
    latents = torch.randn(1, 32, 500)
    quantizer.start(latents[0].t(), 500, torch.Generator().manual_seed(0))
    quantizer(latents)
    quantizer.stages[0].counts[:5] = 0.0
    assert quantizer.revive(500, torch.Generator().manual_seed(0)) >= 5
    assert (quantizer.stages[0].counts > 0).all()


def test_a_few_steps_lower_the_loss():
    made, batch = trainer(rate=5e-3), tone_batch()
    steps = [made.step(batch, 0.0) for _ in range(40)]
    assert np.mean([s.mel for s in steps[-5:]]) < 0.85 * np.mean([s.mel for s in steps[:5]])
    assert np.mean([s.spectrum for s in steps[-5:]]) < np.mean([s.spectrum for s in steps[:5]])


def test_a_restored_run_goes_on_as_if_never_stopped(tmp_path):
    whole, batch = trainer(), tone_batch()
    straight = [whole.step(batch, 0.0).mel for _ in range(6)]
    stopped, batch = trainer(), tone_batch()
    for _ in range(3):
        stopped.step(batch, 0.0)
    loop.save_state(tmp_path / "codec.safetensors", stopped.state())
    again = trainer(seed=1)
    state = loop.load_state(tmp_path / "codec.safetensors")
    assert state is not None
    again.restore(state)
    assert [again.step(batch, 0.0).mel for _ in range(3)] == pytest.approx(straight[3:], abs=1e-5)


def test_a_written_codec_loads_plainly_and_sounds_the_same(tmp_path):
    made = trainer()
    stored = export.write_codec(tmp_path, DacConfig(**TINY), made.model, made.quantizer)
    plain = DacModel.from_pretrained(tmp_path).eval()
    assert plain.dtype == torch.float32
    wav = torch.from_numpy(tone_batch()(1)[0])
    with torch.no_grad():
        made.model.eval()
        made.quantizer.eval()
        mine = made.reconstruct(wav)[0]
        codes = stored.encode(wav[:, None]).audio_codes
        theirs = plain.decode(audio_codes=codes).audio_values
    assert theirs.shape == wav.shape
    assert (theirs - mine).square().mean() < 0.01 * mine.square().mean()


def test_steps_are_smaller_where_many_inputs_meet():
    assert fan_in(torch.zeros(384, 384, 7)) == 2688
    assert fan_in(torch.zeros(1, 48, 1)) == 100


class Louder:
    """A recogniser that hears nothing but level."""

    def distance(self, heard, meant):
        return (heard.square().mean(1) - meant.square().mean(1)).abs().mean()


def test_only_the_decoder_moves_when_codes_must_stay():
    """A language model is trained on these codes: one changed weight of encoder or quantizer garbles it."""
    made = trainer()
    wav = torch.from_numpy(tone_batch(5)(8)[0])[:, None]
    made.restart_codebooks(wav, 6, 0.3)
    made.options = CodecTraining(rows=4, bf16=False, only_decoder=True, hearing=1.0)
    frozen = CodecTrainer(DacConfig(**TINY), made.options, loop.Peers(), hearing=Louder())
    frozen.model.load_state_dict(made.model.state_dict())
    frozen.quantizer.load_state_dict(made.quantizer.state_dict())

    def codes():
        with torch.no_grad():
            return frozen.quantizer.eval()(frozen.model.encoder(wav)).codes

    before = codes()
    decoder = [p.clone() for p in frozen.model.decoder.parameters()]
    frozen.step(tone_batch(6), 0.1)
    assert (codes() == before).all()
    assert any((a != b).any() for a, b in zip(decoder, frozen.model.decoder.parameters(), strict=True))


def test_restarted_codebooks_use_their_codes():
    made = trainer()
    wav = torch.from_numpy(tone_batch(5)(32)[0])[:, None]
    made.restart_codebooks(wav, 6, 0.3)
    with torch.no_grad():
        codes = made.quantizer.eval()(made.model.encoder(wav)).codes
    for k in range(codes.shape[1]):
        shares = torch.bincount(codes[:, k].flatten(), minlength=32) / codes[:, k].numel()
        assert torch.exp(torch.special.entr(shares).sum()) > 10
