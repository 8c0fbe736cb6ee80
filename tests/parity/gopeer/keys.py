"""The key names that the original uses, with the Redis type of each."""

from __future__ import annotations

from tests.parity.gopeer import gojson


class GoKeys:
    """Every key of one namespace."""

    def __init__(self, namespace: str) -> None:
        """Take the namespace as it is configured; one colon more or less makes no difference.

        Args:
            namespace: May be empty, then keys have no prefix.
        """
        self.prefix = f"{namespace}:" if namespace and not namespace.endswith(":") else namespace
        #: What a job's name is appended to.
        self.jobs_prefix = f"{self.prefix}jobs:"
        #: SET of job names.
        self.known_jobs = f"{self.prefix}known_jobs"
        #: SET of pool ids.
        self.worker_pools = f"{self.prefix}worker_pools"
        #: ZSET of jobs by the epoch second of their next try.
        self.retry = f"{self.prefix}retry"
        #: ZSET of jobs by the epoch second they are due.
        self.scheduled = f"{self.prefix}scheduled"
        #: ZSET of jobs by the epoch second of their death.
        self.dead = f"{self.prefix}dead"
        #: STRING, epoch seconds.
        self.last_periodic_enqueue = f"{self.prefix}last_periodic_enqueue"

    def queue(self, name: str) -> str:
        """LIST of jobs, the next one at the right."""
        return f"{self.jobs_prefix}{name}"

    def in_progress(self, name: str, pool_id: str) -> str:
        """LIST of the jobs that a pool holds."""
        return f"{self.jobs_prefix}{name}:{pool_id}:inprogress"

    def paused(self, name: str) -> str:
        """STRING: while it exists, nothing is fetched from the queue."""
        return f"{self.jobs_prefix}{name}:paused"

    def lock(self, name: str) -> str:
        """STRING, how many jobs of the name run."""
        return f"{self.jobs_prefix}{name}:lock"

    def lock_info(self, name: str) -> str:
        """HASH of pool id to how many of them it runs."""
        return f"{self.jobs_prefix}{name}:lock_info"

    def max_concurrency(self, name: str) -> str:
        """STRING, the limit on ``lock``; 0 for no limit."""
        return f"{self.jobs_prefix}{name}:max_concurrency"

    def heartbeat(self, pool_id: str) -> str:
        """HASH of a pool's last sign of life."""
        return f"{self.prefix}worker_pools:{pool_id}"

    def observation(self, worker_id: str) -> str:
        """HASH of what a worker is doing."""
        return f"{self.prefix}worker:{worker_id}"

    def unique(self, name: str, args: dict[str, object] | None) -> str:
        """STRING that holds a unique job's place.

        Args:
            name: The job's name.
            args: Its args or its key. Go's encoder ends them with a newline; no args, no newline.

        Raises:
            GoEncodeError: Go has no JSON for the args.
        """
        text = "" if args is None else gojson.encode(args) + "\n"
        return f"{self.prefix}unique:{name}:{text}"
