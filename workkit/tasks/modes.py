"""The part of a registry for tests, in which something takes the place of a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from workkit.tasks.registry import Tasks
    from workkit.tasks.testing import Inline, RecordedCall, Recorder

__all__ = ["Modes"]


class Modes:
    """The modes of a registry."""

    @contextmanager
    def inline(self, *resources: object, everywhere: bool = False) -> Iterator[list[RecordedCall]]:
        """Run jobs of this registry at once, where they are enqueued, without a server.

        Every form of enqueuing runs the job, also one that would be due later, by `Task.enqueue`
        and by any `Enqueuer`. The args are encoded to JSON and read back. The caller gets the
        errors of the function, `Retry` and `Fail` too; `Discard` ends the job. Nothing is tried
        again.
        docs/testing.md has the details.

        Args:
            *resources: The objects for parameters that a lifespan provides in a pool.
            everywhere: Whether jobs count from the whole process. By default only those of this
                thread or task count, and of tasks and threads that copy its context.

        Yields:
            The jobs so far.
        """
        from workkit.tasks.testing import Inline

        mode = Inline(cast("Tasks", self), resources)
        with _open(mode, everywhere=everywhere) as calls:
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


@contextmanager
def _open(mode: Inline | Recorder, *, everywhere: bool) -> Iterator[list[RecordedCall]]:
    from workkit.enqueuer.capturing import capturing

    with capturing(mode, everywhere=everywhere):
        try:
            yield mode.calls
        finally:
            mode.is_open = False
