"""An application that tells of conditions and of jobs that end, with a bell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.admin.notices.conditions import Condition
from workkit.admin.notices.notices import Notices
from workkit.core.clock import Clock
from workkit_tui.feed import Feed, View
from workkit_tui.guarded import GuardedApp
from workkit_tui.model.following import Following
from workkit_tui.past import Past

__all__ = ["NotifyingApp"]

#: So many jobs are followed at once.
_MOST_FOLLOWED: Final = 20
_ENDED: Final = {"error": "error", "warning": "warning"}
_SEVERITIES: Final = {"bad": "error", "warn": "warning"}


class NotifyingApp(GuardedApp):
    """Tells of conditions, and follows jobs until they end.

    Attributes:
        feed: Reads what conditions are about.
        clock: Tells the time.
        past: Where in the past the screen is; None in the present.
    """

    feed: Feed
    clock: Clock
    past: Past | None

    def __init__(self) -> None:
        super().__init__()
        #: Job id → how it is or was followed.
        self._followed: dict[str, Following] = {}

    def tell_of(self, view: View) -> None:
        """Ring the bell and show a toast for what begins, and a toast for what ends."""
        self._tell_of_followed()
        notices = self.feed.notices
        if notices is None or view.sight is None:
            return
        for notice in notices.compare(view.sight, self.clock.read()):
            begins = notice.event == "begins"
            severity: Any = "information" if not begins else _SEVERITIES[notice.level]
            self.notify(notice.text if begins else f"Over: {notice.text}", severity=severity)
            if begins:
                self.bell()

    # Jobs that are followed.

    def follow(self, placed: Any) -> bool:
        """Follow a job until it ends; tell whether that is possible, and if not, show why."""
        refused = self._why_not(placed)
        if refused:
            self.notify(f"The job cannot be followed: {refused}.", severity="warning")
            return False
        following = Following(placed, lambda: self.clock.read().monotonic_s)
        self._followed = {**self._followed, following.job_id: following}
        self._step_followed()
        self.notify("The job is followed: a bell rings when it has ended. f again stops it.")
        return True

    def _why_not(self, placed: Any) -> str:
        if self.past is not None:
            return "this is a recording, and what happens next is not in it; ] and } go on"
        if not self.feed.reader.live:
            return "this is a snapshot, in which nothing happens"
        if not placed.job.id:
            return "it has no id"
        if len(self.feed.followed) >= _MOST_FOLLOWED:
            return f"{_MOST_FOLLOWED} are followed already"
        return ""

    def unfollow(self, job_id: str) -> None:
        """Follow a job no longer."""
        self._followed = {name: each for name, each in self._followed.items() if name != job_id}
        self._step_followed()

    def following(self, job_id: str) -> Following | None:
        """Return how a job is or was followed; None if it was not."""
        return self._followed.get(job_id)

    def _step_followed(self) -> None:
        """Let the feed follow the jobs that have not ended."""
        self.feed.followed = tuple(e for e in self._followed.values() if not e.has_ended)
        self.feed.wake()

    def _tell_of_followed(self) -> None:
        """Ring the bell and show a toast for each job that has ended."""
        ended = [each for each in self.feed.followed if each.has_ended]
        for each in ended:
            last = each.told[-1]
            severity: Any = _ENDED.get(last.level, "information")
            said = self.hidden(f"{each.name} {each.job_id}: {last.text}")
            self.notify(said, severity=severity)
            self.bell()
        if ended:
            self._step_followed()

    # Conditions.

    def watch_for(self, conditions: Sequence[Condition]) -> None:
        """Tell of conditions from now on, instead of those before.

        Args:
            conditions: The conditions; none to tell of nothing.
        """
        self.feed.notices = Notices(conditions) if conditions else None

    @property
    def conditions(self) -> Sequence[Condition]:
        """The conditions that are told of."""
        return self.feed.notices.conditions if self.feed.notices is not None else ()
