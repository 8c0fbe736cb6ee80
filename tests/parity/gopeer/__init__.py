"""A pool of the original Go library gocraft/work, as its peers see it in Redis.

``GoPeer`` leaves in Redis what a Go process would leave there, defects included, so that
tests can run workkit together with the system that it must share a namespace with. The test steps
it: it has no thread, no sleep, no clock and no dice.

What the original only logs, the peer notes in ``GoPeer.errors`` and goes on; what the original
returns to its caller as an error, the peer raises.
"""

from __future__ import annotations

from tests.parity.gopeer.client import GoClient
from tests.parity.gopeer.endpoint import LoggedError
from tests.parity.gopeer.enqueuer import GoEnqueuer
from tests.parity.gopeer.errors import (
    GoDecodeError,
    GoEncodeError,
    GoHangError,
    GoPeerError,
    GoReplyError,
    NothingDeletedError,
    NothingRetriedError,
)
from tests.parity.gopeer.peer import GoPeer
from tests.parity.gopeer.records import (
    Claim,
    GoDeadJob,
    GoJob,
    GoJobRecord,
    GoPage,
    GoQueue,
    GoRetryJob,
    GoScheduledJob,
    GoWorkerObservation,
    GoWorkerPoolHeartbeat,
)
from tests.parity.gopeer.scene import Clock, Scene

__all__ = [
    "Claim",
    "Clock",
    "GoClient",
    "GoDeadJob",
    "GoDecodeError",
    "GoEncodeError",
    "GoEnqueuer",
    "GoHangError",
    "GoJob",
    "GoJobRecord",
    "GoPage",
    "GoPeer",
    "GoPeerError",
    "GoQueue",
    "GoReplyError",
    "GoRetryJob",
    "GoScheduledJob",
    "GoWorkerObservation",
    "GoWorkerPoolHeartbeat",
    "LoggedError",
    "NothingDeletedError",
    "NothingRetriedError",
    "Scene",
]
