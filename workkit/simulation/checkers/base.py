"""What a checker is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from workkit.simulation.checkers.scene import Change, Run, Scene

__all__ = ["Checker", "Violation"]


class Violation(AssertionError):
    """Something happened that must never happen.

    Attributes:
        rule: What must hold, in a few words.
        what: What happened instead.
        job_id: The job concerned, or "".
        timeline: What happened around it.
    """

    def __init__(self, rule: str, what: str, job_id: str = "", timeline: str = "") -> None:
        super().__init__(rule, what, job_id, timeline)
        self.rule = rule
        self.what = what
        self.job_id = job_id
        self.timeline = timeline

    def __str__(self) -> str:
        subject = f"job {self.job_id}: " if self.job_id else ""
        rest = f"\n\n{self.timeline}" if self.timeline else ""
        return f'"{self.rule}" does not hold: {subject}{self.what}{rest}'


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

    def changed(self, change: Change) -> None:
        """Take in what a command has changed."""

    def started(self, run: Run) -> None:
        """Take note that a handler starts."""

    def ended(self, run: Run, error: BaseException | None) -> None:
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
