"""Several namespaces that one console looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from workkit.admin.reader import Reader
from workkit.errors import ServerError
from workkit_tui.feed import Feed, View

__all__ = ["Place", "Places"]


@dataclass(slots=True, eq=False)
class Place:
    """A namespace, and the newest reading of it.

    Attributes:
        title: Its name for people.
        reader: Reads it; nobody else uses this reader.
        refresh_s: Seconds between two readings while something changes.
        view: The newest view; None before the first one.
        trouble: Why the last reading failed; "" if it did not.
        looking: Whether it is being read.
        next_look_s: When it is read again, monotonic seconds.
    """

    title: str
    reader: Reader
    refresh_s: float = 2.0
    view: View | None = None
    trouble: str = ""
    looking: bool = False
    next_look_s: float = 0.0
    _feed: Feed | None = None

    def look(self, now_s: float) -> None:
        """Read a view; blocks, so it is called on a thread.

        Args:
            now_s: The time, monotonic seconds.
        """
        if self._feed is None:
            self._feed = Feed(self.reader, self.refresh_s)
        try:
            self.view, self.trouble = self._feed.look(lambda _reader, _seen: None), ""
        except ServerError as error:
            self.trouble = str(error)
        finally:
            self.next_look_s = now_s + self._feed.wait_s
            self.looking = False

    def close(self) -> None:
        """Close the connections of the feed."""
        if self._feed is not None:
            self._feed.close()


@dataclass(slots=True)
class Places:
    """All namespaces, and the one whose console is open.

    Attributes:
        all: The places, in the order in which they were named.
        here: The index of the open one.
        chosen: Whether the user has chosen it.
    """

    all: Sequence[Place] = field(default_factory=tuple)
    here: int = 0
    chosen: bool = False
