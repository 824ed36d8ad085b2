"""What a command looks like: `screen` while it runs, `results` at its end. The only room that knows Rich."""

from __future__ import annotations

from dacse_cli.cli.render.screen import Screen

__all__ = ["Screen"]
