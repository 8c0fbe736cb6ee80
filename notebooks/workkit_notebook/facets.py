"""Facets of dead jobs: which values of their args the selected ones have more often than others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from workkit.admin.query.fields import json_text
from workkit.admin.steps.walk import WaitingJob

__all__ = ["Facet", "Facets", "with_term"]

#: A key with more values is one of ids.
_MOST_VALUES: Final = 500
_MOST_KEYS: Final = 100
_DEPTH: Final = 4
#: What is shown as "1.0 times as frequent" is not more frequent.
_LEAST_LIFT: Final = 1.05
#: What the query language would read as something else.
_ODD_KEY: Final = re.compile(r'[\s":(),.]')
_SIMPLE: Final = re.compile(r"[\w-]+")
_QUEUE: Final = "queue"


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that selected jobs share.

    Attributes:
        field: The field of the query language, such as "args.tenant" or "queue".
        value: The value as text.
        count: How many selected jobs have it.
        total: How many dead jobs have it.
        lift: How many times as frequent it is among the selected jobs as among the others; None
            if all are selected.
        row: The position of a selected job that has it.
    """

    field: str
    value: str
    count: int
    total: int
    lift: float | None
    row: int

    @property
    def term(self) -> str:
        """The term of the query language that picks jobs with the value."""
        if _SIMPLE.fullmatch(self.value):
            return f"{self.field}:{self.value}"
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.field}:"{quoted}"'


def with_term(query: str, term: str) -> str:
    """Return a query that also wants a term."""
    if not query.strip():
        return term
    sides = re.search(r"\bor\b", query, re.IGNORECASE)
    return f"({query}) {term}" if sides else f"{query.strip()} {term}"


class Facets:
    """The values of the args of many jobs, as small numbers.

    Args:
        records: The jobs.
    """

    def __init__(self, records: Sequence[WaitingJob]) -> None:
        self._count = len(records)
        self._place = {id(record): row for row, record in enumerate(records)}
        self._codes: dict[str, Any] = {}
        self._labels: dict[str, list[str]] = {}
        known: dict[str, dict[str, int]] = {}
        for row, record in enumerate(records):
            self._note(_QUEUE, record.job.name, row, known)
            if isinstance(record.job.args, dict):
                self._note_args("args", record.job.args, row, known, _DEPTH)
        for field, labels in known.items():
            if len(labels) <= _MOST_VALUES:
                self._labels[field] = list(labels)
            else:
                del self._codes[field]

    def _note_args(
        self,
        path: str,
        args: dict[str, Any],
        row: int,
        known: dict[str, dict[str, int]],
        depth: int,
    ) -> None:
        for key, value in args.items():
            if not key or _ODD_KEY.search(key):
                continue
            field = f"{path}.{key}"
            if isinstance(value, dict):
                if depth:
                    self._note_args(field, value, row, known, depth - 1)
            elif value is not None and not isinstance(value, list):
                self._note(field, value, row, known)

    def _note(self, field: str, value: Any, row: int, known: dict[str, dict[str, int]]) -> None:
        labels = known.get(field)
        if labels is None:
            if len(known) >= _MOST_KEYS:
                return
            labels = known[field] = {}
            self._codes[field] = np.full(self._count, -1, dtype=np.int32)
        if len(labels) <= _MOST_VALUES:
            text = json_text(value)
            self._codes[field][row] = labels.setdefault(text, len(labels))

    def of(self, selected: Iterable[WaitingJob], most: int) -> list[Facet]:
        """Return the facets that set selected jobs apart, the clearest first.

        Without others to compare with, these are the most frequent values.

        Args:
            selected: Some of the jobs.
            most: How many to return.
        """
        rows = [self._place[id(record)] for record in selected if id(record) in self._place]
        mine = np.array(rows, dtype=np.int64)
        others = self._count - len(mine)
        found: list[tuple[float, Facet]] = []
        for field, labels in self._labels.items():
            codes = self._codes[field]
            totals = np.bincount(codes[codes >= 0], minlength=len(labels))
            inside = codes[mine]
            counts = np.bincount(inside[inside >= 0], minlength=len(labels))
            for code in np.flatnonzero(counts > 1):
                count, total = int(counts[code]), int(totals[code])
                lift = None
                if others:
                    rest = (total - count + 0.5) / (others + 1)
                    lift = (count + 0.5) / (len(mine) + 1) / rest
                    rarer = count * others <= (total - count) * len(mine)
                    if rarer or lift < _LEAST_LIFT:
                        continue
                elif count == len(mine):
                    continue  # what all have tells nothing
                row = int(mine[int(np.argmax(inside == code))])
                facet = Facet(field, labels[code], count, total, lift, row)
                found.append((count * np.log(lift) if lift else float(count), facet))
        found.sort(key=lambda pair: -pair[0])
        return [facet for _, facet in found[:most]]
