"""Threads of one process: a filter and a small translator take one, a large one and a codec what there is."""

import pytest
from fakes import EchoTranslator, fake_models

from dacse_cli.pipeline.engine.threads import SMALL_MODEL_BYTES, Threads, plan_threads
from dacse_cli.pipeline.task.models import Models


class Translator(EchoTranslator):
    def __init__(self, weight_bytes, device="cpu"):
        super().__init__()
        self.weight_bytes, self.device = weight_bytes, device


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (Models(filter=object()), Threads(1, beside=False)),
        (Models(codec=object()), Threads(None, beside=False)),
        (fake_models(translator=Translator(SMALL_MODEL_BYTES - 1)), Threads(1, beside=True)),
        (fake_models(translator=Translator(SMALL_MODEL_BYTES)), Threads(4, beside=False)),
        (fake_models(translator=Translator(SMALL_MODEL_BYTES, "cuda:0")), Threads(None, beside=True)),
    ],
)
def test_threads_follow_the_size_of_what_runs(models, expected):
    assert plan_threads(models, sharing=2, machine=8) == expected
