"""The parts of `dacse train lm`: recipes, plans, order of rows, codes on disk, batches, corrupted pasts."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.errors import InputError, NoInputError, UsageError
from dacse_cli.lm.shape import parse_shape
from dacse_cli.tokens.layout import EOS, TokenLayout
from dacse_cli.training.lm import batch as batches
from dacse_cli.training.lm.objective import Objective
from dacse_cli.training.lm.pairs.order import Order
from dacse_cli.training.lm.pairs.recipe import Corruption
from dacse_cli.training.lm.pairs.shards import CodePair, Shards, shard_path, write_shard
from dacse_cli.training.lm.pairs.source import Cut
from dacse_cli.training.lm.pasts import answer_freely, compare, corrupt
from dacse_cli.training.lm.plan import Work, activation_bytes, plan, published_plan
from dacse_cli.training.lm.recipe import LmRecipe
from dacse_cli.training.lm.run import chunk_seconds
from dacse_cli.training.lm.sizes import SIZES, count_parameters, published_config
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.recipe import Origin, read_run_recipe
from dacse_cli.training.sound.folders import find_pairs, of_tasks

PARAMETERS = {"250M": 250.87, "1B": 920.21, "2B": 1965.2, "4B": 4017.0}
"""Millions, as counted in the published networks."""


@pytest.mark.parametrize("size", SIZES)
def test_published_sizes_have_the_published_parameters(size):
    count = count_parameters(parse_shape(published_config(size)))
    assert count / 1e6 == pytest.approx(PARAMETERS[size], rel=1e-4)


def test_a_plan_agrees_with_six_flops_a_parameter_and_token():
    """The rule of thumb lacks attention and has the head at every token; both are some percent here."""
    found = published_plan("1B", work=Work(), tokens=5e9, gpus=1, mfu=0.4)
    per_token = found.flops_per_step / found.tokens_per_step
    assert per_token == pytest.approx(6 * found.parameters, rel=0.3)
    assert found.hours == pytest.approx(5e9 * per_token / (0.4 * 989.4e12) / 3600)


def test_more_gpus_are_faster_and_never_perfectly():
    hours = [published_plan("1B", work=Work(), tokens=5e9, gpus=n, mfu=0.4).hours for n in (1, 8, 16, 64)]
    assert hours == sorted(hours, reverse=True)
    assert hours[0] / 64 < hours[3] < hours[0] / 40


def test_activations_grow_with_rows_and_shrink_by_checkpointing():
    shape, layout = parse_shape(published_config("250M")), TokenLayout(9, 1024)
    one, two = (activation_bytes(shape, layout, Work(rows=rows)) for rows in (1, 2))
    assert two == 2 * one
    assert activation_bytes(shape, layout, Work(checkpointing=False)) > 5 * one


@pytest.mark.parametrize("bad", [{"gpus": 0}, {"mfu": 1.5}, {"tokens": 0}, {"work": Work(rows=0)}])
def test_impossible_plans_are_refused(bad):
    with pytest.raises(UsageError):
        plan("x", parse_shape(published_config("250M")), **bad)


def test_a_recipe_is_read_with_overrides_and_tasks_written_out(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(
        '[model]\nconfig = "c.json"\n'
        '[[stage]]\nname = "joint"\n[[stage]]\nname = "task"\neach = ["loss", "clip"]\n'
    )
    recipe = read_run_recipe(LmRecipe, path, ["stage.steps=7", "stage.past.own=0.25", "stage.frames=64"])
    assert [(stage.name, stage.steps) for stage in recipe.stages()] == [
        ("joint", 7),
        ("task loss", 7),
        ("task clip", 7),
    ]
    assert recipe.stages()[2].tasks == ("clip",)
    assert recipe.stages()[0].past.own == 0.25
    assert recipe.model.config == str(tmp_path / "c.json")
    assert read_run_recipe(LmRecipe, path, origin=Origin(size="1B")).model.config is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[modle]", "modle"),
        ("[model]\nsise = '1B'", "model.sise"),
        ("[run]\nseed = 'x'", "run.seed"),
        ("[run]\nbf16 = 1", "run.bf16"),
        ("[model]\nsize = '1B'\nstart = 'a/b'", "exclude"),
        ("[[stage]]\neach = ['no-such']", "no-such"),
        ("[[stage]]\npast = { own = 0.7, noisy = 0.5 }", "at most 1"),
        ("[[stage]]\nsteps = 0", "at least 1"),
        ("stage = []", "no stage"),
        ("[stage", "TOML"),
        ("[data]\nvalid = 1.0", "valid"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_place(tmp_path, text, named):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_run_recipe(LmRecipe, path)
    assert named in caught.value.message


def test_an_override_needs_a_table_that_is_there():
    for text in ("steps=3", "no.such=1", "stage.steps"):
        with pytest.raises(UsageError, match="give table"):
            read_run_recipe(LmRecipe, None, [text])


@given(st.lists(st.integers(1, 500), min_size=1, max_size=300), st.integers(1, 9), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_an_epoch_takes_every_row_once_but_for_what_fills_no_batch(lengths, rows, seed):
    order = Order(lengths, rows, seed)
    taken = [row for number in range(order.batches) for row in order.batch(number)]
    assert len(taken) == order.batches * rows
    assert set(taken) <= set(range(len(lengths)))
    if len(lengths) >= rows:
        assert max(Counter(taken).values()) == 1
        assert len(lengths) - len(taken) < rows
    assert taken == [
        row for number in range(order.batches) for row in Order(lengths, rows, seed).batch(number)
    ]


def test_rows_of_like_length_come_together_and_epochs_differ():
    lengths = list(np.random.default_rng(0).integers(50, 400, 2000))
    order = Order(lengths, 8, 0)
    waste = [
        1 - np.mean([lengths[r] for r in rows]) / max(lengths[r] for r in rows)
        for rows in (order.batch(number) for number in range(order.batches))
    ]
    assert np.mean(waste) < 0.05
    assert order.batch(0) != order.batch(order.batches)


def code_pairs(frames, K=3, N=32):
    rng = np.random.default_rng(1)
    return [CodePair(*(rng.integers(0, N, (K, T)).astype(np.int16) for _ in range(2))) for T in frames]


def test_codes_come_back_from_shards(tmp_path):
    pairs = code_pairs([5, 1, 9])
    write_shard(shard_path(tmp_path, 0), pairs)
    shards = Shards(tmp_path, 3)
    assert shards.lengths() == [5, 1, 9]
    for row, pair in enumerate(pairs):
        assert np.array_equal(shards.read(row).noisy, pair.noisy)
        assert np.array_equal(shards.read(row).clean, pair.clean)
    assert np.array_equal(shards.read(2, 3, 4).clean, pairs[2].clean[:, 3:7])


@pytest.mark.parametrize("damage", ["cut", "rows", "gone"])
def test_a_damaged_shard_is_named(tmp_path, damage):
    path = shard_path(tmp_path, 0)
    write_shard(path, code_pairs([5, 6]))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "gone":
        path.unlink()
    with pytest.raises(InputError, match=path.name):
        Shards(tmp_path, 3)


@given(st.integers(1, 60), st.integers(4, 40), st.integers(4, 60), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_a_cut_lies_inside_and_is_the_same_each_time(own, frames, longest, number):
    cut = Cut(frames, longest, vary=0.5, seed=3)
    limit = cut.limit(number)
    assert 1 <= limit <= longest
    assert limit <= frames * 5 // 4
    start = cut.start(number, 0, own)
    assert 0 <= start <= max(0, own - limit)
    assert (limit, start) == (cut.limit(number), cut.start(number, 0, own))
    assert Cut(None, longest).limit(number) == longest


def scored(frames, whole):
    """An objective over a network that has learnt nothing, and one batch."""
    from dacse_cli.training.lm.network import fresh_network

    layout = TokenLayout(3, 32)
    config = published_config("250M", layout) | {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
    }
    model = fresh_network(config, 0).eval()
    return Objective(model, layout, whole), batches.collate(code_pairs(frames), Machine(torch.device("cpu")))


@pytest.mark.parametrize("whole", [True, False])
def test_rows_of_a_padded_batch_score_as_they_do_alone(whole):
    """Padding that is seen, or answers read at the wrong place, would show."""
    objective, batch = scored([7, 4, 9], whole)
    with torch.no_grad():
        together = objective(batch, batch.clean, batch.clean)
        alone = []
        for pair in code_pairs([7, 4, 9]):
            one = batches.collate([pair], Machine(torch.device("cpu")))
            alone.append(objective(one, one.clean, one.clean))
    assert torch.allclose(together.losses, sum(one.losses for one in alone), rtol=1e-5)
    assert torch.allclose(together.ends, sum(one.ends for one in alone), rtol=1e-5)
    assert torch.equal(together.hits, sum(one.hits for one in alone))


def test_the_loss_is_that_of_transformers_on_the_same_ids():
    objective, batch = scored([6], True)
    layout = TokenLayout(3, 32)
    noisy, clean = batch.noisy[0].numpy(), batch.clean[0].numpy()
    ids = np.concatenate([layout.prompt(noisy), layout.flatten(clean), [EOS]])
    labels = ids.copy()
    labels[: len(layout.prompt(noisy))] = -100
    with torch.no_grad():
        scores = objective(batch, batch.clean, batch.clean)
        theirs = objective.model(torch.tensor(ids)[None], labels=torch.tensor(labels)[None]).loss
    assert float(scores.losses.sum() + scores.ends) / 19 == pytest.approx(float(theirs), rel=1e-5)


def test_likeliest_codes_are_those_the_hits_count():
    objective, batch = scored([7, 4], False)
    scores = objective(batch, batch.clean, batch.clean)
    likeliest = objective.likeliest(batch, batch.clean)
    same = batches.time_major(likeliest == batch.clean, batch.frames)
    assert torch.equal(same.sum(0), scores.hits)


def corrupted(options, answer=None):
    clean = torch.zeros(40, 3, 50, dtype=torch.int64)
    noisy = torch.ones_like(clean)
    own = answer or (lambda read: torch.full_like(read, 2))
    return corrupt(clean, noisy, 32, options, torch.Generator().manual_seed(0), own)


def test_a_past_is_corrupted_in_the_shares_asked_for():
    read = corrupted(Corruption(noisy=0.2, own=0.3, drawn=False))
    assert float((read == 1).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert float((read == 2).float().mean()) == pytest.approx(0.3, abs=0.02)
    drawn = corrupted(Corruption(noisy=0.6))
    assert float((drawn == 1).float().mean()) == pytest.approx(0.3, abs=0.05)
    assert not corrupted(Corruption()).any()
    assert corrupted(Corruption(random=0.5, drawn=False)).unique().numel() == 32


def test_a_second_pass_sees_what_the_first_has_left():
    seen = []

    def answer(read):
        seen.append(read.clone())
        return torch.full_like(read, 5 + len(seen))

    read = corrupted(Corruption(own=0.5, passes=2, drawn=False), answer)
    assert not (seen[0] == 6).any()
    assert (seen[1] == 6).any()
    assert set(read.unique().tolist()) == {0, 7}


def test_pairs_are_held_out_by_speaker_and_tasks_are_known(tmp_path):
    records = [
        {
            "row": row,
            "task": "loss" if row % 2 else "clip",
            "speaker": f"s{row // 4}",
            "samples": 16000,
            "sample_rate": 16000,
            "clean": f"clean/{row}.flac",
            "noisy": f"noisy/{row}.flac",
        }
        for row in range(40)
    ]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    found = find_pairs(tmp_path, 0.3)
    assert found.valid
    assert not {pair.speaker for pair in found.train} & {pair.speaker for pair in found.valid}
    assert len(found.train) + len(found.valid) == 40
    losses = of_tasks(found.train, ["loss"])
    assert losses and all(found.train[row].task == "loss" for row in losses)
    assert not find_pairs(tmp_path, 0.0).valid


def test_pairs_of_one_recording_are_held_out_together(tmp_path):
    """Of one speaker: each row is a file of its own, and every held-out recording was also trained on."""
    shared = {"task": "clip", "speaker": "s", "samples": 16000, "sample_rate": 16000}
    records = [
        {"row": n, "speech": f"s/{n % 20}.wav", "clean": f"clean/{n}.flac", "noisy": f"noisy/{n}.flac"}
        | shared
        for n in range(200)
    ]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    found = find_pairs(tmp_path, 0.1)
    assert found.valid and len(found.train) + len(found.valid) == 200
    assert not {pair.source for pair in found.train} & {pair.source for pair in found.valid}


def test_a_small_share_does_not_hold_out_half_of_two_speakers(tmp_path):
    shared = {"task": "clip", "samples": 16000, "sample_rate": 16000}
    records = [
        {"row": n, "speaker": f"s{n % 2}", "clean": f"clean/{n}.flac", "noisy": f"noisy/{n}.flac"} | shared
        for n in range(400)
    ]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert 0 < len(find_pairs(tmp_path, 0.02).valid) < 40


def test_folders_of_pairs_name_what_has_no_twin(tmp_path):
    from training_runs import write_pairs

    write_pairs(tmp_path, [1600, 1700])
    (tmp_path / "clean" / "p1.wav").rename(tmp_path / "clean" / "p9.wav")
    found = find_pairs(tmp_path, 0.0)
    assert [pair.noisy.name for pair in found.train] == ["p0.wav"]
    assert len(found.refused) == 2
    with pytest.raises(NoInputError):
        find_pairs(tmp_path / "clean", 0.0)


@given(st.integers(1, 2000), st.sampled_from([(44100, 512), (16000, 320), (24000, 320), (16000, 64)]))
def test_a_chunk_written_on_a_card_holds_its_frames(frames, codec):
    from fractions import Fraction

    rate = Fraction(*codec)
    assert int(Fraction(str(chunk_seconds(frames, rate))) * rate) == frames


def test_a_speech_folder_is_searched_where_its_clean_side_is(tmp_path):
    from dacse_cli.training.sound.folders import clean_side

    assert clean_side(tmp_path) == tmp_path
    for side in ("clean", "noisy"):
        (tmp_path / "train" / side).mkdir(parents=True)
    assert clean_side(tmp_path) == tmp_path / "train" / "clean"


RECIPES = Path(__file__).parents[2] / "examples" / "recipes"


@pytest.mark.parametrize("name", ["dac-se1", "fine-tune"])
def test_shipped_recipes_are_read(name):
    recipe = read_run_recipe(LmRecipe, RECIPES / f"{name}.toml")
    assert recipe.model.size or recipe.model.start
    assert all(stage.steps for stage in recipe.stages())


def test_the_plan_in_the_recipes_is_the_one_that_is_computed():
    text = (RECIPES / "README.md").read_text()
    for size in SIZES:
        one, many = (published_plan(size, work=Work(), tokens=5e9, gpus=n, mfu=0.4) for n in (1, 64))
        assert f"| {size} | {one.parameters / 1e6:.0f} M | {one.state_bytes / 1e9:.1f} GB |" in text
        assert f"| {one.tokens_per_second:,.0f} | {one.hours:.1f} h |" in text
        assert f" {many.hours:.1f} h |\n" in text


def test_a_free_answer_is_what_transformers_generates():
    """Cache, head rows or codebook order mixed up would show."""
    objective, batch = scored([5, 5], False)
    answer = answer_freely(objective.model, batch.noisy, objective.layout)
    layout, codes = objective.layout, batch.noisy[0].numpy()
    ids = list(layout.prompt(codes))
    for place in range(15):
        with torch.no_grad():
            logits = objective.model(torch.tensor(ids)[None]).logits[0, -1]
        low, high = layout.ranges[place % 3]
        ids.append(low + int(logits[low:high].argmax()))
    assert np.array_equal(layout.unflatten(np.array(ids[-15:])), answer[0].numpy())


def test_repeats_and_right_codes_are_counted():
    clean = torch.tensor([[[1, 2, 3, 4]]])
    found = compare(torch.tensor([[[1, 1, 1, 4]]]), clean, (3,))
    assert (found.right, found.repeated, found.codes) == (1, 2, 3)


def test_a_stage_may_have_a_length_of_its_own(tmp_path):
    path = tmp_path / "lengths.toml"
    path.write_text('[data]\nframes = 48\n[[stage]]\nname = "one"\n[[stage]]\nname = "any"\nvary = 0.3\n')
    one, several = read_run_recipe(LmRecipe, path).stages()
    assert one.fixed and one.frames == several.frames == 48
    assert not several.fixed and several.vary == 0.3
