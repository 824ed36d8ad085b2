"""What a mask network minimises: parts by weight, ratings at every nth step, a recogniser where named."""

import pytest
import torch
from training_runs import RATE, voice, write_recogniser

from dacse_cli.training.losses.opinion import SAMPLES
from dacse_cli.training.mask.objective import Objective
from dacse_cli.training.mask.recipe import MaskRecipe, MaskStage
from dacse_cli.training.runs.machine import Machine

MACHINE = Machine(torch.device("cpu"))


def rows(samples):
    clean = torch.stack([torch.from_numpy(voice(samples, number)) for number in range(2)])
    noise = 0.05 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    return clean + 0.2 * noise, clean, clean + noise


def test_the_total_is_the_sum_of_its_weighted_parts(tmp_path):
    stage = MaskStage(missing=0.0, perceived=0.02, intelligibility=0.4, hearing=0.3)
    total, parts = Objective(stage, MACHINE, False, str(write_recogniser(tmp_path)))(*rows(2 * RATE))
    weights = {"distance": 1.0, "perceived": 0.02, "unintelligible": 0.4, "hearing": 0.3}
    assert parts.keys() == weights.keys()
    assert all(float(value) > 0 for value in parts.values())
    assert float(total) == pytest.approx(sum(weights[name] * float(value) for name, value in parts.items()))


def test_listeners_are_asked_at_every_nth_step():
    pytest.importorskip("speechmos")
    objective = Objective(MaskStage(opinion=0.02, opinion_every=3), MACHINE, False)
    given = rows(-(-SAMPLES // 2))
    always, rated = objective(*given, step=6), objective(*given, step=7)
    assert "opinion" in always[1] and "opinion" not in rated[1]
    assert float(always[0]) == pytest.approx(float(rated[0]) - 0.02 * float(always[1]["opinion"]), rel=1e-4)


def test_a_recogniser_that_is_needed_must_be_named():
    (problem,) = MaskRecipe(stage=(MaskStage(hearing=0.1),)).problems()
    assert problem == "stage.hearing needs data.recogniser"
    assert MaskStage(opinion_every=0).problems()
