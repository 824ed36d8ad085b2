"""A network learns its pairs by heart and then writes them; pasts; scales; what is resumed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_set import BASELINE, CONFIG, LSTM, K, V

from dacse_cli.set.network import SetNetwork, fresh_network, shifted
from dacse_cli.set.shape import SearchShape, parse_shape
from dacse_cli.set.translator import SetTranslator
from dacse_cli.training.lm.pairs.recipe import Corruption, DataPart, PairRun
from dacse_cli.training.lm.pairs.shards import CodePair
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.set.batch import collate
from dacse_cli.training.set.pasts import shown_past, written
from dacse_cli.training.set.recipe import Annealing, SetRecipe, Stage
from dacse_cli.training.set.start import fit_scale
from dacse_cli.training.set.trainer import SetTrainer

MACHINE = Machine(torch.device("cpu"))
EASY = CONFIG | {"dropout": 0.0, "encoder": CONFIG["encoder"] | {"width": 32, "feed_forward": 64}}
LATENTS = {
    k: v for k, v in BASELINE.items() if k not in ("codebooks", "codebook_size", "embedding_width")
} | {
    "latents": 4,
    "dropout": 0.0,
}


class Memory:
    """Eight pairs, always the same, in one batch."""

    def __init__(self, pairs: Sequence[CodePair], rows: int) -> None:
        self.pairs, self.rows = pairs, rows

    def batch(self, number: int) -> list[CodePair]:
        first = number * self.rows
        return [self.pairs[(first + place) % len(self.pairs)] for place in range(self.rows)]

    def close(self) -> None:
        pass


def pairs_of_codes(lengths: Sequence[int] = (6, 7, 4, 7, 1, 5, 6, 3)) -> list[CodePair]:
    rng = np.random.default_rng(0)

    def side(t: int) -> np.ndarray:
        return rng.integers(V, size=(K, t)).astype(np.int16)

    return [CodePair(side(t), side(t)) for t in lengths]


def pairs_of_latents() -> list[CodePair]:
    rng = np.random.default_rng(0)
    pairs = []
    for t in (9, 12, 5):
        noisy = (rng.normal(size=(4, t)) * 3 + 1).astype(np.float16)
        pairs.append(CodePair(noisy, (noisy[::-1] * 0.5).astype(np.float16)))
    return pairs


def trainer_of(
    network: SetNetwork, pairs: Sequence[CodePair], *stages: Stage, free_batches: int = 1, **run: Any
) -> SetTrainer:
    recipe = SetRecipe(
        run=PairRun(bf16=False, **run), data=DataPart(free_batches=free_batches), stage=tuple(stages)
    )

    def data(number: int, stage: Stage) -> tuple[Memory, list[list[CodePair]]]:
        return Memory(pairs, stage.rows), [list(pairs)]

    return SetTrainer(network, recipe, MACHINE, data, lambda folder, network, stage: None)


def trained(config: dict[str, Any], pairs: Sequence[CodePair], stage: Stage) -> SetTrainer:
    trainer = trainer_of(fresh_network(parse_shape(config), 0), pairs, stage)
    trainer.begin(0, True)
    for number in range(stage.steps):
        trainer.step(number, number / stage.steps)
    return trainer


LEARN = Stage(steps=80, rows=8, rate=1.5e-2, annealing=Annealing(shrink=1.0), cosine=0.05)


@pytest.mark.parametrize(
    ("config", "stage"),
    [
        (EASY, LEARN),
        (EASY, replace(LEARN, past="greedy")),
        (BASELINE | {"dropout": 0.0}, LEARN),
        pytest.param(LSTM | {"dropout": 0.0}, LEARN, marks=pytest.mark.ci),
    ],
    ids=["set", "set fed by itself", "baseline", "lstm"],
)
def test_eight_pairs_are_learnt_and_written(config: dict[str, Any], stage: Stage) -> None:
    """Token error 0, and the translator returns the clean codes: greedy, beam 4, alone and in a batch."""
    pairs = pairs_of_codes()
    trainer = trained(config, pairs, stage)
    found = trainer.validate()
    assert found["valid_accuracy" if stage.past == "clean" else "free_accuracy"] == 1.0
    network = trainer.network
    for beam in (1, 4) if network.predictor is not None else (1,):
        translator = SetTranslator(network, MACHINE.device, torch.float32, SearchShape(beam))
        together = translator.translate([pair.noisy for pair in pairs])
        for pair, clean in zip(pairs, together, strict=True):
            np.testing.assert_array_equal(clean, pair.clean)
            np.testing.assert_array_equal(translator.translate([pair.noisy])[0], pair.clean)


@pytest.mark.parametrize("loss", ["mse", "l1+mse"])
def test_a_network_of_latents_is_trained(loss: str) -> None:
    pairs = pairs_of_latents()
    network = fresh_network(parse_shape(LATENTS), 0)
    fit_scale(network, pairs)
    batch = collate(pairs, MACHINE)
    with torch.no_grad():
        read = network.encoder.conformer.input(batch.noisy[0, :9])
    assert 0.2 < float(read.std()) < 3
    trainer = trainer_of(network, pairs, replace(LEARN, rows=3, loss=loss))
    trainer.begin(0, True)
    before = trainer.validate()["valid_loss"]
    for number in range(80):
        trainer.step(number, number / 80)
    assert trainer.validate()["valid_loss"] < 0.05 * before
    assert "valid_accuracy" not in trainer.validate()


def test_the_first_codebooks_alone() -> None:
    batch = collate(pairs_of_codes(), MACHINE, 2)
    assert batch.noisy.shape == (8, 7, 2) and batch.total == 39
    assert batch.real.tolist()[:10] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]


def test_accumulated_steps_equal_a_whole_one() -> None:
    """Gradients and logged numbers of accumulated batches add up to those of one large batch."""
    pairs, found = pairs_of_codes(), []
    for stage in (replace(LEARN, rows=8), replace(LEARN, rows=2, accumulate=4)):
        trainer = trainer_of(fresh_network(parse_shape(EASY), 0), pairs, stage)
        trainer.begin(0, True)
        numbers = trainer.step(0, 0.0)
        found.append((numbers, trainer.network.head.weight.detach().clone()))
    for name in ("loss", "gradient", "accuracy", "accuracy_first"):
        assert float(found[0][0][name]) == pytest.approx(float(found[1][0][name]), rel=1e-4)
    torch.testing.assert_close(found[0][1], found[1][1], atol=2e-5, rtol=0)


@pytest.mark.parametrize("past", ["clean", "greedy", "beam"])
def test_a_restored_trainer_continues_like_the_original(past: str) -> None:
    """Dropout, replaced codes and annealing follow from step and state."""
    pairs = pairs_of_codes()
    stage = Stage(steps=6, rows=4, past=past, beam=2, annealing=Annealing(patience=0))
    if past == "clean":
        stage = replace(stage, replaced=Corruption(noisy=0.2, random=0.1, own=0.3))
    first = trainer_of(fresh_network(parse_shape(CONFIG), 0), pairs, stage)
    first.begin(0, True)
    for number in range(3):
        first.step(number, 0.0)
        first.validate()
    second = trainer_of(fresh_network(parse_shape(CONFIG), 1), pairs, stage)
    second.begin(0, False)
    second.restore(copy.deepcopy(first.state()))
    for number in range(3, 6):
        one, two = first.step(number, 0.0), second.step(number, 0.0)
        assert {n: float(one[n]) for n in ("loss", "rate", "gradient")} == {
            n: float(two[n]) for n in ("loss", "rate", "gradient")
        }
        assert first.validate() == second.validate()


def test_the_rate_falls_when_the_token_error_stays() -> None:
    stage = Stage(steps=9, rows=8, rate=1e-9, annealing=Annealing(patience=1, shrink=0.5))
    trainer = trainer_of(fresh_network(parse_shape(CONFIG), 0), pairs_of_codes(), stage)
    trainer.begin(0, True)
    rates = []
    for number in range(6):
        rates.append(float(trainer.step(number, 0.0)["rate"]))
        trainer.validate()
    assert rates == pytest.approx([1e-9, 1e-9, 1e-9, 5e-10, 5e-10, 2.5e-10])


def test_past_frames_of_clean_codes() -> None:
    """Clean ones a frame late, the network's own likewise; what is written equals what the search writes."""
    network, pairs = fresh_network(parse_shape(CONFIG), 0).train(), pairs_of_codes()
    batch, rng = collate(pairs, MACHINE), torch.Generator()
    clean = shown_past(network, batch, Stage(), rng)
    assert clean is not None and torch.equal(clean, shifted(batch.clean, V))
    for how, search in (("greedy", SearchShape()), ("beam", SearchShape(3, "ranked"))):
        stage = Stage(past=how, beam=3, expansion="ranked")
        own = shown_past(network, batch, stage, rng)
        assert own is not None and network.training and not own.requires_grad
        translator = SetTranslator(network, MACHINE.device, torch.float32, search)
        for row, pair in enumerate(pairs):
            answer = torch.from_numpy(translator.translate([pair.noisy])[0].T).long()
            torch.testing.assert_close(own[row, 1 : len(answer)], answer[:-1])
        network.train()
    assert shown_past(fresh_network(parse_shape(BASELINE), 0), batch, Stage(), rng) is None
    alone = written(fresh_network(parse_shape(BASELINE), 0), batch, "greedy", 1, "best")
    assert alone.shape == batch.clean.shape


