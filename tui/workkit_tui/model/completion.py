"""The words that complete a query."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from workkit.admin.query.fields import FIELDS
from workkit.core.records import Queue

__all__ = ["completed", "query_words"]

#: Names that need no quotes in a query.
_PLAIN: Final = re.compile(r"[\w.-]+", re.ASCII)
_STATES: Final = ("is:cron", "is:failed", "is:junk", "is:unique")


def query_words(queues: Iterable[Queue]) -> list[str]:
    """Return the words of a query that are known: fields, and the names of queues."""
    names = sorted(each.job_name for each in queues if _PLAIN.fullmatch(each.job_name))
    return [*(f"{name}:" for name in FIELDS), *(f"queue:{name}" for name in names), *_STATES]


def completed(text: str, words: Iterable[str]) -> str | None:
    """Return a text whose last word is completed; None if no word begins like it.

    Args:
        text: What was typed.
        words: The words, the most wanted first.
    """
    start = max(text.rfind(sign) for sign in " (") + 1
    start += text.startswith("-", start)
    last = text[start:]
    found = (word for word in words if last and word.startswith(last) and word != last)
    word = next(found, None)
    return None if word is None else text[:start] + word
