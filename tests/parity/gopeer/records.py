"""The arguments and the results of the Go peer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tests.parity.gopeer import gojson

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.parity.gopeer.observer import GoObserver

#: The most that the original accepts as a priority.
PRIORITY_LIMIT = 100_000


@dataclass(slots=True)
class GoJobRecord:
    """A job as a Go process holds it: numbers in ``args`` are floats once they were decoded."""

    name: str = ""
    id: str = ""
    enqueued_at: int = 0
    args: dict[str, Any] | None = None
    unique: bool = False
    unique_key: str = ""
    fails: int = 0
    err: str = ""
    failed_at: int = 0
    #: The bytes that were decoded; the original removes the job from its list with these.
    raw: bytes = field(default=b"", repr=False, compare=False)
    observer: GoObserver | None = field(default=None, repr=False, compare=False)

    def checkin(self, message: str) -> None:
        """Report progress, as a handler may; nothing happens outside of a handler."""
        if self.observer is not None:
            self.observer.checked_in(self.id, message)

    def encode(self) -> bytes:
        """Write the job as the original's struct tags have it: empty fields are left out.

        Raises:
            GoEncodeError: A handler put something into ``args`` that JSON cannot hold.
        """
        fields: list[tuple[str, object, bool]] = [
            ("name", self.name, bool(self.name)),
            ("id", self.id, True),
            ("t", self.enqueued_at, True),
            ("args", self.args, True),
            ("unique", self.unique, self.unique),
            ("unique_key", self.unique_key, bool(self.unique_key)),
            ("fails", self.fails, self.fails != 0),
            ("err", self.err, bool(self.err)),
            ("failed_at", self.failed_at, self.failed_at != 0),
        ]
        members = (f'"{key}":{gojson.encode(value)}' for key, value, kept in fields if kept)
        return ("{" + ",".join(members) + "}").encode()

    @classmethod
    def decode(cls, raw: bytes) -> GoJobRecord:
        """Read a job as strictly, and as laxly, as Go reads JSON into a struct.

        Unknown fields are dropped, names match in any case, ``null`` changes nothing.

        Args:
            raw: The bytes as they were in Redis.

        Raises:
            GoDecodeError: Not JSON, or a field of the wrong type.
        """
        job = cls(raw=raw)
        for key, node in gojson.decode_members(raw) or []:
            name = key if key in _FIELDS else key.lower().replace("\u017f", "s")
            if name == "args" and node is None:
                job.args = None
            elif name == "args":
                # A repeated map is read into the first one, a repeated scalar replaces it.
                job.args = (job.args or {}) | gojson.as_map(node, raw)
            elif name in _FIELDS and node is not None:
                attribute, read = _FIELDS[name]
                setattr(job, attribute, read(node, raw))
        return job


_FIELDS: dict[str, tuple[str, Callable[[object, bytes], object]]] = {
    "name": ("name", gojson.as_string),
    "id": ("id", gojson.as_string),
    "t": ("enqueued_at", gojson.as_int64),
    "args": ("args", gojson.as_map),
    "unique": ("unique", gojson.as_bool),
    "unique_key": ("unique_key", gojson.as_string),
    "fails": ("fails", gojson.as_int64),
    "err": ("err", gojson.as_string),
    "failed_at": ("failed_at", gojson.as_int64),
}


def _succeed(_job: GoJobRecord) -> None:
    """Do nothing, well."""


@dataclass(frozen=True, slots=True)
class GoJob:
    """How a Go pool runs the jobs of one name; zero means the original's default.

    Attributes:
        priority: The weight of the queue in the draw for the next look, 1 to 100,000.
        max_fails: How often the job may fail in all, its last failure included.
        skip_dead: Whether a job that is out of retries vanishes instead of going to dead.
        max_concurrency: How many may run at once in all pools; 0 for no limit.
        handler: Runs the job and fails by raising.
        backoff: Seconds until the next try; ``None`` is the original's rule.
    """

    priority: int = 1
    max_fails: int = 4
    skip_dead: bool = False
    max_concurrency: int = 0
    handler: Callable[[GoJobRecord], object] = _succeed
    backoff: Callable[[GoJobRecord], int] | None = None

    def __post_init__(self) -> None:
        """Refuse what the original panics on, and fill in its defaults for zero."""
        if not 0 <= self.priority <= PRIORITY_LIMIT:
            raise ValueError(
                f"priority must be between 1 and {PRIORITY_LIMIT}, not {self.priority}"
            )
        object.__setattr__(self, "priority", self.priority or 1)
        object.__setattr__(self, "max_fails", self.max_fails or 4)


@dataclass(slots=True)
class GoWorker:
    """One goroutine of a pool: busy with one claim, or free."""

    id: str
    observer: GoObserver
    claim: Claim | None = None


@dataclass(slots=True, eq=False)
class Claim:
    """A job that a worker took from its queue and has not settled.

    Attributes:
        job: What will be settled. It changes when the job is unique and was updated.
        fetched: The bytes that lie in the in-progress list.
        queue: The key of the list that it came from.
        in_progress: The key of the list that it lies in.
        begun: Whether a handler may be running.
    """

    worker: GoWorker
    job: GoJobRecord
    fetched: bytes
    queue: bytes
    in_progress: bytes
    begun: bool = False


@dataclass(frozen=True, slots=True)
class GoScheduledJob:
    """A job that waits for its time."""

    run_at: int
    job: GoJobRecord


@dataclass(frozen=True, slots=True)
class GoRetryJob:
    """A job that waits for its next try."""

    retry_at: int
    job: GoJobRecord


@dataclass(frozen=True, slots=True)
class GoDeadJob:
    """A job that is out of tries."""

    died_at: int
    job: GoJobRecord


_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class GoPage(Generic[_Entry]):
    """Up to 20 entries of a sorted set, and how many it holds in all."""

    jobs: list[_Entry]
    total: int


@dataclass(frozen=True, slots=True)
class GoQueue:
    """A queue, its length, and the age in seconds of the job that is next."""

    job_name: str
    count: int
    latency: int


@dataclass(slots=True)
class GoWorkerPoolHeartbeat:
    """A pool's last sign of life; all but the id is empty when its hash is gone."""

    worker_pool_id: str
    started_at: int = 0
    heartbeat_at: int = 0
    job_names: list[str] = field(default_factory=list)
    concurrency: int = 0
    host: str = ""
    pid: int = 0
    worker_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class GoWorkerObservation:
    """What a worker was seen doing."""

    worker_id: str
    is_busy: bool = False
    job_name: str = ""
    job_id: str = ""
    started_at: int = 0
    args_json: str = ""
    checkin: str = ""
    checkin_at: int = 0
