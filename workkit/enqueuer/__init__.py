"""The enqueuers and their shared logic."""

from __future__ import annotations

from workkit.enqueuer.enqueuer import AsyncEnqueuer, Enqueuer

__all__ = ["AsyncEnqueuer", "Enqueuer"]