def test_replaced_codes() -> None:
    network, batch = fresh_network(parse_shape(CONFIG), 0), collate(pairs_of_codes([40] * 4), MACHINE)
    stage = Stage(replaced=Corruption(noisy=0.5, drawn=False))
    past = shown_past(network, batch, stage, torch.Generator().manual_seed(0))
    assert past is not None
    noisy = (past[:, 1:] == batch.noisy[:, :-1]) & (past[:, 1:] != batch.clean[:, :-1])
    assert 0.35 < float(noisy.float().mean()) < 0.55
    assert (past[:, 0] == V).all()


def test_a_codec_of_fewer_codebooks_has_the_same_first_codes(tiny_model: Path, tmp_path: Path) -> None:
    from dacse_cli.codec.loading import load_codec
    from dacse_cli.errors import UsageError
    from dacse_cli.training.set.folders import write_smaller_codec

    write_smaller_codec(tiny_model / "codec", tmp_path, 2)
    whole, small = load_codec(tiny_model / "codec"), load_codec(tmp_path)
    sound = np.random.default_rng(0).normal(size=(1, 9000)).astype(np.float32) * 0.1
    codes = whole.encode(sound)
    np.testing.assert_array_equal(small.encode(sound), codes[:, :2])
    np.testing.assert_allclose(small.decode(codes[:, :2]), whole.decode(codes[:, :2]), atol=1e-5)
    for books in (0, 10):
        with pytest.raises(UsageError, match=f"codebooks must be from 1 to the codec's 9, not {books}"):
            write_smaller_codec(tiny_model / "codec", tmp_path, books)


