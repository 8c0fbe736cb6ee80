"""Checkers: jobs are neither lost nor duplicated nor changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from workkit.core import job as wire
from workkit.core.job import PERIODIC, Payload
from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import RESTORED, HandlerRun, Move, PlacedJob, RedisChange
from workkit.simulation.checkers.verdicts import promised

__all__ = ["ArgsAreKept", "MembersAreKept", "NothingIsLeft", "NothingIsLost"]

#: Scripts that only move jobs: they neither add jobs to the namespace nor remove any.
_MOVING: Final = frozenset(
    {"adopt", "begin", "exchange", "forget", "leave", "move", "reap", "recount", "register",
     "resync", "revive"}
)  # fmt: skip
#: The members of a job that the engine writes again; `ArgsAreKept` watches the args.
_OWN: Final = frozenset(
    {"args", "err", "failed_at", "fails", "t", "t_ms", "unique", "unique_key", "unique_until"}
)
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
#: Observations of workers that run nothing are gone within this time, seconds.
_OBSERVED_S: Final = 5.0
#: How long a job that is due may wait for a requeuer, seconds.
_OVERDUE_S: Final = 120


class NothingIsLost(Checker):
    """Every accepted job is in one place until a handler has finished it.

    It is in a queue, in progress, scheduled, waiting for its retry, or dead. It leaves Redis only
    when its handler has succeeded or discarded it, when it has failed for the last time and skips
    the dead set, when an operator deletes it, or when a newer version of a unique job replaces it.
    A handler counts only while its pool holds the job: the success of one that was given up, or
    whose job was taken away, is none.
    After that it never comes back, unless an operator undoes what has deleted it. A cron job may be
    dropped without a run if it is a second copy of a slot; see `CronSlots`.
    """

    rule = "no job is lost, and none is in two places"

    def __init__(self) -> None:
        self._over: set[str] = set()
        self._deleted: set[str] = set()
        self._finished: set[tuple[str, str]] = set()
        self._runs: dict[tuple[str, str], tuple[HandlerRun, float]] = {}

    def started(self, run: HandlerRun) -> None:
        """Record the run that counts."""
        self._finished.discard((run.pool, run.job_id))
        self._runs[run.pool, run.job_id] = run, self.scene.now_s()

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record jobs that may leave Redis."""
        # Kept when the pool crashes: its last exchange may still be on its way.
        known = self._runs.get((run.pool, run.job_id))
        if known is None or known[0].number != run.number:
            return
        kind = promised(error, run.options).kind if error is not None else "dropped"
        last = kind == "final" or (kind == "plain" and _is_last(run))
        if kind == "dropped" or (last and run.options.skip_dead):
            self._finished.add((run.pool, run.job_id))

    def wiped(self) -> None:
        """Forget everything: jobs that Redis itself has lost break no rule."""
        self._over.clear()
        self._deleted.clear()

    def changed(self, change: RedisChange) -> None:
        """Check all moved jobs."""
        for move in change.moves:
            if move.left("in progress"):
                self._let_go(move, change)
            if move.before is None:
                self._came(move, change)
            elif move.after is None:
                self._left(move.before, change)
            elif move.is_update:
                self._over.add(move.before.job_id)
            doubled = len(self.scene.where(move.job_id)) > 1
            if doubled and not move.job_id.startswith(PERIODIC):
                places = " and ".join(_where(each) for each in self.scene.where(move.job_id))
                self.violated(f"{change.command} put it in two places: {places}", move.job_id)

    def _came(self, move: Move, change: RedisChange) -> None:
        if move.job_id.startswith(PERIODIC):
            return
        if change.command == "restore" and move.job_id in self._deleted:
            self._deleted.discard(move.job_id)
            self._over.discard(move.job_id)
            return
        if move.job_id in self._over:
            self.violated(
                f"{change.command} brought it back after it had left Redis for good", move.job_id
            )
        if change.command in _MOVING:
            self.violated(f"{change.command} created it", move.job_id)

    def _left(self, before: PlacedJob, change: RedisChange) -> None:
        job_id = before.job_id
        if job_id.startswith(PERIODIC):
            return
        self._over.add(job_id)
        if change.command == "remove":
            self._deleted.add(job_id)
        if change.command == "exchange":
            finished = (change.pool, job_id) in self._finished
            self._finished.discard((change.pool, job_id))
            if not finished and not self._was_given_up(change.pool, job_id):
                self.violated("it left Redis though no handler has finished it", job_id)
            self._runs.pop((change.pool, job_id), None)
        elif change.command in _MOVING:
            self.violated(f"{change.command} took it away from {_where(before)}", job_id)

    def _let_go(self, move: Move, change: RedisChange) -> None:
        """Forget the run of a job that its pool does not hold any more."""
        assert move.before is not None  # noqa: S101 - it was in progress
        holder = self.scene.host(move.before.place.pool_id), move.before.job_id
        if move.after is not None or change.command != "exchange":
            self._runs.pop(holder, None)
            self._finished.discard(holder)

    def _was_given_up(self, pool: str, job_id: str) -> bool:
        """Tell whether a handler that skips the dead set may have been given up for good."""
        run, since_s = self._runs.get((pool, job_id), (None, 0.0))
        if run is None or run.options.timeout is None:
            return False
        too_long = self.scene.now_s() - since_s >= run.options.timeout
        return too_long and run.options.skip_dead and _is_last(run)

    def at_rest(self) -> None:
        """Check that no job waits for ever."""
        for standings in self.scene.jobs.values():
            for each in standings:
                if each.place.kind == "in progress":
                    self.violated(f"it stays {_where(each)}, and no handler runs it", each.job_id)
                if each.place.kind == "scheduled" and each.score < self.scene.true_s() - _OVERDUE_S:
                    self.violated("it was due long ago and has not been queued", each.job_id)
                if each.place.kind == "retry" or (
                    each.place.kind == "queued" and not self.scene.is_paused(each.place.queue)
                ):
                    self.violated(f"it stays {_where(each)} for ever", each.job_id)


