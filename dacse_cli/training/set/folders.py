"""Output of a training: the model folder with its codec; and codecs of fewer codebooks."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dacse_cli.codec.dac.network import dac_shapes
from dacse_cli.codec.dac.shape import read_shape
from dacse_cli.errors import CodecError, UsageError
from dacse_cli.files.documents import read_config
from dacse_cli.hub import Resolved
from dacse_cli.hub.names import parse_hub_name
from dacse_cli.set.checkpoint import save_network
from dacse_cli.set.network import SetNetwork
from dacse_cli.training.export import write_json
from dacse_cli.weights.loading import load_folder
from dacse_cli.weights.saving import save_folder

_QUANTIZER = re.compile(r"quantizer\.quantizers\.(\d+)\.")


@dataclass(frozen=True)
class ModelWriter:
    """Writes model folders: the network, `dacse.json`, and any codec that is not unchanged from the Hub."""

    codec: Resolved
    books: int | None
    """Codebooks of the codec that the network uses; None: all."""
    chunk_seconds: float
    training: str
    """A description of the training data."""

    def __call__(self, folder: Path, network: SetNetwork) -> None:
        """Write into the existing, empty `folder`."""
        save_network(network, folder)
        card = {
            "codec": self._write_codec(folder),
            "chunk_seconds": self.chunk_seconds,
            "training": self.training,
        }
        write_json(folder / "dacse.json", card)

    def _write_codec(self, folder: Path) -> str:
        """The codec's name as seen from `folder`."""
        own = folder / "codec"
        if self.books is not None:
            own.mkdir()
            write_smaller_codec(self.codec.folder, own, self.books)
            return "codec"
        if self.codec.revision is not None and parse_hub_name(self.codec.name):
            return self.codec.name
        own.mkdir()
        for path in self.codec.folder.iterdir():
            if path.suffix in (".json", ".safetensors"):
                shutil.copyfile(path, own / path.name)
        return "codec"


def write_smaller_codec(source: Path, target: Path, books: int) -> None:
    """Write the codec in `source` with its first `books` codebooks alone.

    Codes of a residual quantizer do not depend on later codebooks, so they stay the same. Raises `UsageError`
    for a number the codec does not have, `CodecError` for a damaged one.
    """
    shape = read_shape(source)
    check_books(shape.n_codebooks, books)
    config: dict[str, Any] = read_config(source / "config.json", CodecError) | {"n_codebooks": books}
    weights = load_folder(source, dac_shapes(shape), CodecError)
    kept = {name: tensor for name, tensor in weights.items() if _book(name) < books}
    save_folder(target, config, kept)
    extractor = source / "preprocessor_config.json"
    if extractor.is_file():
        shutil.copyfile(extractor, target / extractor.name)


def check_books(there: int, books: int) -> None:
    """Raises `UsageError` for a number of codebooks that a codec of `there` does not have."""
    if not 1 <= books <= there:
        raise UsageError(f"codebooks must be from 1 to the codec's {there}, not {books}")


def _book(name: str) -> int:
    """Codebook that a weight belongs to; -1 for the rest of the codec."""
    found = _QUANTIZER.match(name)
    return int(found[1]) if found else -1
