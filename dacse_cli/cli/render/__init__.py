"""What a command prints: `screen` while it runs, `results` at its end, `text` for numbers and names.

Only this package imports Rich.
"""

from __future__ import annotations

from dacse_cli.cli.render.screen import Screen

__all__ = ["Screen"]
