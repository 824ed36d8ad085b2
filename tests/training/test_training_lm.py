"""The language model's training: layout, memory, states, and the folder it ends in."""

import json

import numpy as np
import pytest
import torch
from transformers import DacConfig, DacModel, LlamaForCausalLM

from dacse_cli.tokens.layout import TokenLayout
from dacse_cli.training import export, loop, sequences
from dacse_cli.training.embeddings import code_vectors
from dacse_cli.training.lm import LmShape, LmTrainer, LmTraining

K, N = 3, 32
CODEC = {
    "sampling_rate": 16000,
    "downsampling_ratios": [4, 4],
    "encoder_hidden_size": 8,
    "decoder_hidden_size": 32,
    "n_codebooks": K,
    "codebook_size": N,
    "codebook_dim": 9,
}
SHAPE = LmShape(width=64, layers=2, inner=128, head_width=32)


@pytest.fixture
def codec():
    torch.manual_seed(0)
    return DacModel(DacConfig(**CODEC)).eval()


def made(codec, seed=0, **options):
    settings = {"rows": 4, "frames": 8, "bf16": False, "blemishes": 0.0, "rate": 3e-3} | options
    return LmTrainer(SHAPE, codec, LmTraining(**settings), loop.Peers(), seed)


def pair(seed=0, rows=4, frames=8):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(0, N, (rows, K, frames), generator=generator) for _ in range(2))


def test_sequences_follow_the_layout():
    noisy, clean = pair()
    layout = TokenLayout(K, N)
    ids = sequences.training_ids(noisy, clean, N)
    prompt = layout.prompt(noisy[0].numpy())
    assert np.array_equal(ids[0, : len(prompt)].numpy(), prompt)
    assert np.array_equal(ids[0, len(prompt) :].numpy(), layout.flatten(clean[0].numpy())[:-1])


def test_logits_are_those_of_the_whole_head(codec):
    model = made(codec).model.eval()
    noisy, clean = pair()
    with torch.no_grad():
        short = sequences.code_logits(model, noisy, clean, N)
        full = model(sequences.training_ids(noisy, clean, N)).logits
    place = K * 8 + 1 + 5 * K + 2  # frame 5, codebook 2
    assert torch.allclose(short[:, 2, 5], full[:, place, 5 + 2 * N : 5 + 3 * N], atol=1e-4)


def test_blemishes_never_pass_their_share():
    noisy, clean = pair(rows=64)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(sequences.blemish(clean, noisy, N, 0.0, generator), clean)
    changed = (sequences.blemish(clean, noisy, N, 0.5, generator) != clean).float().mean()
    assert 0.1 < float(changed) < 0.4


def test_embeddings_start_near_where_codes_sound_alike(codec):
    vectors = code_vectors(codec)
    table = made(codec).model.model.embed_tokens.weight[5:].view(K, N, -1)
    heard = torch.corrcoef(torch.cdist(vectors[0], vectors[0]).flatten()[None].repeat(2, 1))[0, 1]
    assert heard == pytest.approx(1.0)
    near = torch.stack([torch.cdist(v, v).flatten() for v in (vectors[0], table[0].detach())])
    assert torch.corrcoef(near)[0, 1] > 0.95


def test_one_batch_is_learnt_by_heart(codec):
    trainer = made(codec)
    noisy, clean = pair()
    for _ in range(200):
        losses = trainer.step(noisy, clean, 0.0)
    assert losses.mean() < 0.05
    assert trainer.agreement(noisy, clean)[1].min() == 1.0


def test_a_restored_run_goes_on_as_if_never_stopped(codec, tmp_path):
    batches = [pair(seed) for seed in range(6)]
    whole = made(codec, blemishes=0.2)
    straight = [float(whole.step(*batch, 0.0).mean()) for batch in batches]
    stopped = made(codec, blemishes=0.2)
    for batch in batches[:3]:
        stopped.step(*batch, 0.0)
    loop.save_state(tmp_path / "lm.safetensors", stopped.state())
    again = made(codec, seed=1, blemishes=0.2)
    again.restore(loop.load_state(tmp_path / "lm.safetensors"))
    assert [float(again.step(*b, 0.0).mean()) for b in batches[3:]] == pytest.approx(straight[3:], abs=1e-5)


def test_chunks_keep_the_context_they_are_cut_from(codec):
    trainer = made(codec, margin=4, other_lengths=0.0)
    wav = torch.randn(2, 16 * 16).numpy()
    whole = codec.encode(torch.from_numpy(wav)[:, None]).audio_codes
    assert torch.equal(trainer.encode(wav), whole[:, :, 4:-4])


def test_the_written_folder_loads_plainly(codec, tmp_path):
    trainer = made(codec)
    export.write_language_model(tmp_path, trainer.model, {"codec": "codec", "chunk_seconds": 0.5})
    loaded = LlamaForCausalLM.from_pretrained(tmp_path)
    assert loaded.dtype == torch.bfloat16
    assert loaded.config.vocab_size == 5 + K * N
    assert json.loads((tmp_path / "dacse.json").read_text())["codec"] == "codec"


def test_the_schedule_warms_up_and_comes_down():
    schedule = loop.Schedule(warm_up=10, floor=0.1)
    assert schedule.factor(0, 0.0) == pytest.approx(0.1)
    assert schedule.factor(9, 0.0) == pytest.approx(1.0)
    assert schedule.factor(100, 1.0) == pytest.approx(0.1)
