"""Every Redis key, by name; no other module builds a key.

The keys that workkit shares with gocraft/work are fixed. workkit's own keys have names that
gocraft/work never uses. `lua/README.md` lists all keys with types and meanings.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from workkit.core import gojson
from workkit.core.job import Job, Payload
from workkit.core.showing import shown
from workkit.errors import InvalidName

__all__ = ["Keys", "QueueKeys", "check_name", "check_stored_name"]

_RESERVED_SUFFIXES: Final = (":paused", ":lock", ":lock_info", ":max_concurrency", ":inprogress")
_INPROGRESS: Final = re.compile(r":([^:]+):inprogress\Z")


_TYPES: Final = {
    "known_jobs": "set",
    "worker_pools": "set",
    "retry": "zset",
    "scheduled": "zset",
    "dead": "zset",
    "last_periodic_enqueue": "string",
    "history": "stream",
    "history:head": "string",
    "recoveries": "hash",
    "begun": "hash",
    "periodic": "hash",
    "periodic_seen": "hash",
    "periodic_peer": "string",
    "limits": "hash",
    "trash": "zset",
    "acts": "stream",
    "acts:head": "hash",
}
_TYPES_OF_QUEUES: Final = {
    ":inprogress": "list",
    ":lock": "string",
    ":lock_info": "hash",
    ":paused": "string",
    ":max_concurrency": "string",
}
_TYPES_OF_KINDS: Final = {
    "worker_pools:": "hash",
    "worker:": "hash",
    "unique:": "string",
    "slot:": "string",
    "lease:": "string",
    "trash:": "hash",
    "trashed:": "list",
    "signatures:": "hash",
    "stack:": "string",
}


class QueueKeys(NamedTuple):
    """The keys of one queue as one pool uses them, in the order in which scripts take them."""

    jobs: bytes  # list: LPUSH, taken from the right
    inprogress: bytes  # list: the jobs that the pool holds
    lock: bytes  # string: how many are held, all pools
    lock_info: bytes  # hash: pool id -> how many it holds
    paused: bytes  # string: present while paused
    max_concurrency: bytes  # string: limit, 0 or absent for none


#: How URLs of servers begin.
_SCHEMES: Final = ("redis://", "rediss://", "unix://", "redis+sentinel://")


class Keys:
    """The keys of one namespace.

    Args:
        namespace: Prefix of every key; a trailing colon is not doubled, "" has no prefix.

    Raises:
        InvalidName: The namespace is not a string, holds a null byte, or is the URL of a server.
    """

    def __init__(self, namespace: str) -> None:
        if not isinstance(namespace, str) or "\0" in namespace:
            raise InvalidName(f"a namespace is a string without null bytes, not {shown(namespace)}")
        _check_text("namespace", namespace)
        if namespace.startswith(_SCHEMES):
            raise InvalidName("the namespace is the URL of a server; write the namespace first")
        self.namespace = namespace
        self.prefix = namespace if not namespace or namespace.endswith(":") else f"{namespace}:"
        self.known_jobs = self._key("known_jobs")  # set of job names
        self.retry = self._key("retry")  # sorted set: job by when it is due
        self.scheduled = self._key("scheduled")  # sorted set: job by when it is due
        self.dead = self._key("dead")  # sorted set: job by when it died
        self.worker_pools = self._key("worker_pools")  # set of pool ids
        self.last_periodic_enqueue = self._key("last_periodic_enqueue")  # string: epoch seconds
        self.history = self._key("history")  # stream of ours: packed executions
        self.history_head = self._key("history:head")  # string of ours: "ms total" of the newest
        self.recoveries = self._key("recoveries")  # hash of ours: job id -> how often recovered
        self.begun = self._key("begun")  # hash of ours: id of a unique job that began -> when
        self.periodic = self._key("periodic")  # hash of ours: cron -> scheduled until
        self.periodic_seen = self._key("periodic_seen")  # hash of ours: cron -> last declared
        self.periodic_peer = self._key("periodic_peer")  # string of ours: "our last, a peer's last"
        self.trash = self._key("trash")  # sorted set of ours: operation by when it expires
        self.acts = self._key("acts")  # stream of ours: who did what, chained by digests
        self.acts_head = self._key("acts:head")  # hash of ours: the ends of that chain
        self.limits = self._key("limits")  # hash of ours: job name -> limit that we wrote
        self._expiring = frozenset({self.recoveries, self.begun})
        self._expiring_kinds = tuple(
            self._key(kind) for kind in ("unique:", "slot:", "lease:", "worker:", "stack:")
        )
        self._unique_prefix = f"{self.prefix}unique:"
        self.queue = lru_cache(maxsize=100_000)(self._queue)
        self.jobs = lru_cache(maxsize=100_000)(self._jobs)

    def _key(self, rest: str) -> bytes:
        return (self.prefix + rest).encode()

    def _jobs(self, name: str) -> bytes:
        """List: the queue of one job name."""
        return self._key(f"jobs:{name}")

    def paused(self, name: str) -> bytes:
        """String: present while the queue is paused."""
        return self._key(f"jobs:{name}:paused")

    def _queue(self, name: str, pool_id: str) -> QueueKeys:
        base = f"jobs:{name}"
        return QueueKeys(
            self._key(base),
            self._key(f"{base}:{pool_id}:inprogress"),
            self._key(f"{base}:lock"),
            self._key(f"{base}:lock_info"),
            self._key(f"{base}:paused"),
            self._key(f"{base}:max_concurrency"),
        )

    def pool(self, pool_id: str) -> bytes:
        """Hash: a pool's heartbeat."""
        return self._key(f"worker_pools:{pool_id}")

    def worker(self, worker_id: str) -> bytes:
        """Hash: the job that one worker of a pool runs."""
        return self._key(f"worker:{worker_id}")

    def unique(self, name: str, args_json: bytes) -> str:
        """String: held while a unique job waits.

        Go's encoder ends its output with a newline, which is part of the key. For absent args, Go
        does not call the encoder, so there is no newline.
        """
        canonical = "" if args_json == b"null" else args_json.decode() + "\n"
        return f"{self.prefix}unique:{name}:{canonical}"

    def unique_of(self, job: Job | Payload) -> str:
        """Return the key that holds a unique job.

        Jobs name their key; an old job without that field has the default key of its args. If the
        name is not one of our unique keys, it is ignored, because the caller deletes the key.
        """
        if job.unique_key.startswith(self._unique_prefix):
            return job.unique_key
        return self.unique(job.name, gojson.encode_args(job.args))

    def slot(self, periodic_id: str) -> bytes:
        """String of ours: the state of one cron slot."""
        return self._key(f"slot:{periodic_id}")

    def lease(self, duty: str) -> bytes:
        """String of ours: the pool that now does a duty for all pools."""
        return self._key(f"lease:{duty}")

    def operation(self, operation_id: str) -> bytes:
        """Hash of ours: the description of a bulk action."""
        return self._key(f"trash:{operation_id}")

    def trashed(self, operation_id: str) -> bytes:
        """List of ours: the jobs that a bulk action deleted or revived, as they were."""
        return self._key(f"trashed:{operation_id}")

    def signatures(self, digest: str) -> bytes:
        """Hash of ours: what typed tasks take, of all pools whose tasks are the same."""
        return self._key(f"signatures:{digest}")

    def stack(self, job_id: str) -> bytes:
        """String of ours: where the handler of a job was when somebody asked."""
        return self._key(f"stack:{job_id}")

    def is_pool(self, key: bytes) -> bool:
        """Tell whether a key is a pool's heartbeat."""
        return key.startswith(self._key("worker_pools:"))

    def is_restored(self, key: bytes) -> bool:
        """Tell whether pools write a key again if it is gone: a limit, a heartbeat or a lease."""
        is_limit = (self._of_queue(key) or "").endswith(":max_concurrency")
        return is_limit or self.is_pool(key) or key.startswith(self._key("lease:"))

    def may_expire(self, key: bytes) -> bool:
        """Tell whether a key is of a kind that gets a time to live."""
        kinds = (self._key("trash:"), self._key("trashed:"), self._key("signatures:"))
        return key.startswith(kinds) or key in self._expiring or self.may_expire_as_string(key)

    def may_expire_as_string(self, key: bytes) -> bool:
        """Tell whether a key is a string or an observation that gets a time to live."""
        return key.startswith(self._expiring_kinds)

    def type_of(self, key: bytes) -> str | None:
        """Return the type that a key must have; None for a key outside this keyspace."""
        if not key.startswith(self.prefix.encode()):
            return None
        part = self._of_queue(key)
        if part is not None:
            ends = (kind for suffix, kind in _TYPES_OF_QUEUES.items() if part.endswith(suffix))
            return next(ends, "list")
        rest = key[len(self.prefix.encode()) :].decode("utf-8", "replace")
        if rest in _TYPES:
            return _TYPES[rest]
        starts = (kind for start, kind in _TYPES_OF_KINDS.items() if rest.startswith(start))
        return next(starts, None)

    def queue_of(self, key: bytes) -> str | None:
        """Return the name of a queue by the key of its list; None for any other key."""
        name = self.parse_jobs(key)
        return name if name is not None and key == self.jobs(name) else None

    def is_unique(self, key: bytes) -> bool:
        """Tell whether a key is one that a unique job holds."""
        return key.startswith(self._key("unique:"))

    def aside(self, key: bytes, now_s: int) -> bytes:
        """Any type, of ours: the new name of a key that has a wrong type."""
        return self._key(f"aside:{now_s}:") + key[len(self.prefix.encode()) :]

    def everything_pattern(self) -> str:
        """Return a SCAN pattern that finds every key of the namespace."""
        return re.sub(r"([*?\[\]\\])", r"\\\1", self.prefix) + "*"

    def inprogress_pattern(self) -> str:
        """Return a SCAN pattern that finds every pool's in-progress lists."""
        return self.everything_pattern()[:-1] + "jobs:*:inprogress"

    def parse_inprogress(self, key: bytes) -> tuple[str, str] | None:
        """Return the job name and the pool id of an in-progress list, or None for another key."""
        text = key.decode("utf-8", "replace")
        match = _INPROGRESS.search(text)
        base = f"{self.prefix}jobs:"
        if match is None or not text.startswith(base) or match.start() <= len(base):
            return None
        return text[len(base) : match.start()], match.group(1)

    def parse_jobs(self, key: bytes) -> str | None:
        """Return the job name of a queue, or None for another key."""
        part = self._of_queue(key)
        return None if part is None or part.endswith(_RESERVED_SUFFIXES) else part

    def parse_lock(self, key: bytes) -> str | None:
        """Return the job name of a `lock` or `lock_info`, or None for another key."""
        name, colon, suffix = (self._of_queue(key) or "").rpartition(":")
        return name if colon and suffix in {"lock", "lock_info"} else None

    def _of_queue(self, key: bytes) -> str | None:
        """Return what follows ``jobs:`` in a key of a queue, or None for another key.

        Only a suffix in that part tells the kind of the key: a queue may be called ``paused``.
        """
        text, base = key.decode("utf-8", "replace"), f"{self.prefix}jobs:"
        return text[len(base) :] if text.startswith(base) else None


