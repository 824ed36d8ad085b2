"""Settings of the process that a codec needs while it runs, and leaves as they were."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from dacse_cli.codec.numerics import exact_float32

EXACT = ("ieee", "ieee", "ieee", True)


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
    with exact_float32(), exact_float32():
        assert settings() == EXACT
    assert settings() == before


def test_a_thread_that_leaves_first_changes_nothing_for_the_other():
    """Two codecs at once: the settings of the process would come back while the second one computes."""
    inside, leave = threading.Event(), threading.Event()

    def first():
        with exact_float32():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=first)
    before = settings()
    thread.start()
    assert inside.wait(5)
    with exact_float32():
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
    with exact_float32(), ThreadPoolExecutor(1) as pool:
        assert settings() == EXACT
        assert pool.submit(read).result() is False
    assert settings() == before
