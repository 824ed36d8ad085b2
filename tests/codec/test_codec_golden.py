"""The codec against what the published code computed under transformers 4.57."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from dacse_cli.codec.loading import load_codec


@pytest.mark.parametrize("window", [0.02, 0.3, 4.0])
def test_golden_codes_and_sound(golden, window):
    """A checkpoint of 4.57 read wrongly by 5.x, or a window that leaves a trace."""
    expected = load_file(golden / "codec.safetensors")
    codec = load_codec(golden / "dac")
    codes = codec.encode(expected["samples"][None], window)
    assert codes.dtype == np.int16
    np.testing.assert_array_equal(codes[0], expected["codes"])
    samples = codec.decode(codes, window)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples[0], expected["decoded"].reshape(-1), rtol=0, atol=1e-5)
