"""What sets the selected dead jobs apart: from other dead jobs, and from jobs that were done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from workkit import frames
from workkit.admin.reader import Reader
from workkit.admin.steps.walk import WaitingJob
from workkit.core.text import clean, clip
from workkit.errors import WorkkitError
from workkit.frames.jobs import frame_of
from workkit_notebook import html
from workkit_notebook.cells import close_tree
from workkit_notebook.deadset import DeadSet
from workkit_notebook.extra import widgets
from workkit_notebook.facets import Facet
from workkit_notebook.later import Later

__all__ = ["Apart", "differences"]

_FACETS: Final = 8
_ROWS: Final = 10
_VALUE_CHARS: Final = 60


def differences(reader: Reader, records: Sequence[WaitingJob]) -> Any:
    """Compare dead jobs with the done jobs of the same names in history.

    Args:
        reader: The source.
        records: The dead jobs.

    Returns:
        A DataFrame as from `frames.compare`.

    Raises:
        ServerError: Redis did not answer or refused.
    """
    dead = frame_of([record for record in records if record.job.undecodable is None], "dead")
    done = frames.history(reader, outcome="done")
    return frames.compare(dead, done[done["name"].isin(set(dead["name"].dropna()))])


class Apart:
    """The part of the view of dead jobs that says what is special about the selected ones.

    Args:
        reader: The source.
        dead: The dead jobs.
        selected: Returns the jobs to compare.
        narrow: Adds a term to the query of the view.

    Attributes:
        box: The widgets.
    """

    def __init__(
        self,
        reader: Reader,
        dead: DeadSet,
        selected: Callable[[], Sequence[WaitingJob]],
        narrow: Callable[[str], None],
    ) -> None:
        self._reader = reader
        self._dead = dead
        self._selected = selected
        self._narrow = narrow
        self.later = Later("workkit-differs")
        self._facets = widgets.VBox()
        self._differ = widgets.Button(
            description="What differs", icon="balance-scale",
            tooltip="compare with the done jobs of the same names in history",
        )  # fmt: skip
        self._table = widgets.HTML()
        self._differ.on_click(lambda _: self.compare())
        self.box = widgets.VBox([self._facets, self._differ, self._table])

    def show(self, records: Sequence[WaitingJob]) -> None:
        """Show the facets of the jobs that match; an older comparison goes."""
        facets = self._dead.facets(records, _FACETS) if records else []
        whole = bool(facets) and facets[0].lift is None
        lines: list[Any] = []
        if facets:
            words = "most frequent values" if whole else "more frequent here than elsewhere"
            lines.append(widgets.HTML(html.muted(f"{words}; press one to filter by it")))
        lines += [self._line(facet, len(records)) for facet in facets]
        former, self._facets.children = self._facets.children, lines
        for widget in former:
            close_tree(widget)
        self._table.value = ""
        self._differ.disabled = not records

    def _line(self, facet: Facet, selected: int) -> Any:
        name = facet.field.removeprefix("args.")
        button = widgets.Button(
            description=clip(clean(f"{name}: {facet.value}"), _VALUE_CHARS),
            tooltip=clean(facet.term),
            layout=widgets.Layout(width="300px"),
        )
        button.on_click(lambda _: self._narrow(facet.term))
        told = f"{facet.count:,} of {selected:,}"
        if facet.lift is not None:
            told += f", {facet.lift:,.1f} times as frequent as among the other dead jobs"
        return widgets.HBox([button, widgets.HTML(html.muted(told))])

    def compare(self) -> None:
        """Compare the selected jobs with done ones, on a thread."""
        records = list(self._selected())
        self._table.value = html.muted("reading history ...")
        self.later.run(lambda: self._compare(records))

    def _compare(self, records: Sequence[WaitingJob]) -> None:
        try:
            found = differences(self._reader, records)
        except WorkkitError as error:
            self._table.value = html.notice(str(error))
            return
        top = found[found["significant"]].head(_ROWS)
        rows = [
            (
                html.escape(row.attribute), self._value(row), f"{row.dead:,}", f"{row.done:,}",
                f"{row.lift:,.1f}", f"{row.q:.1g}",
            )
            for row in top.itertuples()
        ]  # fmt: skip
        head = ("what", "value", "dead", "done", "lift", "q")
        why = (
            "nothing differs beyond chance from done jobs; history has their args only with "
            "HistoryOptions(args=True)"
        )
        self._table.value = html.table(head, rows, why)

    def _value(self, row: Any) -> str:
        """Return a value as HTML, unless its key names a secret."""
        if self._dead.is_secret(row.attribute, str(row.value)):
            return html.muted("[redacted]")
        return html.escape(clip(clean(str(row.value)), _VALUE_CHARS))
