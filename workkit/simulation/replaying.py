"""Worlds from production: the jobs that history shows, with the real engine, on another fleet."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from workkit.core.entropy import Entropy
from workkit.core.options import HistoryOptions
from workkit.errors import PoolState, ServerError
from workkit.simulation.machine.world import microseconds
from workkit.simulation.performing import Performing
from workkit.simulation.pool import SimulatedPool
from workkit.simulation.replay.fleet import read_fleet, read_pause_ms, read_pickup_ms, sized
from workkit.simulation.replay.past import Arrival, Past, read_past
from workkit.simulation.replay.script import Script
from workkit.simulation.replay.what_if import BackoffIf, Moment, WhatIf, check_comes
from workkit.store.calls.enqueue import enqueue_one
from workkit.store.keys import Keys

if TYPE_CHECKING:
    from workkit.client import Client
    from workkit.engine.handling.execution import Execution
    from workkit.frames.sources import Source
    from workkit.frames.times import Time

__all__ = ["Replaying"]

#: The pools start this long before the first job arrives, seconds.
_HEAD_START_S: Final = 5
#: Enqueuers try again after this long while Redis is away.
_AGAIN_S: Final = 1.0
#: A deploy gives each pool this long for the jobs that run, seconds.
_STOP_S: Final = 30.0
#: A fleet that has not run all jobs this long after history ends is too small, seconds.
_LATEST_S: Final = 2 * 86_400
#: More records than any replay writes.
_RECORDS: Final = 10**9
_TOLD_EVERY: Final = 200


class Replaying(Performing):
    """The part of a simulation that plays recorded history again."""

    seed: int | str
    keys: Keys
    redis: Any
    client: Client
    _past: Past | None = None
    _script: Script | None = None
    _recorded: Any = None
    #: Jobs that have not arrived yet, the next one first.
    _coming: deque[Arrival]
    #: How long after its arrival the fleet learns of a job, milliseconds.
    _pickup_ms = 0

    if TYPE_CHECKING:

        def __init__(self, seed: int | str = 0, **options: Any) -> None: ...

        def at(
            self, seconds: float, action: Callable[..., object], /, *args: Any, **keywords: Any
        ) -> None:
            """Call an action at a time."""

        def run_for(self, seconds: float = 0) -> None:
            """Run the world for this much virtual time."""

        def stop_redis(self, seconds: float) -> None:
            """Stop Redis for a while."""

    @classmethod
    def from_history(
        cls,
        source: Source | Any,
        *,
        seed: int | str = 0,
        since: Time | None = None,
        until: Time | None = None,
        concurrency: int | None = None,
        processes: int | None = None,
        limits: Mapping[str, int] | None = None,
        priorities: Mapping[str, int] | None = None,
        backoff: BackoffIf = None,
        outage: Sequence[tuple[Moment, float | str]] | tuple[Moment, float | str] = (),
        deploy: Sequence[Moment] | Moment = (),
        **options: Any,
    ) -> Self:
        """Make a world in which the jobs of a history run again; `replay` plays it.

            with Simulation.from_history("/var/lib/workkit/history", concurrency=40) as sim:
                predicted = sim.replay()
            frames.latency_quantiles(predicted)

        Jobs arrive, run and fail as recorded, under their ids. The fleet is the one that history
        shows; each keyword changes one thing. The world begins when the first job arrived, so that
        times can be compared.

        Args:
            source: A `Client`, a snapshot or its path, the directory of an archive, or a frame of
                history or its file.
            seed: The seed of all random choices.
            since: Only executions that ended then or later; see `frames.history`.
            until: Only executions that ended before.
            concurrency: How many handlers each pool runs at once.
            processes: How many pools handle each job.
            limits: Name -> `max_concurrency`. By default those of a `Client` or a snapshot, and
                none for an archive or a frame, since history does not record them.
            priorities: Name -> the weight of its queue; 1 by default, since Redis does not have it.
            backoff: Seconds until the next try, a function of the job, or "default"; by default
                the recorded delays.
            outage: When Redis is away and for how long, such as ``("3h", "10m")``, or several such
                pairs. A time is seconds or a span since the beginning, or a time with a zone.
            deploy: When all pools are started again, one after the other, or several such times.
            **options: Options of `Simulation`, such as `checkers`.

        Raises:
            MissingExtra: pandas is not installed.
            InvalidOption: The source has no history, or a change is not valid.
            ServerError: Redis did not answer or refused.
        """
        what_if = WhatIf(
            concurrency=concurrency, processes=processes, limits=limits,
            priorities=priorities or {}, backoff=backoff, outage=outage, deploy=deploy,  # type: ignore[arg-type] # one or several
        )  # fmt: skip
        return cls._from_past(source, what_if, seed, since, until, options)

    @classmethod
    def _from_past(
        cls,
        source: Source | Any,
        what_if: WhatIf,
        seed: int | str,
        since: Time | None,
        until: Time | None,
        options: Mapping[str, Any],
    ) -> Self:
        from workkit.frames.any_history import any_history
        from workkit.frames.sources import reader_of

        frame = any_history(source, since=since, until=until)
        past = read_past(frame)
        reader = reader_of(source)
        if what_if.limits is None and reader is not None:
            found = {queue.job_name: queue.max_concurrency for queue in reader.queues()}
            limits = {name: found[name] for name in past.run_times_s if found.get(name)}
            what_if = replace(what_if, limits=limits)
        what_if.check_names(frozenset(past.run_times_s))
        start_s = math.floor(past.start_ms / 1_000) - _HEAD_START_S
        outages, deploys = what_if.outages(start_s), what_if.deploys(start_s)
        lasts_s = past.end_ms / 1_000 - start_s
        check_comes("outage", [at_s for at_s, _ in outages], lasts_s)
        check_comes("deploy", deploys, lasts_s)
        sim = cls(seed, start=start_s, **options)
        sim._prepare(past, what_if, frame, read_pause_ms(frame))
        groups = read_fleet(frame, reader)
        sim._pickup_ms = read_pickup_ms(frame, groups)
        sim._add_pools(sized(groups, what_if.concurrency, what_if.processes), what_if)
        for at_s, for_s in outages:
            sim.at(at_s, sim.stop_redis, for_s)
        for at_s in deploys:
            sim.at(at_s, sim._deploy)
        return sim

    def _prepare(self, past: Past, what_if: WhatIf, frame: Any, pause_ms: float) -> None:
        self._past, self._recorded = past, frame
        self._script = Script(
            past, what_if, Entropy(f"{self.seed}/replay"), pause_s=pause_ms / 1_000
        )
        self._coming = deque(past.arrivals)

    def _add_pools(self, groups: Sequence[Any], what_if: WhatIf) -> None:
        script, past = self._replayed()
        keeps_args = any(arrival.args is not None for arrival in past.arrivals)
        history = HistoryOptions(max_records=_RECORDS, max_mb=None, args=keeps_args)
        handler, backoff = script.handler(), script.backoff()
        for group in groups:
            for concurrency in group.concurrency:
                pool = self.pool(concurrency=concurrency, history=history)
                for name in sorted(group.names & past.run_times_s.keys()):
                    pool.job(
                        name, handler, takes=script.takes, backoff=backoff, max_fails=2**31,
                        priority=what_if.priorities.get(name, 1),
                        max_concurrency=(what_if.limits or {}).get(name, 0),
                    )  # fmt: skip

    @property
    def recorded(self) -> Any:
        """The frame of history that the world plays again.

        Raises:
            PoolState: The world does not come from a history.
        """
        self._replayed()
        return self._recorded

    def replay(self, *, told: Callable[[int, int], None] | None = None) -> Any:
        """Run the world until all recorded runs have ended, and return its history.

        Args:
            told: Receives how many runs have ended, and how many there are.

        Returns:
            A frame like that of `frames.history`. `attrs` says how many runs have not ended two
            days after the last recorded one ("unfinished"), since the fleet is too small; and how
            many records were left out, since no handler ran to its end ("left_out").

        Raises:
            PoolState: The world does not come from a history.
        """
        from workkit.frames import history

        script, past = self._replayed()
        self._schedule_arrival()
        said = script.left

        def over() -> bool:
            nonlocal said
            if told is not None and said - script.left >= _TOLD_EVERY:
                said = script.left
                told(past.runs - script.left, past.runs)
            return not script.left

        within_s = (past.end_ms - past.start_ms) / 1_000 + _LATEST_S
        end_us = self.world.now_us + microseconds(within_s)
        self.world.at(end_us, _nothing)  # else time might stop before it, with the last event
        with _quiet():
            self.run_until(lambda: over() or self.world.now_us >= end_us, within=within_s + 1)
            self.run_for(1)  # the last outcomes reach Redis
        frame = script.without_pauses(history(self.client))
        frame.attrs |= {"unfinished": script.left, "left_out": past.left_out}
        return frame

    def _replayed(self) -> tuple[Script, Past]:
        if self._script is None or self._past is None:
            raise PoolState("this world does not come from a history; see Simulation.from_history")
        return self._script, self._past

    def handler_ended(self, where: str, execution: Execution, error: BaseException | None) -> None:
        """Report that a handler has ended; in a replay, its next run is the next of the past."""
        super().handler_ended(where, execution, error)
        if self._script is not None:
            self._script.ended(execution, error)

    # Arrivals.

    def _schedule_arrival(self) -> None:
        if self._coming:
            at_ms = self._coming[0].at_ms + self._pickup_ms - self.world.start_ms
            at_us = at_ms * 1_000
            self.world.at(max(at_us, self.world.now_us), self._arrive)

    def _arrive(self) -> None:
        """Enqueue the next job, and every other that arrives at the same time."""
        known_ms = self.world.start_ms + self.world.now_us // 1_000 - self._pickup_ms
        while self._coming and self._coming[0].at_ms <= known_ms:
            arrival = self._coming[0]
            trip = enqueue_one(self.keys, arrival.name, Script.payload(arrival))
            try:
                self.redis.workkit_carrier.carry(iter(trip))
            except ServerError:
                self.world.after(microseconds(_AGAIN_S), self._arrive)
                return
            self._coming.popleft()
        self._schedule_arrival()

    # Deploys.

    def _deploy(self) -> None:
        self.trace.add("pool", "", does="deploy")
        self._replace(list(self.pools))

    def _replace(self, pools: list[SimulatedPool]) -> None:
        """Stop the first pool; when it has stopped, start it, and go on with the others."""
        if not pools:
            return
        pool, *others = pools
        if not pool.running:
            pool.start()
            self._replace(others)
            return
        pool.stop(_STOP_S)
        self._await_end(pool, others)

    def _await_end(self, pool: SimulatedPool, others: list[SimulatedPool]) -> None:
        if pool.running:
            self.world.after(microseconds(0.1), self._await_end, pool, others)
        else:
            pool.start()
            self._replace(others)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the engine's log: the failures of the past were logged when they happened."""
    log = logging.getLogger("workkit")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _nothing() -> None:
    """Do nothing at a time."""
