"""Where the calls of a registry go: to a server, or to a test that takes its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from workkit.errors import PoolState

if TYPE_CHECKING:
    from workkit.enqueuer import AsyncEnqueuer, Enqueuer
    from workkit.store.connections.target import RedisLike
    from workkit.tasks.registry import Tasks
    from workkit.tasks.testing import Inline, RecordedCall, Recorder

__all__ = ["Outlets"]

#: The server of a registry that has none: nothing is sent there, and nothing could be.
_NOWHERE: Final = ("work", "redis://tests-need-no-server.invalid:1")


class Outlets:
    """The part of a registry that knows where its calls go."""

    _server: tuple[str, RedisLike, dict[str, Any]] | None

    @property
    def connected_to(self) -> tuple[str, RedisLike] | None:
        """The namespace and the server of `Tasks.connect`; None if it was not called."""
        return self._server[:2] if self._server is not None else None

    # For tests.

    @contextmanager
    def inline(self, *resources: object, everywhere: bool = False) -> Iterator[list[RecordedCall]]:
        """Run jobs of this registry at once, where they are enqueued, without a server.

        Every form of enqueuing runs the job, also one that would be due later, by `Task.enqueue`
        and by any `Enqueuer`. The args are encoded to JSON and read back. What the function raises,
        the caller gets, `Retry` and `Fail` too; `Discard` ends the job. Nothing is tried again.
        docs/testing.md has the details.

        Args:
            *resources: What parameters get that a lifespan provides in a pool.
            everywhere: Whether jobs count from the whole process. By default only those of this
                thread or task count, and of tasks and threads that copy its context.

        Yields:
            The jobs so far.
        """
        from workkit.tasks.testing import Inline

        with _open(Inline(cast("Tasks", self), resources), everywhere=everywhere) as calls:
            yield calls

    @contextmanager
    def recorded(self, *, everywhere: bool = False) -> Iterator[list[RecordedCall]]:
        """Collect the jobs of this registry that are enqueued, without running them or a server.

        As with a server, the duplicate of a unique job is not enqueued. docs/testing.md has the
        details.

        Args:
            everywhere: As for `inline`.

        Yields:
            The jobs so far; clear the list to begin again.
        """
        from workkit.tasks.testing import Recorder

        with _open(Recorder(cast("Tasks", self)), everywhere=everywhere) as calls:
            yield calls

    def _without_server(self) -> Enqueuer:
        """Return an enqueuer for a test; tests do not connect their registry.

        Raises:
            PoolState: The caller is not in such a test.
        """
        from workkit.enqueuer import Enqueuer

        self._refuse_unconnected()
        return Enqueuer(*_NOWHERE)

    def _without_server_async(self) -> AsyncEnqueuer:
        from workkit.enqueuer import AsyncEnqueuer

        self._refuse_unconnected()
        return AsyncEnqueuer(*_NOWHERE)

    def _refuse_unconnected(self) -> None:
        from workkit.enqueuer.capturing import captures
        from workkit.tasks.testing import TestMode

        modes = [each for each in captures() if isinstance(each, TestMode)]
        if not any(mode.tasks is self and mode.is_open for mode in modes):
            raise PoolState(
                "the tasks are not connected to a server: call tasks.connect(namespace, url) once, "
                "or give task.call(...) to an enqueuer; tests use tasks.inline() or "
                "tasks.recorded()"
            )


@contextmanager
def _open(mode: Inline | Recorder, *, everywhere: bool) -> Iterator[list[RecordedCall]]:
    from workkit.enqueuer.capturing import capturing

    with capturing(mode, everywhere=everywhere):
        try:
            yield mode.calls
        finally:
            mode.is_open = False
