"""Calls the hooks of a simulated pool in virtual time."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from typing import Any

from workkit.engine.handling.events import Events
from workkit.engine.handling.results import awaited, is_value, label
from workkit.simulation.machine.host import Host
from workkit.simulation.machine.loop import VirtualLoop

__all__ = ["WorldEvents", "call_in_time"]


class WorldEvents(Events):
    """Calls the hooks of a pool in virtual time.

    Args:
        hooks: Event -> its hooks.
        host: The host of the pool.
        failed: Called with a hook that has failed, and its error.
        called: Called with the name of the pool, an event and its arguments.
    """

    def __init__(
        self,
        hooks: dict[str, list[Callable[..., Any]]],
        host: Host,
        failed: Callable[[Callable[..., Any], BaseException], None],
        called: Callable[[str, str, Sequence[Any]], None],
    ) -> None:
        super().__init__()
        self.hooks = hooks
        self._host = host
        self._failed = failed
        self._called = called

    def tell(self, name: str, *arguments: Any) -> None:
        """Call the hooks of an event."""
        self._called(self._host.name, name, arguments)
        for hook in self.hooks[name]:
            self._host.soon(self._call, hook, *arguments)

    def _call(self, hook: Callable[..., Any], *arguments: Any) -> None:
        assert self.loop is not None  # noqa: S101 - a life has one

        def ended(error: BaseException | None) -> None:
            if error is not None:
                self._failed(hook, error)

        loop: Any = self.loop()
        call_in_time(hook, arguments, loop, ended)


def call_in_time(
    hook: Callable[..., Any],
    arguments: Sequence[Any],
    loop: VirtualLoop,
    then: Callable[[BaseException | None], object],
) -> None:
    """Call a hook on a stack of its own, and await its result, in virtual time.

    Args:
        hook: The hook.
        arguments: Its arguments.
        loop: The event loop that awaits the result.
        then: Called with the exception of the hook, or None, when it has ended.
    """
    own = contextvars.Context()
    results: list[Any] = []

    async def wait() -> None:
        try:
            await awaited(results[0], hook, "the hook")
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001
            then(error)
        else:
            then(None)

    def ended(error: BaseException | None) -> None:
        if error is not None or is_value(results[0]):
            then(error)
        else:
            own.run(loop.create_task, wait())

    loop.call_on_stack(
        lambda: results.append(own.run(hook, *arguments)), f"the hook {label(hook)}", ended
    )