def _is_last(run: HandlerRun) -> bool:
    """Tell whether a job has no try left after a run that fails."""
    return run.fails + 1 >= run.options.max_fails


class NothingIsLeft(Checker):
    """At rest, Redis has no traces of pools that are gone or of jobs that have ended."""

    rule = "nothing is left behind"

    def __init__(self) -> None:
        self._ended: dict[str, tuple[str, float]] = {}

    def started(self, run: HandlerRun) -> None:
        """Record when a worker was busy last."""
        self._ended[run.worker_id] = run.pool, self.scene.now_s()

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Record when a worker was busy last."""
        del error
        self._ended[run.worker_id] = run.pool, self.scene.now_s()

    def at_rest(self) -> None:
        """Check pools and the records about jobs."""
        scene, keys = self.scene, self.scene.keys
        hosts = [scene.host(pool.decode()) for pool in scene.read("SMEMBERS", keys.worker_pools)]
        twice = {host for host in hosts if hosts.count(host) > 1}
        if twice:
            self.violated(f"{min(twice)} is registered twice")
        for what, key in (("begun", keys.begun), ("recovered", keys.recoveries)):
            for job_id in scene.read("HGETALL", key):
                if not scene.where(job_id.decode()):
                    self.violated(f"a job that has ended is still noted as {what}", job_id.decode())
        running = {run.worker_id for run in scene.running.values()}
        for worker, (pool, at_s) in self._ended.items():
            ago_s = scene.now_s() - at_s
            if worker in running or not _OBSERVED_S < ago_s < scene.conditions.undisturbed_s(pool):
                continue
            if scene.read("EXISTS", keys.worker(worker)):
                self.violated(f"worker {worker[-6:]} runs nothing and is still observed")


def _written(change: RedisChange) -> Iterator[tuple[PlacedJob, Payload]]:
    """Give the jobs that a change has added, or moved with other bytes than before."""
    for move in change.moves:
        after = move.after
        if after is None or after.job is None or after.job_id != after.job.id:
            continue
        if move.before is None or move.before.raw != after.raw:
            yield after, after.job


class ArgsAreKept(Checker):
    """The args of a job stay as they were accepted, byte for byte, and its handler gets them.

    Only an operator may edit them, by `swap`. When Redis loses its newest writes, older args may be
    back.
    """

    rule = "the args of a job never change"

    def __init__(self) -> None:
        #: Job id → the args that it has had, the newest last.
        self._args: dict[str, list[bytes]] = {}
        self._values: dict[str, list[Any]] = {}

    def changed(self, change: RedisChange) -> None:
        """Compare the args of moved jobs."""
        for after, job in _written(change):
            args = wire.args_json(after.raw)
            if change.command == "swap" or job.id not in self._args:
                self._args.setdefault(job.id, []).append(args)
                self._values.setdefault(job.id, []).append(job.args)
            else:
                self._compare(args, job, anew=change.command == RESTORED)

    def _compare(self, args: bytes, job: Payload, *, anew: bool) -> None:
        known = self._args[job.id]
        if anew and args in known:
            known.append(args)
        elif known[-1] != args:
            self.violated(f"they were {known[-1]!r:.200} and are {args!r:.200}", job.id)

    def started(self, run: HandlerRun) -> None:
        """Compare the args that the handler gets."""
        known = self._values.get(run.job_id, [run.args])
        if run.args not in known:
            self.violated(
                f"they were {known[-1]!r:.200}, its handler has {run.args!r:.200}", run.job_id
            )

    def wiped(self) -> None:
        """Keep the args: handlers of lost jobs may still start."""


class MembersAreKept(Checker):
    """All members of a job that the engine does not know stay, byte for byte, such as a trace."""

    rule = "what others have added to a job never changes"

    def __init__(self) -> None:
        self._members: dict[str, dict[str, bytes]] = {}

    def changed(self, change: RedisChange) -> None:
        """Compare the members of moved jobs."""
        for after, job in _written(change):
            fields = _decode_fields(after.raw)
            members = {name: bytes(fields[name]) for name in fields if name not in _OWN}
            known = self._members.setdefault(job.id, members)
            if known != members:
                self.violated(
                    f"its members were {known!r:.200} and are {members!r:.200}", after.job_id
                )


def _where(standing: PlacedJob) -> str:
    place = standing.place
    if place.kind == "queued":
        return f"in the queue {place.queue!r}"
    if place.kind == "in progress":
        return f"in progress in pool {place.pool_id[-6:]}"
    return f"in the {place.kind} set"
