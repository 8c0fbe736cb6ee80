"""The contents of Redis as checkers see them, updated after every command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

from workkit.core.job import Payload
from workkit.engine.handling.execution import Execution
from workkit.simulation.checkers.conditions import Conditions
from workkit.simulation.checkers.moves import (
    EXPIRED,
    MISCOUNTED,
    ORPHANED,
    RESTORED,
    HandlerRun,
    JobPlace,
    PlacedJob,
    PlaceKind,
    RedisChange,
    identify,
    pair_moves,
)
from workkit.simulation.checkers.violation import Violation
from workkit.simulation.redis.commands import command_name
from workkit.simulation.redis.server import SimulatedServer
from workkit.store.calls.layout import keys_and_args
from workkit.store.keys import Keys
from workkit.store.round_trip import Command

__all__ = ["Scene", "Watcher"]

_Known: TypeAlias = "dict[bytes, tuple[str, Payload | None]]"


class Watcher(Protocol):
    """A checker, as the scene needs it; its other methods are called by name."""

    def watch(self, scene: Scene) -> None:
        """Attach the scene; called once."""

    def hears(self, what: str) -> bool:
        """Tell whether it has a method of its own for something that it may be told."""
        ...


class Scene:
    """The contents of Redis and the running handlers; passes every change on to checkers.

    Args:
        clock_s: Returns the time on a pool's wall clock, epoch seconds; for "" the true time.
        limit_of: Returns the limit that pools declare for a job.
        now_s: Returns the seconds since the world began.
        conditions: The processes of the pools, and the faults that strike them.

    Attributes:
        keys: The namespace.
        conditions: The processes of the pools, and the faults that strike them.
        jobs: Job id -> the job in each of its places.
        running: The running handlers, by number.
        violation: The first broken rule, or None.
    """

    def __init__(
        self,
        server: SimulatedServer,
        keys: Keys,
        checkers: Iterable[Watcher],
        *,
        clock_s: Callable[[str], float],
        limit_of: Callable[[str], int],
        now_s: Callable[[], float],
        conditions: Conditions,
    ) -> None:
        self.keys = keys
        self.conditions = conditions
        self.jobs: dict[str, list[PlacedJob]] = {}
        self.running: dict[int, HandlerRun] = {}
        self.violation: Violation | None = None
        self.limit_of = limit_of
        self.now_s = now_s
        self._server = server
        self._clock_s = clock_s
        self._contents: dict[bytes, dict[bytes, float]] = {}
        self._orders: dict[bytes, list[bytes]] = {}
        self._places: dict[bytes, JobPlace | None] = {}
        self._known: _Known = {}
        self._hosts: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._runs: dict[int, HandlerRun] = {}
        self._executions: dict[int, Execution] = {}
        self._next_number = 0
        self._heard: dict[str, list[Callable[..., object]]] = {}
        self._checkers = list(checkers)
        for checker in self._checkers:
            checker.watch(self)

    # Called by checkers.

    def read(self, *command: Any) -> Any:
        """Send Redis a command that changes nothing, and return its reply."""
        return self._server.read(command)

    def where(self, job_id: str) -> list[PlacedJob]:
        """Return a job in each of its places."""
        return self.jobs.get(job_id, [])

    def standing(self, kind: PlaceKind, queue: str | None = None) -> list[PlacedJob]:
        """Return the jobs in places of a kind, of all queues or of one."""
        return [
            each
            for standings in self.jobs.values()
            for each in standings
            if each.place.kind == kind and queue in {None, each.place.queue}
        ]

    def held(self, queue: str) -> dict[str, int]:
        """Return how many jobs of a queue each pool holds, by pool id; without orphans."""
        held = {}
        for key, content in self._contents.items():
            place = self._places[key]
            if place is not None and place.kind == "in progress" and place.queue == queue:
                count = round(sum(content.values()))
                if count and not place.pool_id.startswith(ORPHANED):
                    held[place.pool_id] = count
        return held

    def host(self, pool_id: str) -> str:
        """Return the name of the pool that has or had an id; "" for an unknown id."""
        return self._hosts.get(pool_id, "")

    def pool_id(self, name: str) -> str:
        """Return the id under which a pool has registered last; "" before."""
        return self._ids.get(name, "")

    def longest_undisturbed_s(self) -> float:
        """Return for how long one of the running pools has had no fault, seconds; 0 for none."""
        conditions = self.conditions
        return max(map(conditions.undisturbed_s, conditions.running()), default=0.0)

    def longest_healthy_s(self) -> float:
        """Return for how long one of the running pools has had no fault of its own, seconds."""
        conditions = self.conditions
        return max(map(conditions.healthy_s, conditions.running()), default=0.0)

    def identify(self, raw: bytes) -> str:
        """Return the id of a job from its bytes."""
        return self._standing(raw, JobPlace("queued"), 0.0).job_id

    def queues(self) -> list[str]:
        """Return the names of all queues that have ever held jobs."""
        places = (place for place in self._places.values() if place is not None)
        return sorted({place.queue for place in places if place.queue})

    def ends_s(self, key: bytes) -> float:
        """Return when a key expires, seconds since the world began; infinity for never."""
        return self._server.ends_us(key) / 1_000_000

    def true_s(self) -> float:
        """Return the true time, epoch seconds; the clocks of pools may be wrong."""
        return self._clock_s("")

    def is_paused(self, queue: str) -> bool:
        """Tell whether a queue is paused."""
        return self.read("GET", self.keys.paused(queue)) not in {None, b"0"}

    def is_suspect(self, job_id: str, pool: str) -> bool:
        """Tell whether a job is on its last recovery for a pool, which then runs it alone."""
        count = int(self.read("HGET", self.keys.recoveries, job_id) or 0)
        return 0 < count >= self.conditions.spec(pool).max_recoveries - 1

    # Called by the server.

    def wrote(self, who: object, sent: Command, keys: Sequence[bytes]) -> None:
        """Update the scene after a command that has written, and tell the checkers."""
        if self.violation is not None:
            return
        command = command_name(sent)
        host = getattr(who, "host", None)
        pool = "" if host is None else host.name
        if command == "register":
            pool_id = str(keys_and_args(sent)[1][0])
            self._hosts[pool_id] = pool
            # A process that has crashed meanwhile does not speak for the one after it.
            if host is None or not host.crashed:
                self._ids[pool] = pool_id
        gone: list[PlacedJob] = []
        came: list[PlacedJob] = []
        lists: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
        for key in keys:
            place = self._place(key)
            if place is not None:
                self._compare(key, place, gone, came, lists)
        for each in gone:
            standings = self.jobs[each.job_id]
            standings.remove(each)
            if not standings:
                del self.jobs[each.job_id]
        for each in came:
            self.jobs.setdefault(each.job_id, []).append(each)
        moves = pair_moves(gone, came) if gone or came else ()
        change = RedisChange(command, pool, self._clock_s(pool), moves, keys, sent, lists)
        self._tell("changed", change)

    def _place(self, key: bytes) -> JobPlace | None:
        try:
            return self._places[key]
        except KeyError:
            place = self._places[key] = self._read_place(key)
            return place

    def _read_place(self, key: bytes) -> JobPlace | None:
        keys = self.keys
        if key in {keys.retry, keys.scheduled, keys.dead}:
            kinds: dict[bytes, PlaceKind] = {
                keys.retry: "retry", keys.scheduled: "scheduled", keys.dead: "dead",
            }  # fmt: skip
            return JobPlace(kinds[key])
        held = keys.parse_inprogress(key)
        if held is not None:
            return JobPlace("in progress", *held)
        queue = keys.parse_jobs(key)
        return JobPlace("queued", queue) if queue is not None else None

    def _compare(
        self,
        key: bytes,
        place: JobPlace,
        gone: list[PlacedJob],
        came: list[PlacedJob],
        lists: dict[bytes, tuple[list[bytes], list[bytes]]],
    ) -> None:
        before = self._contents.get(key, {})
        if place.queue:
            order_before, order = self._orders.get(key, []), self._read_list(key)
            if order == order_before:
                return
            lists[key] = order_before, order
            self._orders[key] = order
            after: dict[bytes, float] = dict(Counter(order))
        else:
            after = self._read_set(key)
        if before == after:
            return
        self._contents[key] = after
        # Sorted, since the order of a set of bytes is another one in each process.
        if place.queue:
            for raw in sorted({raw for raw, _ in before.items() ^ after.items()}):
                count = round(after.get(raw, 0) - before.get(raw, 0))
                standing = self._standing(raw, place, 0.0)
                (came if count > 0 else gone).extend([standing] * abs(count))
            return
        for raw, score in sorted(before.items() - after.items()):
            gone.append(self._standing(raw, place, score))
        for raw, score in sorted(after.items() - before.items()):
            came.append(self._standing(raw, place, score))

    def _read_list(self, key: bytes) -> list[bytes]:
        raws = self._server.peek(("LRANGE", key, 0, -1))
        return list(raws) if isinstance(raws, list) else []

    def _read_set(self, key: bytes) -> dict[bytes, float]:
        found = self._server.peek(("ZRANGE", key, 0, -1, "WITHSCORES"))
        if not isinstance(found, list):
            return {}
        pairs = found if found and isinstance(found[0], list) else zip(*[iter(found)] * 2)  # noqa: B905 - even
        return {raw: float(score) for raw, score in pairs}

    def _standing(self, raw: bytes, place: JobPlace, score: float) -> PlacedJob:
        known = self._known.get(raw)
        if known is None:
            known = self._known[raw] = identify(raw)
        return PlacedJob(known[0], raw, known[1], place, score)

    def expired(self, key: bytes) -> None:
        """Tell the checkers that a key has expired."""
        self._tell("changed", RedisChange(EXPIRED, "", self._clock_s(""), (), (key,)))

    def miscounted(self, keys: Sequence[bytes]) -> None:
        """Tell the checkers that something else than workkit has made a lock wrong."""
        self._tell("changed", RedisChange(MISCOUNTED, "", self._clock_s(""), (), keys))

    def wiped(self) -> None:
        """Forget everything, and tell the checkers that the server has lost its data."""
        self._contents.clear()
        self._orders.clear()
        self.jobs.clear()
        self._tell("wiped")

    def rolled_back(self) -> None:
        """Tell the checkers that the server has lost its data, and then what it has again."""
        self.wiped()
        self.wrote(None, (RESTORED,), [key for key, place in self._places.items() if place])

    # Called for handlers.

    def started(self, pool: str, execution: Execution) -> None:
        """Record that a handler starts, and tell the checkers."""
        self._next_number += 1
        payload = execution.payload
        run = HandlerRun(
            pool, payload.name, payload.id, execution.job.args, payload.fails, execution.options,
            self._next_number, execution.worker_id,
        )  # fmt: skip
        self._runs[id(execution)] = self.running[run.number] = run
        self._executions[run.number] = execution
        self._tell("started", run)

    def ended(self, execution: Execution, error: BaseException | None) -> None:
        """Record that a handler has ended, and tell the checkers."""
        run = self._runs.pop(id(execution))
        self._executions.pop(run.number, None)
        if self.running.pop(run.number, None) is not None:
            self._tell("ended", run, error)

    def crashed(self, pool: str) -> None:
        """Forget the handlers of a crashed process, and tell the checkers."""
        self.running = {number: run for number, run in self.running.items() if run.pool != pool}
        self._tell("crashed", pool)

    def stopping(self, pool: str, timeout_s: float | None) -> None:
        """Tell the checkers that a pool is asked to stop."""
        self._tell("stopping", pool, timeout_s)

    def left(self, pool: str) -> None:
        """Tell the checkers that a pool's process has ended by itself."""
        self._tell("left", pool)

    def told(self, pool: str, event: str, arguments: Sequence[Any]) -> None:
        """Tell the checkers that a pool calls the hooks of an event."""
        self._tell("told", pool, event, arguments)

    def is_heard(self, what: str) -> bool:
        """Tell whether a checker wants to be told of something."""
        return bool(self._hearers(what))

    def heard(self, pool: str, what: str, report: Any) -> None:
        """Tell the checkers what the observers of a pool hear."""
        self._tell("heard", pool, what, report)

    def asked(self, asked: Any) -> None:
        """Tell the checkers what a caller has enqueued."""
        self._tell("asked", asked)

    def checkin(self, run: HandlerRun) -> tuple[str, int] | None:
        """Return the newest check-in of a running handler, and its time (epoch seconds)."""
        execution = self._executions.get(run.number)
        return None if execution is None else execution.checkin

    def come_to_rest(self) -> None:
        """Tell the checkers that the world should be at rest."""
        self._tell("at_rest")

    def _tell(self, what: str, *arguments: Any) -> None:
        if self.violation is not None:
            return
        try:
            for hear in self._hearers(what):
                hear(*arguments)
        except Violation as violation:
            # Not raised here, because a handler or a pool would treat it as its own error.
            self.violation = violation

    def _hearers(self, what: str) -> list[Callable[..., object]]:
        """Return the methods of the checkers that want to be told of something."""
        known = self._heard.get(what)
        if known is None:
            known = [getattr(each, what) for each in self._checkers if each.hears(what)]
            self._heard[what] = known
        return known
