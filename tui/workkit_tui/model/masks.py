"""Secrets, as the console and recordings hide them; see `workkit.core.masks`."""

from __future__ import annotations

from workkit.core.masks import HIDDEN, Masks

__all__ = ["HIDDEN", "Masks"]
