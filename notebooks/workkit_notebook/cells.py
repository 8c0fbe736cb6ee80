"""Closes the views that an earlier run of the same cell has made, so that memory does not grow."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

__all__ = ["Closes", "close_parts", "close_tree", "replace_former"]


class Closes(Protocol):
    """A view."""

    def close(self) -> None:
        """Remove it from its page, and let go of its data."""
        ...


class _Run(NamedTuple):
    """One run of a cell, and the views that it made."""

    request: str
    views: list[Closes]


#: Cell id -> its newest run.
_RUNS: Final[dict[str, _Run]] = {}


def replace_former(view: Closes) -> None:
    """Close the views of earlier runs of the cell that makes this view.

    Jupyter's cells have an id; in other places nothing is closed.
    """
    cell, request = _here()
    if not cell:
        return
    former = _RUNS.get(cell)
    if former is None or former.request != request:
        _RUNS[cell] = _Run(request, [view])
        for old in former.views if former is not None else ():
            old.close()
    else:
        former.views.append(view)


def _here() -> tuple[str, str]:
    """Return the id of the cell that runs, and of its run; "" for both outside Jupyter."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return "", ""
    kernel: Any = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent("shell") if hasattr(kernel, "get_parent") else {}
    cell = (parent.get("metadata") or {}).get("cellId") or ""
    return str(cell), str((parent.get("header") or {}).get("msg_id") or "")


def close_tree(widget: Any) -> None:
    """Close a widget with all its children, which `Widget.close` keeps for ever."""
    close_parts(widget)
    widget.close()


def close_parts(widget: Any) -> None:
    """Close the children of a widget, its layout and its style."""
    for child in getattr(widget, "children", ()):
        close_tree(child)
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if part is not None:
            part.close()
