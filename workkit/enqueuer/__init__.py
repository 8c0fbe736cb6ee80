"""The enqueuers and their shared logic."""

from __future__ import annotations

from workkit.enqueuer.async_enqueuer import AsyncEnqueuer
from workkit.enqueuer.enqueuer import Enqueuer

__all__ = ["AsyncEnqueuer", "Enqueuer"]
