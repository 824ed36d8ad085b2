"""A codec and a language model with the real interfaces and no weights: what goes in comes out."""

import numpy as np

from dacse_cli.codec.windowed import WindowedCodec
from dacse_cli.interfaces import CodecSpec, Codes
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.pipeline.task.task import Chain
from dacse_cli.tokens.layout import TokenLayout

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


class EchoLM:
    """Answers with the noisy tokens of the prompt. `limit`: more rows at once run out of memory."""

    device = "cpu"

    def __init__(self, limit=10**9, error=MemoryError):
        self.limit, self.error = limit, error
        self.batches = []

    def generate(self, prompts, new_tokens, ranges, on_step=None, draws=None, drafts=None):
        if len(prompts) > self.limit:
            raise self.error
        self.batches.append(len(prompts))
        if on_step:
            on_step(0)
        answers = [prompt[1:-1] for prompt in prompts]
        assert [len(a) for a in answers] == list(new_tokens)
        for answer in answers:
            for n, token in enumerate(answer[:8]):
                start, stop = ranges[n % len(ranges)]
                assert start <= token < stop
        return answers

    def release(self):
        pass


def fake_chain(chunk=10, overlap=2, shortest=3, lm=None, fixed=False):
    grid = ChunkGrid(chunk, overlap, 0 if fixed else shortest, fixed)
    return Chain(ExactCodec(), lm or EchoLM(), TokenLayout(4, 2 * LEVELS), grid, "exact")


def on_grid(samples):
    """Samples that the exact codec keeps."""
    return (np.rint(np.asarray(samples) * LEVELS) / LEVELS).astype(np.float32)
