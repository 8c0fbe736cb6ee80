"""The state of a namespace in one file, to be looked at without its server.

`Snapshot` meets `workkit.Reader`, so whatever reads a live namespace reads a snapshot.
"""

from __future__ import annotations

from workkit.snapshot.reader import Snapshot
from workkit.snapshot.redaction import SECRETS, Redaction
from workkit.snapshot.writer import Progress, write_snapshot

__all__ = ["SECRETS", "Progress", "Redaction", "Snapshot", "write_snapshot"]
