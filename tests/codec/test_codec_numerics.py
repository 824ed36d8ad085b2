"""Settings of the process that a codec needs while it runs, and leaves as they were."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from dacse_cli.codec.dac.codec import DacCodec
from dacse_cli.codec.numerics import float32_products
from dacse_cli.config import ChunkOptions
from dacse_cli.pipeline.engine.load import load_models
from dacse_cli.pipeline.wire.model_plan import ModelPlan, Part

EXACT = ("ieee", "ieee", "ieee", True)
FAST = ("tf32", "tf32", "tf32", False)


@pytest.fixture(autouse=True)
def _put_back():
    yield
    torch.backends.fp32_precision = "none"
    torch.backends.cudnn.conv.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = "tf32"
    torch.backends.cuda.matmul.fp32_precision = "none"
    torch.backends.cudnn.deterministic = False


def settings():
    cudnn = torch.backends.cudnn
    matmul = torch.backends.cuda.matmul.fp32_precision
    return cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, matmul, cudnn.deterministic


def everything_tf32():
    torch.backends.fp32_precision = "tf32"


def matmul_high():
    torch.set_float32_matmul_precision("high")


def old_name():
    torch.backends.cudnn.allow_tf32 = False


def conv_ieee():
    torch.backends.cudnn.conv.fp32_precision = "ieee"


@pytest.mark.parametrize("host", [lambda: None, everything_tf32, matmul_high, old_name, conv_ieee])
def test_a_programs_own_settings_come_back(host):
    """`cudnn.flags` raised RuntimeError on leaving where the program had set `fp32_precision`."""
    host()
    before = settings()
    with float32_products("ieee"), float32_products("ieee"):
        assert settings() == EXACT
    assert settings() == before


def test_a_thread_that_leaves_first_changes_nothing_for_the_other():
    """Two codecs at once: the settings of the process would come back while the second one computes."""
    inside, leave = threading.Event(), threading.Event()

    def first():
        with float32_products("ieee"):
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=first)
    before = settings()
    thread.start()
    assert inside.wait(5)
    with float32_products("ieee"):
        leave.set()
        thread.join()
        assert settings() == EXACT
    assert settings() == before


def test_other_threads_may_read_the_older_names_meanwhile():
    """torch raised RuntimeError there while convolutions and recurrent layers had different settings."""

    def read():
        found = torch.backends.cudnn.allow_tf32
        with torch.backends.cudnn.flags(enabled=True):
            return found

    before = settings()
    with float32_products("ieee"), ThreadPoolExecutor(1) as pool:
        assert settings() == EXACT
        assert pool.submit(read).result() is False
    assert settings() == before


def test_whoever_asks_for_exact_products_gets_them():
    """An encoder and a decoder of two threads: TF32 in the one flips codes of the other."""
    before = settings()
    with float32_products("tf32"):
        assert settings() == FAST
        with float32_products("ieee"), float32_products("tf32"):
            assert settings() == EXACT
        assert settings() == FAST
    assert settings() == before


def test_decoding_may_use_tf32_and_encoding_never_does(tiny_dac, monkeypatch):
    asked = []

    @contextmanager
    def noting(precision):
        asked.append(precision)
        yield

    monkeypatch.setattr("dacse_cli.codec.placed.float32_products", noting)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    tiny = tiny_dac((2, 4))
    codec = DacCodec(tiny.network, tiny.shape.spec("tiny"))
    codec._cuda = True
    codec.decode(codec.encode(np.zeros((1, 4096), np.float32)))
    assert set(asked) == {"ieee"}
    asked.clear()
    codec.decoding = "tf32"
    codec.decode(codec.encode(np.zeros((1, 4096), np.float32)))
    assert asked[0] == "ieee" and asked[-1] == "tf32"


@pytest.mark.parametrize(
    ("options", "precision"),
    [({}, "tf32"), ({"dtype": "float32"}, "ieee"), ({"deterministic": True}, "ieee")],
)
def test_float32_and_deterministic_runs_decode_without_tf32(tiny_model, options, precision):
    codec = Part("dac", str(tiny_model / "codec"), "tiny")
    plan = replace(ModelPlan(codec, None, None, "cpu", "auto", None, ChunkOptions()), **options)
    assert load_models(plan).codec.decoding == precision
