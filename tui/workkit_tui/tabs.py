"""The registry of tabs. A new tab needs a line here and the file of its screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workkit_tui.screens.acts import ActsScreen
from workkit_tui.screens.base import ConsoleScreen
from workkit_tui.screens.cron import CronScreen
from workkit_tui.screens.dead import DeadScreen
from workkit_tui.screens.errors import ErrorsScreen
from workkit_tui.screens.overview import OverviewScreen
from workkit_tui.screens.places import PlacesScreen
from workkit_tui.screens.queues import QueuesScreen
from workkit_tui.screens.retry import RetryScreen
from workkit_tui.screens.scheduled import ScheduledScreen
from workkit_tui.screens.undo import UndoScreen
from workkit_tui.screens.workers import WorkersScreen

__all__ = ["PLACES", "TABS", "Tab"]


@dataclass(frozen=True, slots=True)
class Tab:
    """A screen with its own key.

    Attributes:
        name: Its name in code, which is also the `TAB` of its screen.
        title: Its name in the bar of tabs.
        key: Textual's name of the key that goes there. No screen uses it for anything else.
        screen: The class of its screen; it takes no arguments.
    """

    name: str
    title: str
    key: str
    screen: type[ConsoleScreen]


#: All tabs, in the order of the bar.
TABS: Final = (
    Tab("overview", "Overview", "1", OverviewScreen),
    Tab("queues", "Queues", "2", QueuesScreen),
    Tab("workers", "Workers", "3", WorkersScreen),
    Tab("retry", "Retry", "4", RetryScreen),
    Tab("scheduled", "Scheduled", "5", ScheduledScreen),
    Tab("dead", "Dead", "6", DeadScreen),
    Tab("errors", "Errors", "7", ErrorsScreen),
    Tab("cron", "Cron", "8", CronScreen),
    Tab("undo", "Undo", "9", UndoScreen),
    Tab("acts", "Acts", "0", ActsScreen),
)

#: The tab before all others, where the console looks at several namespaces.
PLACES: Final = Tab("places", "Places", "P", PlacesScreen)
