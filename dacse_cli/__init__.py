"""Batch speech enhancement with DAC-SE1: the library under the ``dacse`` command.

Three names are public: `Enhancer` (models in memory, arrays or files through them), `Enhanced` (what it
returns) and `DacseError` (what it raises). Importing this package loads no torch: the names resolve on
first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dacse_cli.errors import DacseError

if TYPE_CHECKING:
    from dacse_cli.api.enhanced import Enhanced
    from dacse_cli.api.enhancer import Enhancer

__version__ = "0.1.0"
__all__ = ["DacseError", "Enhanced", "Enhancer"]


def __getattr__(name: str) -> Any:
    if name in ("Enhanced", "Enhancer"):
        from dacse_cli.api import enhancer

        return getattr(enhancer, name)
    raise AttributeError(f"module 'dacse_cli' has no attribute {name!r}")
