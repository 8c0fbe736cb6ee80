"""`workkit demo`: the engine at work on the source tree of the running Python installation."""

from __future__ import annotations

from workkit.tools.demo.command import demo

__all__ = ["demo"]