def test_computed_weight_counts_are_exact() -> None:
    from tiny_set import ATTENTION, FACTORED

    from dacse_cli.interfaces import Codes, Latents
    from dacse_cli.training.set.plan import count_parameters
    from dacse_cli.training.set.sizes import SIZES, shape_of

    shapes = [parse_shape(c) for c in (CONFIG, LSTM, BASELINE, ATTENTION, FACTORED, LATENTS)]
    shapes += [shape_of(config, Codes(3, 20)) for config in SIZES.values()]
    shapes += [shape_of(SIZES[name], Latents(20)) for name in ("nar", "nar-small")]
    for shape in shapes:
        with torch.device("meta"):
            network = SetNetwork(shape)
        assert count_parameters(shape) == sum(weight.numel() for weight in network.parameters())


def test_a_head_starts_from_the_codebooks(small_codec: Path) -> None:
    """Codes whose vectors are alike have alike logits; the frame's vectors add up to unit deviation."""
    from tiny_set import FACTORED

    from dacse_cli.training.codec.network import stored_codec
    from dacse_cli.training.set.start import code_vectors, start_embeddings, start_head

    codec, vectors = stored_codec(small_codec), code_vectors(small_codec, 3)
    network = fresh_network(parse_shape(FACTORED | {"codebook_size": 32, "head_width": 16}), 0)
    bos = network.predictor.embedding.table.weight.view(3, 33, -1)[:, -1].clone()
    start_embeddings(network, vectors)
    start_head(network, vectors)
    assert torch.equal(network.predictor.embedding.table.weight.view(3, 33, -1)[:, -1], bos)
    summed = network.encoder.embedding(torch.randint(32, (500, 3))).detach()
    assert 0.7 < float(summed.std()) < 1.3
    quantizer = codec.quantizer.quantizers[1]
    true = quantizer.codebook.weight @ quantizer.out_proj.weight[:, :, 0].t()
    true, own = true - true.mean(0), network.head.codes[1].t()
    wanted, got = true @ true.t(), own @ own.t()
    torch.testing.assert_close(got / got.norm(), wanted / wanted.norm(), atol=1e-4, rtol=1e-3)


def test_a_network_begins_by_copying(small_codec: Path) -> None:
    """Where both sides are equal the likeliest code is the noisy one, whatever the past."""
    from tiny_set import FACTORED

    from dacse_cli.training.set.copy_start import start_copy
    from dacse_cli.training.set.start import code_vectors, start_head

    rng = np.random.default_rng(0)
    codes = [rng.integers(0, 32, (3, 40)).astype(np.int16) for _ in range(20)]
    wide = {"codebook_size": 32, "head_width": 8, "embedding_width": 24, "joint_width": 128, "dropout": 0.0}
    wide["encoder"] = CONFIG["encoder"] | {"width": 128}
    network = fresh_network(parse_shape(FACTORED | wide), 0)
    start_head(network, code_vectors(small_codec, 3))
    batch = collate([CodePair(row, row) for row in codes], MACHINE)
    start_copy(network, [batch])
    network.eval()
    past = torch.randint(0, 32, batch.clean.shape)
    with torch.no_grad():
        logits = network(batch.noisy, past)
        assert torch.equal(logits, network(batch.noisy, past.flip(0)))
        others = torch.cat([batch.noisy[:, :5], batch.noisy[:, 5:].flip(1)], dim=1)
        alone = network(others, past)
    torch.testing.assert_close(alone[:, :5], logits[:, :5])  # a frame depends on no other
    assert (logits.argmax(-1) == batch.noisy).float().mean() > 0.999
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 2), batch.clean.flatten())
    assert losses < 0.005
