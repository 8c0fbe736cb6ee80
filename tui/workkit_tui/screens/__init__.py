"""The screens, one a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.cron import CronScreen
from workkit_tui.screens.dead import DeadScreen
from workkit_tui.screens.errors import ErrorsScreen
from workkit_tui.screens.overview import OverviewScreen
from workkit_tui.screens.queues import QueuesScreen
from workkit_tui.screens.retry import RetryScreen
from workkit_tui.screens.scheduled import ScheduledScreen
from workkit_tui.screens.undo import UndoScreen
from workkit_tui.screens.workers import WorkersScreen

__all__ = ["TAB_SCREENS"]

#: Those with a number, by the names of `keys.TABS`.
TAB_SCREENS: Final[dict[str, Callable[[], ConsoleScreen]]] = {
    "overview": OverviewScreen,
    "queues": QueuesScreen,
    "workers": WorkersScreen,
    "retry": RetryScreen,
    "scheduled": ScheduledScreen,
    "dead": DeadScreen,
    "errors": ErrorsScreen,
    "cron": CronScreen,
    "undo": UndoScreen,
}
