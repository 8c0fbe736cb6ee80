"""A parsed query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from workkit.admin.query import syntax
from workkit.admin.query.matching import Test, term_test
from workkit.core.records import Placed

__all__ = ["Query", "parse"]

P = TypeVar("P", bound=Placed)


class Query:
    """Picks jobs.

    Args:
        text: The query, see docs/query.md. "" picks all jobs.

    Raises:
        InvalidQuery: The query is not valid. The message points at the error.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self._tree = syntax.read(text)
        self._test = _compile(text, self._tree)

    def __repr__(self) -> str:
        return f"Query({self.text!r})"

    def __str__(self) -> str:
        """Return the query as it was written."""
        return self.text

    def __bool__(self) -> bool:
        """Return False if the query picks all jobs."""
        return self._tree != syntax.AllOf(())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and other._tree == self._tree

    def __hash__(self) -> int:
        return hash(self._tree)

    def matches(self, placed: Placed, now_s: float) -> bool:
        """Tell whether the query picks a job.

        Args:
            placed: The job's record.
            now_s: The time for computing ages, epoch seconds.
        """
        return self._test(placed, now_s)

    def pick(self, records: Iterable[P], now_s: float) -> Iterator[P]:
        """Yield the records that match.

        Args:
            records: Records of jobs.
            now_s: The time for computing ages, epoch seconds.
        """
        test = self._test
        return (record for record in records if test(record, now_s))


def parse(text: str) -> Query:
    """Parse a query.

    Raises:
        InvalidQuery: The query is not valid. The message points at the error.
    """
    return Query(text)


def _compile(query: str, node: syntax.Node) -> Test:
    if isinstance(node, syntax.Term):
        return term_test(query, node)
    if isinstance(node, syntax.Not):
        inner = _compile(query, node.part)
        return lambda placed, now_s: not inner(placed, now_s)
    tests = [_compile(query, part) for part in node.parts]
    if isinstance(node, syntax.AllOf):
        return lambda placed, now_s: all(test(placed, now_s) for test in tests)
    return lambda placed, now_s: any(test(placed, now_s) for test in tests)
