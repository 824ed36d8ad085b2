"""Which model `auto` is, in every state of the machine."""

import pytest

from dacse_cli.hub import choice

RELEASED, BUILT_IN = choice.DEFAULT_MODEL, choice.BUILT_IN


@pytest.mark.parametrize(
    ("device", "gpu", "cached", "offline", "model"),
    [
        ("auto", False, False, False, BUILT_IN),
        ("auto", False, True, False, BUILT_IN),
        ("auto", True, False, False, RELEASED),
        ("auto", True, False, True, BUILT_IN),
        ("auto", True, True, True, RELEASED),
        ("cpu", True, False, False, BUILT_IN),
        ("cpu", False, True, False, RELEASED),
        ("mps", False, False, False, BUILT_IN),
        ("mps", False, True, False, RELEASED),
        ("cuda", True, False, False, RELEASED),
        ("cuda:1", True, False, True, BUILT_IN),
    ],
)
def test_the_model_for_the_machine(monkeypatch, device, gpu, cached, offline, model):
    monkeypatch.setattr(choice, "has_gpu", lambda: gpu)
    monkeypatch.setattr(choice, "is_cached", lambda: cached)
    found = choice.choose_model("auto", device, offline=offline)
    assert found.model == model and found.describe().startswith(f"model {model}")
    assert len(f"dacse: {found.describe()}") <= 80


def test_a_model_that_was_named_is_taken_without_a_word(monkeypatch):
    monkeypatch.setattr(choice, "has_gpu", pytest.fail)
    assert choice.choose_model("some/model", "auto", offline=False) == choice.Choice("some/model")


def test_looking_for_a_gpu_never_fails():
    assert choice.has_gpu() in (False, True)