def check_name(name: object) -> str:
    """Return a job name that the keyspace can hold.

    Args:
        name: The name as the user gave it.

    Raises:
        InvalidName: It is empty, is not text, holds a comma (heartbeats join names with commas) or
            a null byte, or ends in a suffix that another key of a queue has.
    """
    name = _plain_name(name)
    for character, label in ((",", "a comma"), ("\0", "a null byte")):
        if character in name:
            raise InvalidName(f"job name {name!r:.200} holds {label}, which is reserved")
    for suffix in _RESERVED_SUFFIXES:
        if name.endswith(suffix):
            raise InvalidName(f"job name {name!r:.200} ends in {suffix!r}, which is reserved")
    _check_text("job name", name)
    return name


def check_stored_name(name: object) -> str:
    """Return the name of a queue to read, which another program may have made.

    Go takes job names that `check_name` refuses.

    Raises:
        InvalidName: It is empty or is not text.
    """
    name = _plain_name(name)
    _check_text("job name", name)
    return name


def _plain_name(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidName(f"a job name is a string, not {type(name).__name__}")
    if not name:
        raise InvalidName("a job name may not be empty")
    return str.__str__(name)  # the value of an enum member


def _check_text(what: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidName(
            f"{what} {text!r:.200} holds a lone surrogate, which is not a text"
        ) from None
