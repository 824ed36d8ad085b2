"""Pictures and figures of the documentation, computed by the code they explain."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from drawing import AFTER, BEFORE, INK, LINE, SOFT, box, svg, text

from dacse_cli.codec.dac.shape import read_shape
from dacse_cli.config import ChunkOptions
from dacse_cli.hub import BUILT_IN
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.tokens.layout import BOS, SPECIALS, START_CLEAN, TokenLayout

RELEASED = TokenLayout(9, 1024)


def layout_picture() -> str:
    """Two frames of codes on their way into the prompt, with the ids that `TokenLayout` gives them."""
    K = RELEASED.n_codebooks
    codes = np.stack([(37 + 113 * np.arange(K)) % 1024, (901 + 57 * np.arange(K)) % 1024], axis=1)
    ids = RELEASED.flatten(codes)
    prompt = RELEASED.prompt(codes)
    assert (prompt[0], prompt[-1]) == (BOS, START_CLEAN)
    parts = [text(20, 28, f"codes [K = {K}, T = 2]", INK, size=14)]
    for k in range(K):
        parts.append(text(20, 57 + 24 * k, f"codebook {k + 1}", SOFT))
        for t in range(2):
            parts.append(box(110 + 74 * t, 41 + 24 * k, 68, 22, (BEFORE, AFTER)[t], opacity=0.16))
            parts.append(text(144 + 74 * t, 57 + 24 * k, codes[k, t], anchor="middle"))
        start, stop = RELEASED.ranges[k]
        parts.append(text(290, 57 + 24 * k, f"+ {SPECIALS} + {k} × 1024: ids {start} to {stop - 1}", SOFT))
    parts += [text(144, 275, "frame 0", BEFORE, "middle"), text(218, 275, "frame 1", AFTER, "middle")]
    parts.append(text(20, 312, "ids, frame after frame: what the language model reads", INK, size=14))
    row = [("bos", BOS, LINE), *((None, int(n), BEFORE if i < K else AFTER) for i, n in enumerate(ids))]
    row.append(("start_clean", START_CLEAN, LINE))
    width = 44
    for i, (word, number, colour) in enumerate(row):
        x, y = 20 + width * (i % 10), 326 + 52 * (i // 10)
        parts.append(box(x, y, width - 4, 26, colour, opacity=0.16))
        parts.append(text(x + width / 2 - 2, y + 18, number, anchor="middle", size=12))
        if word:
            parts.append(text(x + width / 2 - 2, y + 40, word, SOFT, "middle", 11))
    parts.append(text(470, 346, "then the model writes as many clean ids,", SOFT))
    parts.append(text(470, 364, f"id n always from codebook n mod {K}", SOFT))
    parts.append(text(20, 440, f"vocabulary: {SPECIALS} + {K} × 1024 = {RELEASED.vocab_size} ids", SOFT))
    return svg(760, 456, "Codes of two frames become ids of a prompt", parts)


def chunks_picture() -> str:
    """A recording's chunks and their cross-fades, planned by `ChunkGrid` for the released model."""
    rate = Fraction(44_100, 512)
    grid = ChunkGrid.from_options(ChunkOptions().resolved(None), rate)
    seconds = 14.2
    frames = int(seconds * rate)
    spans = grid.plan(frames)
    scale = 700 / frames
    parts = [
        text(20, 28, f"{seconds} s of audio = {frames} frames, cut into chunks of {grid.chunk}", size=14),
        box(20, 42, 700, 18, SOFT, opacity=0.25),
    ]
    for i, span in enumerate(spans):
        x, w, y = 20 + span.start * scale, span.frames * scale, 82 + 46 * i
        parts.append(box(x, y, w, 30, AFTER, AFTER, 0.18))
        label = (
            f"frames {span.start} to {span.stop}: {span.frames * RELEASED.n_codebooks} ids in, as many out"
        )
        place, anchor = (x + w + 8, "start") if x + w < 420 else (x - 8, "end")
        parts.append(text(place, y + 20, label, anchor=anchor, size=12))
        if i:
            shared = (spans[i - 1].stop - span.start) * scale
            parts.append(box(x, 42, shared, y + 30 - 42, BEFORE, "none", 0.28))
    y = 82 + 46 * len(spans) + 14
    overlap = float(grid.overlap / rate)
    notes = (
        (f"Orange: {grid.overlap} frames ({overlap:.2f} s) that neighbours share.", BEFORE),
        ("One fades out while the next fades in; their weights add up to 1.", SOFT),
        (f"A last piece shorter than {grid.shortest} frames would have joined its neighbour.", SOFT),
    )
    parts += [text(20, y + 20 * n, note, colour) for n, (note, colour) in enumerate(notes)]
    return svg(740, y + 58, "How a recording is cut and joined again", parts)


def numbers() -> str:
    """Sizes of both models' token streams, from their codecs, as a Markdown table."""
    nano = read_shape(BUILT_IN["nano"] / "codec")
    heads = (
        "model",
        "samples per second",
        "samples per frame",
        "frames per second",
        "codebooks",
        "ids per second",
    )
    rows = [
        ("released", 44_100, 512, RELEASED.n_codebooks),
        ("nano", nano.sampling_rate, nano.hop_length, nano.n_codebooks),
    ]
    lines = [f"| {' | '.join(heads)} |", "|---|---:|---:|---:|---:|---:|"]
    for name, rate, hop, books in rows:
        lines.append(f"| {name} | {rate:,} | {hop} | {rate / hop:.2f} | {books} | {rate / hop * books:.0f} |")
    return "\n".join(lines) + "\n"
