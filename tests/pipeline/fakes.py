"""A codec and a translator with the real interfaces and no weights: what goes in comes out."""

import numpy as np

from dacse_cli.codec.windowed import WindowedCodec
from dacse_cli.filters.voice_gains import VoiceGains
from dacse_cli.interfaces import CodecSpec, Codes
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.pipeline.task.models import Models

LEVELS = 16384
SPEC = CodecSpec("exact", 16000, 4, Codes(4, 2 * LEVELS), 0, 0)


class ExactCodec(WindowedCodec):
    """Each of a frame's four samples is one code: `decode(encode(x)) == x` for x on the 1/16384 grid."""

    def __init__(self):
        super().__init__(SPEC)
        self.encoded = self.decoded = 0

    def encode_rows(self, samples):
        C, n = samples.shape
        self.encoded += n
        steps = np.clip(np.rint(samples * LEVELS), -LEVELS, LEVELS - 1) + LEVELS
        return steps.astype(np.int16).reshape(C, n // 4, 4).transpose(0, 2, 1)

    def decode_rows(self, codes, kept):
        codes = codes[..., kept]
        C, K, t = codes.shape
        self.decoded += t
        return ((codes.astype(np.float32) - LEVELS) / LEVELS).transpose(0, 2, 1).reshape(C, t * K)


class EchoTranslator:
    """Answers with what it is given. `limit`: more rows at once run out of memory."""

    units = SPEC.units
    device = "cpu"
    redraws = True
    max_frames = None
    context = (0, 0)
    weight_bytes = 10
    steps_per_frame = 4

    def __init__(self, limit=10**9, error=MemoryError):
        self.limit, self.error = limit, error
        self.batches = []

    def translate(self, noisy, draws=None, on_frame=None):
        if len(noisy) > self.limit:
            raise self.error
        self.batches.append(len(noisy))
        if on_frame:
            on_frame(0)
        return list(noisy)

    def describe(self):
        return "an echo"

    def release(self):
        pass


def fake_models(chunk=10, overlap=2, shortest=3, translator=None, fixed=False, filtered=False):
    grid = ChunkGrid(chunk, overlap, 0 if fixed else shortest, fixed)
    filter_ = VoiceGains(SPEC.sample_rate) if filtered else None
    return Models(ExactCodec(), translator or EchoTranslator(), filter_, grid, "exact")


def on_grid(samples):
    """Samples that the exact codec keeps."""
    return (np.rint(np.asarray(samples) * LEVELS) / LEVELS).astype(np.float32)
