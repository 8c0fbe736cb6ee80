"""Enqueuing: the enqueuers, and the logic that they share."""

from __future__ import annotations

from workkit.enqueuer.enqueuer import AsyncEnqueuer, Enqueuer

__all__ = ["AsyncEnqueuer", "Enqueuer"]
