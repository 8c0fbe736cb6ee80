"""Drives the engine's own parts by hand: one step at a time, on a clock that the test moves.

A `StepPool` is a real pool without threads: the same dispatcher and duties, a runner that runs a
handler when the test says so, and a connection that can lose replies or deliver commands late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from workkit import WorkerPool
from workkit.core.clock import Instant
from workkit.core.current import RUNNING
from workkit.core.entropy import Entropy
from workkit.core.stacks import StackFrame
from workkit.engine.dispatch.dispatcher import Rest
from workkit.engine.duties.duty import Duty
from workkit.engine.engine import Engine
from workkit.engine.handling.execution import Execution
from workkit.engine.process.sources import Sources
from workkit.errors import ServerUnavailable
from workkit.store.connections.link import Link
from workkit.store.connections.target import Target
from workkit.store.round_trip import Command, RoundTrip, Step

__all__ = ["FakeClock", "FaultyLink", "ManualRunner", "StepPool"]

R = TypeVar("R")

START_MS = 1_800_000_000_000


class FakeClock:
    """A clock that stands still until the test moves it."""

    def __init__(self, epoch_ms: int = START_MS) -> None:
        self.epoch_ms = epoch_ms
        self.monotonic_s = 1_000.0

    def read(self) -> Instant:
        return Instant(self.epoch_ms, self.monotonic_s)

    @property
    def now_s(self) -> int:
        return self.epoch_ms // 1000

    def advance(self, seconds: float) -> None:
        """Move both clocks."""
        self.epoch_ms += round(seconds * 1000)
        self.monotonic_s += seconds

    def skewed(self, seconds: float) -> FakeClock:
        """Return a clock of another host, which is this much ahead."""
        clock = FakeClock(self.epoch_ms + round(seconds * 1000))
        clock.monotonic_s = self.monotonic_s + 77
        return clock


class FaultyLink(Link):
    """A connection whose next exchange can go wrong."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._next: str = ""
        self.late: list[Sequence[Command]] = []
        self.sent: list[Sequence[Command]] = []
        self.label = target.label

    def lose_reply(self) -> None:
        """Let the next exchange happen, and lose its reply."""
        self._next = "lose"

    def drop(self) -> None:
        """Lose the next exchange before it happens."""
        self._next = "drop"

    def delay(self) -> None:
        """Lose the reply of the next exchange, and let it happen only at `deliver_late`."""
        self._next = "delay"

    def behave(self) -> None:
        """Take back a fault that has not struck."""
        self._next = ""

    def deliver_late(self) -> list[Any]:
        """Let the delayed exchange happen now; nobody reads its reply but the test."""
        return super().send(self.late.pop(0))

    def send(
        self, commands: Sequence[Command], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        fault, self._next = self._next, ""
        self.sent.append(commands)
        if fault == "drop":
            raise ServerUnavailable("dropped by the test")
        if fault == "delay":
            self.late.append(commands)
            raise ServerUnavailable("delayed by the test")
        replies = super().send(commands, meanwhile)
        if fault == "lose":
            raise ServerUnavailable("reply lost by the test")
        return replies


class ManualRunner:
    """Runs a handler when the test says so; `concurrency` is the test's own business."""

    def __init__(
        self,
        worker_ids: Sequence[str],
        done: Callable[[Execution], None],
        clock: FakeClock,
        entropy: Entropy,
    ) -> None:
        self._free = deque(worker_ids)
        self._done = done
        self._clock = clock
        self._entropy = entropy
        self.waiting: deque[Execution] = deque()
        self.running: list[Execution] = []
        self.interrupted: list[Execution] = []
        self.given_up: list[Execution] = []

    def submit(self, executions: Sequence[Execution]) -> None:
        self.waiting.extend(executions)

    @property
    def starved(self) -> bool:
        return not self.waiting

    fault = ""
    short = False

    @property
    def capacity(self) -> int:
        return len(self._free) + len(self.running)

    def runs_here(self) -> bool:
        return False

    def staff(self) -> None: ...

    def withdraw(self) -> list[Execution]:
        taken = list(self.waiting)
        self.waiting.clear()
        return taken

    def interrupt(self, execution: Execution) -> None:
        self.interrupted.append(execution)

    def abandon(self, execution: Execution) -> None:
        self.given_up.append(execution)

    def stack(self, execution: Execution) -> list[StackFrame]:
        """Run nothing whose stack could be told."""
        del execution
        return []

    def abandoned(self) -> int:
        return len(self.given_up)

    def close(self, *, wait_s: float) -> None:
        del wait_s

    def begin(self) -> Execution:
        """Let the next handler start and stay in it."""
        execution = self.waiting.popleft()
        execution.start(self._free.pop(), self._clock)
        self.running.append(execution)
        return execution

    def end(self, execution: Execution, error: BaseException | None = None) -> None:
        """Let a handler that was begun end without running its code."""
        self.running.remove(execution)
        failure = execution.examine(error, self._clock, self._entropy)
        execution.finish(failure, self._clock)
        self._free.append(execution.worker_id)
        self._done(execution)

    def run(self, execution: Execution | None = None) -> Execution:
        """Run a handler to its end: one that was begun, or the next that waits."""
        execution = execution or self.begin()
        error: BaseException | None = None
        token = RUNNING.set(execution.payload)
        try:
            if execution.watched is None:
                execution.chain.run(execution.job, None)
            else:
                execution.watched.run(execution.chain.run, execution.job, None)
        except Exception as raised:  # noqa: BLE001 - what a handler raises is the test's matter
            error = raised
        finally:
            RUNNING.reset(token)
        self.end(execution, error)
        return execution


class StepPool:
    """A pool whose every move is made by the test.

    Args:
        pool: What was registered; it is never started.
        url: The server.
        clock: The pool's clock.
        seed: Of the pool's entropy.
    """

    def __init__(self, pool: WorkerPool, url: str, clock: FakeClock, seed: int = 1) -> None:
        self.clock = clock
        self.link = FaultyLink(Target.of(url))
        entropy = Entropy(seed)
        runners: list[ManualRunner] = []

        def make(
            ids: Sequence[str], done: Callable[[Execution], None], _sources: Sources
        ) -> ManualRunner:
            runners.append(ManualRunner(ids, done, clock, entropy))
            return runners[0]

        self.engine = Engine(
            pool.spec, Sources(clock, entropy), make_runner=make, notify=lambda: None
        )
        self.runner = runners[0]
        self._duties: dict[str, Duty] = {duty.name: duty for duty in self.engine.duties}
        self._duties["heartbeat"] = self.engine.heartbeat

    @property
    def id(self) -> str:
        """The pool's present id."""
        return self.engine.identity.pool_id

    def do(self, exchange: RoundTrip[R]) -> R:
        """Carry out any exchange on this pool's connection."""
        return self.link.do(exchange)

    def step(self, step: Step[R]) -> R:
        """Carry out any step on this pool's connection."""
        return self.link.carry(step)

    def start(self) -> StepPool:
        """Register the pool."""
        self.step(self.engine.dispatcher.register())
        return self

    def turn(self) -> Rest:
        """Let the dispatcher settle, claim and begin; one with free workers looks around first."""
        dispatcher = self.engine.dispatcher
        rest = self.step(dispatcher.turn())
        if rest.for_s > 0 and rest.listen and dispatcher.looked(self.do(dispatcher.look())):
            rest = self.step(dispatcher.turn())
        return rest

    def duty(self, name: str) -> float:
        """Let a duty have one turn: heartbeat, requeuer, observer, periodic, reaper, reconciler."""
        return self.step(self._duties[name].step(self.clock.read()))

    def claim(self) -> list[Execution]:
        """Have a turn, and return what waits to be run then."""
        self.turn()
        return list(self.runner.waiting)

    def work(self, most: int = 1_000) -> list[Execution]:
        """Have turns and run handlers until there is nothing left to do now."""
        ran: list[Execution] = []
        for _ in range(most):
            rest = self.turn()
            while self.runner.waiting:
                ran.append(self.runner.run())
            settled = not (self.engine.dispatcher.has_finished or self.engine.ledger.outbox)
            if rest.for_s > 0 and settled:
                return ran
        raise AssertionError(f"the pool does not come to rest; it ran {len(ran)} jobs")

    def watch(self, seconds: float, *, every_s: float = 2.0) -> None:
        """Let the reaper look on while time passes."""
        passed = 0.0
        self.duty("reaper")
        while passed < seconds:
            self.clock.advance(every_s)
            passed += every_s
            self.duty("reaper")

    def close(self) -> None:
        """Close the connection; what the pool holds stays in Redis, as after a crash."""
        self.link.close()
