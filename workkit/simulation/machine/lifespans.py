"""The lifespans of one simulated process: async ones on its loop, sync ones on stacks."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from workkit.engine.handling.lifespans import Lifespan, Visit, report_failure
from workkit.engine.handling.values import Values
from workkit.errors import LifespanFailed
from workkit.simulation.machine.loop import VirtualLoop

__all__ = ["SimulatedLives"]


class _Life:
    """One lifespan during the life of a process, in a task of its own."""

    def __init__(self, lifespan: Lifespan, loop: VirtualLoop) -> None:
        self._visit = Visit(lifespan)
        self._is_async = lifespan.is_async
        self._loop = loop
        self._leave = loop.create_future()
        self.entered = loop.create_future()
        self.task = loop.create_task(self._live())

    def ask(self) -> None:
        """Ask it to go on behind its yield."""
        if not self._leave.done():
            self._leave.set_result(None)

    async def _live(self) -> LifespanFailed | None:
        """Run it; return its error."""
        try:
            self.entered.set_result(await self._enter())
            thrown: BaseException | None = None
            try:
                await self._leave
            except BaseException as error:  # noqa: BLE001 - its generator decides what it means
                thrown = error
            await self._go_on(thrown)
        except LifespanFailed as error:
            if not self.entered.done():
                self.entered.set_exception(error)
            elif not self._leave.done():
                report_failure(error, " while the pool ran")
            return error
        return None

    async def _enter(self) -> Any:
        if self._is_async:
            return await self._visit.enter_async()
        values: list[Any] = []
        await self._loop.run_on_thread(lambda: values.append(self._visit.enter()))
        return values[0]

    async def _go_on(self, thrown: BaseException | None) -> None:
        if self._is_async:
            await self._visit.leave_async(thrown)
        else:
            await self._loop.run_on_thread(self._visit.leave)


class SimulatedLives:
    """All lifespans of one process.

    Args:
        lifespans: In the order in which they are entered.
        values: Receives what they yield.
        loop: The loop of the process.
    """

    def __init__(self, lifespans: Sequence[Lifespan], values: Values, loop: VirtualLoop) -> None:
        self._lifespans = lifespans
        self._values = values
        self._loop = loop
        self._lives: list[_Life] = []

    def enter(self, then: Callable[[LifespanFailed | None], object]) -> None:
        """Enter all, one after the other.

        Args:
            then: Told the error of the one that has failed, once the others are left; or None.
        """
        self._do(self._enter, then)

    def leave(self, then: Callable[[LifespanFailed | None], object]) -> None:
        """Leave all, the last first.

        Args:
            then: Told the first error, or None, once all are left.
        """
        self._do(self._leave, then)

    def _do(
        self,
        work: Callable[[], Coroutine[Any, Any, LifespanFailed | None]],
        then: Callable[[LifespanFailed | None], object],
    ) -> None:
        if not self._lifespans:  # no event of the world more than without lifespans
            then(None)
            return

        async def do() -> None:
            then(await work())

        contextvars.Context().run(self._loop.create_task, do())

    async def _enter(self) -> LifespanFailed | None:
        for lifespan in self._lifespans:
            life = _Life(lifespan, self._loop)
            try:
                self._values.add(await life.entered)
            except LifespanFailed as error:
                await self._leave()
                return error
            self._lives.append(life)
        return None

    async def _leave(self) -> LifespanFailed | None:
        failed = []
        while self._lives:
            life = self._lives.pop()
            life.ask()
            if (error := await life.task) is not None:
                report_failure(error)
                failed.append(error)
        self._values.clear()
        return failed[0] if failed else None
