"""One move of the weights: accumulation, averages, both sides of an adversarial step, Muon for kernels."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.adversarial import AdversarialOptions, AdversarialStep, Made
from dacse_cli.training.steps.average import Average
from dacse_cli.training.steps.optimizers import Muon, make_optimizers, set_rate
from dacse_cli.training.steps.supervised import SupervisedStep

CPU = Machine(torch.device("cpu"))


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def supervised(network, **options):
    adamw = make_optimizers("adamw", network.named_parameters(), rate=1e-2)
    return SupervisedStep(network, CPU, adamw, Pace(1e-2), clip=1.0, **options)


def test_parts_of_a_step_add_up_to_one_batch():
    x = torch.randn(6, 3)
    whole, parts = linear(), linear()
    a = supervised(whole)(0, 0.0, [lambda network: network(x).square().sum() / 6])
    halves = [lambda network, half=half: network(half).square().sum() / 6 for half in x.chunk(2)]
    b = supervised(parts)(0, 0.0, halves)
    assert torch.allclose(a["loss"], b["loss"]) and torch.allclose(a["gradient"], b["gradient"])
    assert torch.allclose(whole.weight, parts.weight, atol=1e-6)


def test_averages_are_swapped_in_and_out_and_restored():
    network = linear()
    moves = supervised(network, average=(average := Average(network, 0.9)))
    for number in range(4):
        moves(number, 0.0, [lambda net: (net(torch.ones(1, 3)).square().sum(), {"seen": 1.0})])
    own = network.weight.clone()
    with average.swapped():
        smooth = network.weight.clone()
    assert torch.equal(network.weight, own) and not torch.equal(smooth, own)
    other = linear(1)
    again = supervised(other, average=(restored := Average(other, 0.9)))
    again.restore(moves.state())
    with restored.swapped():
        assert torch.equal(other.weight, smooth)


def test_rates_go_by_share_and_gains_do_not_decay():
    network = linear()
    (adamw,) = make_optimizers(
        "adamw",
        network.named_parameters(),
        rate=1.0,
        share=lambda name, weight: 0.1 if "bias" in name else 1.0,
    )
    set_rate([adamw], 2.0)
    assert sorted((g["lr"], g["weight_decay"]) for g in adamw.param_groups) == [(0.2, 0.0), (2.0, 0.01)]


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_adamw_is_fused_on_cuda_devices_alone(name, monkeypatch):
    """Fails when a step on a GPU launches hundreds of kernels, or a CPU is asked for the fused one."""
    asked = []

    def noted(groups, *, fused, **options):
        asked.append(fused)

    monkeypatch.setattr(torch.optim, "AdamW", noted)
    make_optimizers(name, linear().named_parameters(), rate=1.0)
    monkeypatch.setattr(nn.Parameter, "is_cuda", True)
    make_optimizers(name, linear().named_parameters(), rate=1.0)
    assert asked == [None, True]


def test_muon_moves_kernels_as_matrices():
    """torch's Muon refuses convolutions; the update of a kernel is that of the same matrix."""
    torch.manual_seed(0)
    kernel, gradient = torch.randn(4, 3, 5), torch.randn(4, 3, 5)
    moved = []
    for shape in ((4, 3, 5), (4, 15)):
        weight = nn.Parameter(kernel.clone().view(shape))
        muon = Muon([weight], 1e-2, 0.1)
        for _ in range(2):
            weight.grad = gradient.clone().view(shape)
            muon.step()
            muon.zero_grad()
            assert weight.grad is None
        moved.append(weight.detach().flatten())
    assert torch.equal(*moved)
    assert not torch.equal(moved[0], kernel.flatten())
    both = make_optimizers("muon", nn.Conv1d(2, 2, 3).named_parameters(), rate=1e-2)
    assert [type(one).__name__ for one in both] == ["Muon", "AdamW"]


class Echo(nn.Module):
    """A network that returns its weight for every sample."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(0.5))

    def forward(self, target):
        estimate = self.level * torch.ones_like(target)
        return Made(estimate, target, {"commitment": self.level.square()})


class Judge(nn.Module):
    """Two maps of its input, the last one the verdict."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.seen = []

    def forward(self, x):
        self.seen.append(self.layer.weight.detach().clone())
        hidden = self.layer(x)
        return [[hidden, hidden.mean(1)]]


def adversarial(judge, further=None, **options):
    torch.manual_seed(0)
    network = Echo()
    weights = {"l1": 1.0, "commitment": 0.1, "features": 1.0, "adversarial": 1.0}
    made = AdversarialStep(
        network,
        judge,
        CPU,
        AdversarialOptions(weights, **options),
        make_optimizers("adamw", network.named_parameters(), rate=1e-2),
        [] if judge is None else make_optimizers("adamw", judge.named_parameters(), rate=1e-2),
        Pace(1e-2),
        losses=lambda estimate, target: {"l1": (estimate - target).abs().mean()},
        relative=further,
    )
    return network, made


@pytest.mark.parametrize("kind", ["lsgan", "hinge"])
@pytest.mark.parametrize("first", [True, False])
def test_both_sides_move_in_the_order_asked_for(kind, first):
    judge = Judge()
    network, step = adversarial(judge, kind=kind, discriminators_first=first)
    before, level = judge.layer.weight.clone(), float(network.level.detach())
    numbers, _ = step(0, 0.0, torch.ones(2, 4))
    assert {
        "l1",
        "commitment",
        "features",
        "adversarial",
        "discriminator",
        "loss",
        "gradient",
    } <= numbers.keys()
    assert torch.equal(judge.seen[0], before)
    assert torch.equal(judge.seen[1], before) != first  # the network is judged by the moved ones, or not
    assert not torch.equal(judge.layer.weight, before) and float(network.level.detach()) != level
    assert judge.layer.weight.grad is None
    other_judge = Judge()
    other_network, other = adversarial(other_judge, kind=kind, discriminators_first=first)
    other.restore(deepcopy(step.state()))  # the weights of both sides are the trainer's
    other_network.load_state_dict(network.state_dict())
    other_judge.load_state_dict(judge.state_dict())
    again = [one(1, 0.0, torch.ones(2, 4))[0]["loss"] for one in (step, other)]
    assert torch.equal(*again)


def test_without_discriminators_nothing_is_asked_of_them():
    _, step = adversarial(None)
    numbers, _ = step(0, 0.0, torch.ones(2, 4))
    assert "adversarial" not in numbers and "discriminator" not in numbers
    assert numbers["loss"] == pytest.approx(0.5 + 0.1 * 0.25)


def test_a_relative_loss_has_the_gradient_length_asked_for():
    """Whatever its own scale is; its value is not part of the loss."""
    lengths = []
    for scale in (1.0, 1e6):
        _, step = adversarial(
            None,
            lambda estimate, target, scale=scale: {"far": scale * estimate.square().mean()},
            relative={"far": 3.0},
        )
        numbers, _ = step(0, 0.0, torch.ones(2, 4))
        lengths.append(float(numbers["gradient"]))
        assert float(numbers["loss"]) == pytest.approx(0.5 + 0.1 * 0.25)
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-4)
    assert lengths[0] == pytest.approx(abs(-1 + 0.1 + 3.0 * 1.0), rel=0.02)
