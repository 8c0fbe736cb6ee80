"""Saves the state of a namespace in one file, which can be read without the server.

`Snapshot` implements `workkit.Reader`. So all code that reads a live namespace can read a snapshot.
"""

from __future__ import annotations

from workkit.snapshot.reader import Snapshot
from workkit.snapshot.redacted import RedactedReader
from workkit.snapshot.redaction import SECRETS, Redaction
from workkit.snapshot.writer import Progress, write_snapshot

__all__ = ["SECRETS", "Progress", "RedactedReader", "Redaction", "Snapshot", "write_snapshot"]
