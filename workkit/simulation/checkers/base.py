"""What a checker is."""

from __future__ import annotations

from typing import NoReturn

from workkit.simulation.checkers.moves import HandlerRun, RedisChange
from workkit.simulation.checkers.scene import Scene
from workkit.simulation.checkers.violation import Violation

__all__ = ["Checker"]


class Checker:
    """Watches a world and says when something is wrong.

    It sees what stands in Redis, after every command, and when handlers start and end; nothing of
    the engine. Make your own by overriding the methods that you need, and calling `violated`::

        class AtMostTenMails(Checker):
            rule = "at most ten mails wait"

            def changed(self, change):
                if len(self.scene.standing("queued", "send_email")) > 10:
                    self.violated("there are more")

    Attributes:
        rule: What must hold, in a few words.
        scene: What stands in Redis now, and which handlers run.
    """

    rule = ""
    scene: Scene

    def watch(self, scene: Scene) -> None:
        """Take the world that is to be watched; called once, before anything happens."""
        self.scene = scene

    def changed(self, change: RedisChange) -> None:
        """Take in what a command has changed."""

    def started(self, run: HandlerRun) -> None:
        """Take note that a handler starts."""

    def ended(self, run: HandlerRun, error: BaseException | None) -> None:
        """Take note that a handler has ended."""

    def crashed(self, pool: str) -> None:
        """Take note that a pool's process has ended; its handlers are gone."""

    def wiped(self) -> None:
        """Take note that Redis has lost everything."""

    def at_rest(self) -> None:
        """Look at a world that should have come to rest: no fault for long, no job due."""

    def violated(self, what: str, job_id: str = "") -> NoReturn:
        """Say that the rule does not hold.

        Args:
            what: What has happened.
            job_id: The job concerned, for the timeline.

        Raises:
            Violation: Always.
        """
        raise Violation(self.rule, what, job_id)
