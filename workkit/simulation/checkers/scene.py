"""What stands in Redis, kept up command by command, as checkers see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from workkit.core import job as wire
from workkit.core.job import Payload
from workkit.core.options import JobOptions
from workkit.engine.handling.execution import Execution
from workkit.errors import Undecodable
from workkit.simulation.checkers.base import Checker, Violation
from workkit.simulation.verbs import command_name
from workkit.store.keys import Keys
from workkit.store.round_trip import Command

if TYPE_CHECKING:
    from workkit.simulation.server import SimulatedServer

__all__ = ["EXPIRED", "Change", "Kind", "Move", "Place", "Run", "Scene", "Standing", "identify"]

#: What the end of a key's life is called, as the command of a change.
EXPIRED: Final = "(expired)"

Kind = Literal["queued", "in progress", "retry", "scheduled", "dead"]


class Place(NamedTuple):
    """Where a job can stand.

    Attributes:
        kind: What it is.
        queue: The name of the queue; "" for the sorted sets.
        pool_id: Whose list, for "in progress".
    """

    kind: Kind
    queue: str = ""
    pool_id: str = ""


class Standing(NamedTuple):
    """A job where it stands.

    Attributes:
        job_id: Its id; of bytes that are no job, these bytes, even when they are buried.
        raw: Its bytes.
        job: What they say; None for bytes that are no job.
        place: Where.
        score: When it is due or when it died, epoch seconds; 0 in lists.
    """

    job_id: str
    raw: bytes
    job: Payload | None
    place: Place
    score: float = 0.0


class Move(NamedTuple):
    """What a command did to one job.

    Attributes:
        before: Where it was; None if it was nowhere.
        after: Where it is; None if it is nowhere.
    """

    before: Standing | None
    after: Standing | None

    @property
    def job_id(self) -> str:
        """The job's id; if an update has replaced it, that of the update."""
        standing = self.after or self.before
        assert standing is not None  # noqa: S101 - it was or is somewhere
        return standing.job_id

    @property
    def is_update(self) -> bool:
        """Whether a newer version of a unique job has taken its place."""
        both = self.before is not None and self.after is not None
        return both and self.before.job_id != self.after.job_id  # type: ignore[union-attr]

    def came_from(self, kind: Kind) -> bool:
        """Tell whether the job stood in such a place."""
        return self.before is not None and self.before.place.kind == kind

    def went_to(self, kind: Kind) -> bool:
        """Tell whether the job stands in such a place now."""
        return self.after is not None and self.after.place.kind == kind


@dataclass(frozen=True, slots=True)
class Change:
    """What one command has changed, all at once.

    Attributes:
        command: The name of the script or command; `EXPIRED` where a key has come to its end.
        pool: The pool that sent it, or "" for somebody outside.
        clock_s: The time on the sender's wall clock, epoch seconds.
        moves: What it did to jobs.
        keys: The keys that it may have written.
    """

    command: str
    pool: str
    clock_s: float
    moves: Sequence[Move]
    keys: Sequence[bytes]


class Run(NamedTuple):
    """A handler that runs, or did.

    Attributes:
        pool: The name of its pool.
        name: The job's name.
        job_id: The job's id.
        args: The args that it was given.
        fails: How often the job had failed before.
        options: The options of its handler.
        number: Tells runs apart.
    """

    pool: str
    name: str
    job_id: str
    args: Mapping[str, Any] | None
    fails: int
    options: JobOptions
    number: int


_Known: TypeAlias = "dict[bytes, tuple[str, Payload | None]]"


