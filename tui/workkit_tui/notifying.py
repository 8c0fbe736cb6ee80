"""An application that tells of conditions, with a bell when one begins to hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workkit.admin.notices.conditions import Condition
from workkit.admin.notices.notices import Notices
from workkit.core.clock import Clock
from workkit_tui.feed import Feed, View
from workkit_tui.guarded import GuardedApp

__all__ = ["NotifyingApp"]

_SEVERITIES: Final = {"bad": "error", "warn": "warning"}


class NotifyingApp(GuardedApp):
    """Tells of conditions.

    Attributes:
        feed: Reads what conditions are about.
        clock: Tells the time.
    """

    feed: Feed
    clock: Clock

    def tell_of(self, view: View) -> None:
        """Ring the bell and show a toast for what begins, and a toast for what ends."""
        notices = self.feed.notices
        if notices is None or view.sight is None:
            return
        for notice in notices.compare(view.sight, self.clock.read()):
            begins = notice.event == "begins"
            severity: Any = "information" if not begins else _SEVERITIES[notice.level]
            self.notify(notice.text if begins else f"Over: {notice.text}", severity=severity)
            if begins:
                self.bell()

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
