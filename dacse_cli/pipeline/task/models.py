"""The parts of a model that a run uses, loaded, and the grid of chunks they work on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dacse_cli.errors import InputError
from dacse_cli.interfaces import Codec, CodecSpec, Filter, Translator, Units
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.speech.recogniser import Recogniser


@dataclass(frozen=True)
class Models:
    """The loaded parts; unused ones are None: a filter alone needs no codec, translator or grid."""

    codec: Codec | None = None
    translator: Translator | None = None
    filter: Filter | None = None
    grid: ChunkGrid | None = None
    codec_name: str = ""
    """For token files: a Hub id, a built-in name or a hash."""
    recogniser: Recogniser | None = None
    """Compares the words of inputs and outputs, if requested."""

    @property
    def spec(self) -> CodecSpec:
        """The codec's numbers. Raises `InputError` where there is no codec: a token file needs one."""
        return self.need_codec.spec

    @property
    def need_codec(self) -> Codec:
        """The codec of a task that needs one."""
        if self.codec is None:
            raise InputError(
                'token files need a codec, and `method="mask"` runs without one', reason="options"
            )
        return self.codec

    @property
    def need_grid(self) -> ChunkGrid:
        """The grid of a task that generates chunks."""
        assert self.grid is not None
        return self.grid

    @cached_property
    def silence(self) -> Units:
        """Units `[U]` of a frame of digital silence whose context is silent, too."""
        spec = self.spec
        around = 1 + 2 * spec.encode_margin
        zeros = np.zeros((1, around * spec.hop_length), np.float32)
        frame: Units = self.need_codec.encode(zeros)[0, :, spec.encode_margin]
        return frame