class Scene:
    """What stands in Redis and which handlers run, and who is to look at it.

    Args:
        server: The server.
        keys: The namespace.
        checkers: Who looks.
        clock_s: Returns the time on a pool's wall clock, epoch seconds; "" is nobody's.
        limit_of: Returns the limit that pools declare for a job.
        now_s: Returns the seconds since the world began.

    Attributes:
        keys: The namespace.
        jobs: Job id -> where it stands.
        running: The handlers that run, by number.
        violation: The first thing that was wrong, or None.
    """

    def __init__(
        self,
        server: SimulatedServer,
        keys: Keys,
        checkers: Iterable[Checker],
        *,
        clock_s: Callable[[str], float],
        limit_of: Callable[[str], int],
        now_s: Callable[[], float],
    ) -> None:
        self.keys = keys
        self.jobs: dict[str, list[Standing]] = {}
        self.running: dict[int, Run] = {}
        self.violation: Violation | None = None
        self.limit_of = limit_of
        self.now_s = now_s
        self._server = server
        self._clock_s = clock_s
        self._contents: dict[bytes, dict[bytes, float]] = {}
        self._places: dict[bytes, Place | None] = {}
        self._known: _Known = {}
        self._hosts: dict[str, str] = {}
        self._runs: dict[int, Run] = {}
        self._next_number = 0
        self._checkers = list(checkers)
        for checker in self._checkers:
            checker.watch(self)

    # What checkers ask.

    def read(self, *command: Any) -> Any:
        """Ask Redis something that changes nothing."""
        return self._server.read(command)

    def where(self, job_id: str) -> list[Standing]:
        """Return where a job stands: everywhere."""
        return self.jobs.get(job_id, [])

    def standing(self, kind: Kind, queue: str | None = None) -> list[Standing]:
        """Return the jobs that stand in places of a kind, of all queues or of one."""
        return [
            each
            for standings in self.jobs.values()
            for each in standings
            if each.place.kind == kind and queue in {None, each.place.queue}
        ]

    def held(self, queue: str) -> dict[str, int]:
        """Return how many jobs of a queue each pool holds, by pool id; only those that hold any."""
        held = {}
        for key, content in self._contents.items():
            place = self._places[key]
            if place is not None and place.kind == "in progress" and place.queue == queue:
                count = round(sum(content.values()))
                if count:
                    held[place.pool_id] = count
        return held

    def host(self, pool_id: str) -> str:
        """Return the name of the pool that has or had an id; "" if that is not known."""
        return self._hosts.get(pool_id, "")

    def queues(self) -> list[str]:
        """Return the names of all queues that ever held jobs."""
        places = (place for place in self._places.values() if place is not None)
        return sorted({place.queue for place in places if place.queue})

    def ends_s(self, key: bytes) -> float:
        """Return when a key comes to its end, seconds since the world began; infinity for never."""
        return self._server.ends_us(key) / 1_000_000

    def true_s(self) -> float:
        """Return the true time, epoch seconds, which pools may have wrong."""
        return self._clock_s("")

    def is_paused(self, queue: str) -> bool:
        """Tell whether a queue is paused."""
        return self.read("GET", self.keys.paused(queue)) not in {None, b"0"}

    # What the server tells.

    def wrote(self, who: object, sent: Command, keys: Sequence[bytes]) -> None:
        """Take in a command that has written."""
        if self.violation is not None:
            return
        command = command_name(sent)
        host = getattr(who, "host", None)
        pool = "" if host is None else host.name
        if command == "register":
            self._hosts[str(sent[2 + sent[1]])] = pool
        gone: list[Standing] = []
        came: list[Standing] = []
        for key in keys:
            place = self._place(key)
            if place is not None:
                self._compare(key, place, gone, came)
        for each in gone:
            standings = self.jobs[each.job_id]
            standings.remove(each)
            if not standings:
                del self.jobs[each.job_id]
        for each in came:
            self.jobs.setdefault(each.job_id, []).append(each)
        moves = _pair(gone, came) if gone or came else ()
        self._tell("changed", Change(command, pool, self._clock_s(pool), moves, keys))

    def _place(self, key: bytes) -> Place | None:
        try:
            return self._places[key]
        except KeyError:
            place = self._places[key] = self._read_place(key)
            return place

    def _read_place(self, key: bytes) -> Place | None:
        keys = self.keys
        if key in {keys.retry, keys.scheduled, keys.dead}:
            kinds: dict[bytes, Kind] = {
                keys.retry: "retry", keys.scheduled: "scheduled", keys.dead: "dead",
            }  # fmt: skip
            return Place(kinds[key])
        held = keys.parse_inprogress(key)
        if held is not None:
            return Place("in progress", *held)
        queue = keys.parse_jobs(key)
        return Place("queued", queue) if queue is not None else None

    def _compare(
        self, key: bytes, place: Place, gone: list[Standing], came: list[Standing]
    ) -> None:
        before = self._contents.get(key, {})
        after = self._content(key, is_list=bool(place.queue))
        if before == after:
            return
        self._contents[key] = after
        if place.queue:
            for raw in before.keys() | after.keys():
                count = round(after.get(raw, 0) - before.get(raw, 0))
                if count:
                    standing = self._standing(raw, place, 0.0)
                    (came if count > 0 else gone).extend([standing] * abs(count))
            return
        for raw, score in before.items() - after.items():
            gone.append(self._standing(raw, place, score))
        for raw, score in after.items() - before.items():
            came.append(self._standing(raw, place, score))

    def _content(self, key: bytes, *, is_list: bool) -> dict[bytes, float]:
        if is_list:
            raws = self._server.peek(("LRANGE", key, 0, -1))
            return dict(Counter(raws)) if isinstance(raws, list) else {}
        found = self._server.peek(("ZRANGE", key, 0, -1, "WITHSCORES"))
        if not isinstance(found, list):
            return {}
        pairs = found if found and isinstance(found[0], list) else zip(*[iter(found)] * 2)  # noqa: B905 - even
        return {raw: float(score) for raw, score in pairs}

    def _standing(self, raw: bytes, place: Place, score: float) -> Standing:
        known = self._known.get(raw)
        if known is None:
            known = self._known[raw] = identify(raw)
        return Standing(known[0], raw, known[1], place, score)

    def expired(self, key: bytes) -> None:
        """Take note that a key has come to the end of its life."""
        self._tell("changed", Change(EXPIRED, "", self._clock_s(""), (), (key,)))

    def wiped(self) -> None:
        """Take note that the server has lost everything."""
        self._contents.clear()
        self.jobs.clear()
        self._tell("wiped")

    # What handlers do.

    def started(self, pool: str, execution: Execution) -> None:
        """Take note that a handler starts."""
        self._next_number += 1
        payload = execution.payload
        run = Run(
            pool, payload.name, payload.id, execution.job.args, payload.fails, execution.options,
            self._next_number,
        )  # fmt: skip
        self._runs[id(execution)] = self.running[run.number] = run
        self._tell("started", run)

    def ended(self, execution: Execution, error: BaseException | None) -> None:
        """Take note that a handler has ended."""
        run = self._runs.pop(id(execution))
        if self.running.pop(run.number, None) is not None:
            self._tell("ended", run, error)

    def crashed(self, pool: str) -> None:
        """Take note that a pool's process is gone, and its handlers with it."""
        self.running = {number: run for number, run in self.running.items() if run.pool != pool}
        self._tell("crashed", pool)

    # Looking.

    def come_to_rest(self) -> None:
        """Have everybody look at a world that should be at rest."""
        self._tell("at_rest")

    def _tell(self, what: str, *arguments: Any) -> None:
        if self.violation is not None:
            return
        try:
            for checker in self._checkers:
                getattr(checker, what)(*arguments)
        except Violation as violation:
            # Not raised here: handlers, and pools, would take it for an error of theirs.
            self.violation = violation


def identify(raw: bytes) -> tuple[str, Payload | None]:
    """Return what checkers call a job, and the job; of other bytes the bytes, and None."""
    try:
        job = wire.read(raw)
    except Undecodable:
        return raw.decode("utf-8", "replace"), None
    buried = wire.restore_undecodable(job.job(raw))
    return (job.id, job) if buried is None else (buried.decode("utf-8", "replace"), job)


def _pair(gone: Iterable[Standing], came: Iterable[Standing]) -> list[Move]:
    """Say which jobs that came somewhere are those that were gone elsewhere."""
    left: dict[str, list[Standing]] = {}
    for each in gone:
        left.setdefault(each.job_id, []).append(each)
    moves = []
    new: list[Standing] = []
    for each in came:
        if left.get(each.job_id):
            moves.append(Move(left[each.job_id].pop(), each))
        else:
            new.append(each)
    lost = [each for standings in left.values() for each in standings]
    for each in new:
        # An update replaces the job that waited for it, in the list of the pool that begins it.
        replaced = [old for old in lost if old.place == each.place and old.place.pool_id]
        if replaced:
            lost.remove(replaced[0])
        moves.append(Move(replaced[0] if replaced else None, each))
    return moves + [Move(each, None) for each in lost]
