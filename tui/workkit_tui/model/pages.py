"""A place with a million jobs as rows of a list; only the visible pages are read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from workkit.admin.steps.walk import WaitingJob
from workkit.core.records import Page, Place

__all__ = ["PAGE", "Matches", "Pages", "Rows"]

#: Jobs that are read at once.
PAGE: Final = 100
#: Pages that are kept, so that scrolling back a little reads nothing.
_KEPT: Final = 20
#: Matching jobs that are kept; the rest is only counted.
_MOST_MATCHES: Final = 2_000


class Rows:
    """The rows of a table of jobs."""

    total = 0

    def get(self, at: int) -> WaitingJob | None:
        """Return a row; None if it has not been read."""
        raise NotImplementedError

    def loaded(self) -> Iterator[tuple[int, WaitingJob]]:
        """Yield the rows that are known, with their indexes."""
        raise NotImplementedError

    def find(self, raw: bytes, near: int) -> int | None:
        """Return the index of a known job; of several equal ones, the nearest to `near`."""
        found = [at for at, record in self.loaded() if record.job.raw == raw]
        return min(found, key=lambda at: abs(at - near), default=None)


class Pages(Rows):
    """A place, read page by page.

    Args:
        place: Which one.
        reverse: Begin at its other end.
    """

    def __init__(self, place: Place, *, reverse: bool) -> None:
        self.place = place
        self.reverse = reverse
        #: Whether anything has been read yet.
        self.known = False
        self._pages: OrderedDict[int, list[WaitingJob]] = OrderedDict()

    def get(self, at: int) -> WaitingJob | None:
        """Return a row; None if its page has not been read, or ends before it."""
        page = self._pages.get(at // PAGE)
        offset = at % PAGE
        return page[offset] if page is not None and offset < len(page) else None

    def loaded(self) -> Iterator[tuple[int, WaitingJob]]:
        """Yield the rows that are known."""
        for number, page in self._pages.items():
            for offset, record in enumerate(page):
                yield number * PAGE + offset, record

    def missing(self, first: int, last: int) -> list[int]:
        """Return the pages of a range of rows that have not been read."""
        last = min(last, self.total - 1)
        return [n for n in range(first // PAGE, last // PAGE + 1) if n not in self._pages]

    def put(self, number: int, page: Page[WaitingJob]) -> None:
        """Keep a page that was read."""
        self.total, self.known = page.total, True
        self._pages[number] = page.jobs
        self._pages.move_to_end(number)
        while len(self._pages) > _KEPT:
            self._pages.popitem(last=False)

    def keep_only(self, first: int, last: int) -> list[int]:
        """Forget all pages except those of a range of rows. Return these, to be read again."""
        wanted = range(max(first, 0) // PAGE, max(last, 0) // PAGE + 1)
        for number in [n for n in self._pages if n not in wanted]:
            del self._pages[number]
        return list(wanted)


class Matches(Rows):
    """The matches that a walk with a query has found so far."""

    def __init__(self) -> None:
        self._found: list[WaitingJob] = []
        self.total = 0
        self.matched = 0
        self.seen = 0
        self.of = 0
        self.complete = False

    def get(self, at: int) -> WaitingJob | None:
        """Return a row."""
        return self._found[at] if at < len(self._found) else None

    def loaded(self) -> Iterator[tuple[int, WaitingJob]]:
        """Yield the rows that are known."""
        return enumerate(self._found)

    def add(self, records: list[WaitingJob], seen: int, of: int) -> None:
        """Add the matches of a batch of the walk."""
        self._found += records[: _MOST_MATCHES - len(self._found)]
        self.matched += len(records)
        self.total, self.seen, self.of = len(self._found), seen, of

    def drop(self, gone: Callable[[WaitingJob], bool]) -> None:
        """Remove jobs that were changed."""
        self._found = [record for record in self._found if not gone(record)]
        self.total = len(self._found)
