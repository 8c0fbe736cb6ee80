"""Saved views and chosen columns, in a file that users may share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from workkit.core.locking import one_at_a_time
from workkit.core.text import clean
from workkit.core.whole_file import whole_file
from workkit.errors import InvalidOption

__all__ = ["Remembered", "SavedView", "usual_path"]

_VERSION: Final = 1
#: Larger files are not ours, bytes.
_MOST_BYTES: Final = 1_000_000
#: The longest name of a view, characters.
_NAME_CHARS: Final = 60


class SavedView(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a screen shows.

    Attributes:
        screen: The name of its tab, or "queue".
        queue: The name of the queue, if it is the screen of a queue.
        filter: The query or the words of `/`.
        sort: What the list is sorted by, or another choice of the screen; "" for the usual one.
        reverse: Whether its order is the other one.
    """

    screen: str
    queue: str = ""
    filter: str = ""
    sort: str = ""
    reverse: bool = False


class _Content(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The file."""

    version: int
    views: dict[str, SavedView] = {}
    columns: dict[str, list[str]] = {}


class _Version(msgspec.Struct):
    version: int


def usual_path() -> Path:
    """Return where the file is if the user names none, by the rules of XDG."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".config"
    return base / "workkit" / "console.json"


class Remembered:
    """Views by their names, and the columns of tables.

    Args:
        path: The file; it may be missing. None to remember nothing beyond the end.

    Attributes:
        writable: Whether the file may be changed. If not, changes last until the end.
        trouble: Why the file cannot be used; "" if it can. Then it is never written to.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.writable = True
        self._content = _Content(_VERSION)
        self.trouble = ""
        try:
            self._content = self._read()
        except InvalidOption as error:
            self.trouble = str(error)

    def _read(self) -> _Content:
        """Read the file.

        Raises:
            InvalidOption: It cannot be read, or it is damaged.
        """
        path = self._path
        if path is None:
            return self._content
        try:
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return _Content(_VERSION)
        except OSError as error:
            raise InvalidOption(f"{path} cannot be read: {error.strerror or error}") from None
        if len(data) > _MOST_BYTES:
            raise InvalidOption(f"{path} has more than {_MOST_BYTES:,} bytes, so it is not ours")
        try:
            version = msgspec.json.decode(data, type=_Version).version
            if version > _VERSION:
                raise InvalidOption(f"{path} was written by a later workkit (version {version})")
            return msgspec.json.decode(data, type=_Content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidOption(f"{path} is damaged: {error}; mend it or delete it") from None

    def _change(self, change: Callable[[_Content], object]) -> None:
        """Change the file as it is now, with no other console between reading and writing.

        Raises:
            InvalidOption: The file cannot be read or written; it is as it was.
        """
        path = self._path
        if path is None or not self.writable:
            change(self._content)
            return
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidOption(f"{path.parent} cannot be made: {error.strerror}") from None
        with one_at_a_time(path):
            content = self._read()
            change(content)
            data = msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=2)
            with whole_file(path) as file:
                file.write(data + b"\n")
        self._content, self.trouble = content, ""

    @property
    def where(self) -> str:
        """The file, for people; "" if nothing is written."""
        return clean(str(self._path)) if self._path is not None and self.writable else ""

    # Views.

    @property
    def views(self) -> Mapping[str, SavedView]:
        """The views by their names, sorted."""
        return dict(sorted(self._content.views.items()))

    def save_view(self, name: str, view: SavedView) -> bool:
        """Save a view; tell whether it has replaced another.

        Raises:
            InvalidOption: The name is not valid, or the file cannot be written.
        """
        if not name or not name.isprintable() or len(name) > _NAME_CHARS:
            raise InvalidOption(f"a view needs a name of 1 to {_NAME_CHARS} printable characters")
        known: list[SavedView | None] = []

        def change(content: _Content) -> None:
            known.append(content.views.get(name))
            content.views[name] = view

        self._change(change)
        return known[0] is not None

    def forget_view(self, name: str) -> None:
        """Forget a view.

        Raises:
            InvalidOption: There is none of that name, or the file cannot be written.
        """

        def change(content: _Content) -> None:
            if content.views.pop(name, None) is None:
                raise _unknown(name, content)

        self._change(change)

    def view(self, name: str) -> SavedView:
        """Return a view.

        Raises:
            InvalidOption: There is none of that name.
        """
        try:
            return self._content.views[name]
        except KeyError:
            raise _unknown(name, self._content) from None

    # Columns.

    def columns(self, table: str) -> list[str] | None:
        """Return the chosen columns of a table, in their order; None for the usual ones."""
        return self._content.columns.get(table)

    def choose_columns(self, table: str, columns: list[str] | None) -> None:
        """Remember the columns of a table; None for the usual ones.

        Raises:
            InvalidOption: The file cannot be written.
        """

        def change(content: _Content) -> None:
            if columns is None:
                content.columns.pop(table, None)
            else:
                content.columns[table] = columns

        self._change(change)


def _unknown(name: str, content: _Content) -> InvalidOption:
    names = ", ".join(sorted(content.views))
    known = f"there are: {names}" if names else ":save NAME saves one"
    return InvalidOption(f"no view is called {name!r}; {known}")
