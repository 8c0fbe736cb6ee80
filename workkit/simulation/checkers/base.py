"""The base class of checkers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from workkit.simulation.checkers.chance import Tally
from workkit.simulation.checkers.moves import HandlerRun, RedisChange
from workkit.simulation.checkers.scene import Scene
from workkit.simulation.checkers.violation import Violation

__all__ = ["Checker"]


class Checker:
    """Watches a world and reports a broken rule.

    It sees the contents of Redis after every command, and starts and ends of handlers; it sees
    nothing of the engine. Write your own by overriding the methods that you need, and call
    `violated`::

        class AtMostTenMails(Checker):
            rule = "at most ten mails wait"

            def changed(self, change):
                if len(self.scene.standing("queued", "send_email")) > 10:
                    self.violated("there are more")

    Attributes:
        rule: The rule, in a few words.
        scene: The present contents of Redis and the running handlers.
    """

    rule = ""
    scene: Scene

    def watch(self, scene: Scene) -> None:
        """Attach the world to watch; called once, before anything happens."""
        self.scene = scene

    def hears(self, what: str) -> bool:
        """Tell whether it has a method of its own for something that it may be told."""
        return what in vars(self) or getattr(type(self), what) is not getattr(Checker, what)

    def changed(self, change: RedisChange) -> None:
        """A command has changed something."""

    def started(self, run: HandlerRun) -> None:
        """A handler starts."""

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """A handler has ended."""

    def crashed(self, pool: str) -> None:
        """A pool's process has crashed, and its handlers with it."""

    def stopping(self, pool: str, timeout_s: float | None) -> None:
        """A pool is asked to stop; it returns its jobs after `timeout_s`, or waits for them."""

    def left(self, pool: str) -> None:
        """A pool's process has ended by itself, such as after a stop."""

    def told(self, pool: str, event: str, arguments: Sequence[Any]) -> None:
        """A pool calls the hooks of an event: "failed", "dead" or "reaped"."""

    def heard(self, pool: str, what: str, report: Any) -> None:
        """The observers of a pool hear "executed", "requeued" or "reaped"; see `PoolObserver`."""

    def asked(self, asked: Any) -> None:
        """A caller has enqueued a job with a delay or a unique key; see `Asked`."""

    def wiped(self) -> None:
        """Redis has lost everything."""

    def at_rest(self) -> None:
        """The world should be at rest: no fault for a long time, and no job is due."""

    def tallies(self) -> dict[str, Tally]:
        """Return what chance has decided in this world; `explore` adds up all worlds.

        A rule that a small fault breaks only in many worlds together returns its sums here, by a
        name for each, such as "the share of 'send_email'".
        """
        return {}

    def violated(self, what: str, job_id: str = "") -> NoReturn:
        """Report that the rule is broken.

        Args:
            what: The event that breaks it.
            job_id: The job concerned, for the timeline.

        Raises:
            Violation: Always.
        """
        raise Violation(self.rule, what, job_id)
