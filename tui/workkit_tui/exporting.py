"""`e` writes the list to a file, or hands it to the browser as a download."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from workkit.core.text import clean, counted
from workkit.errors import ServerError
from workkit_tui.export import FORMATS, MOST, check, check_name, encoded, suggested, write
from workkit_tui.screens.base import ConsoleScreen

__all__ = ["Exporter"]


class Exporter:
    """Asks for the name of a file, and writes it.

    Args:
        screen: The screen whose records are written; `exported` gives them.
    """

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._app = screen.app
        self._exported: Any = getattr(screen, "exported", None)

    def ask(self) -> None:
        """Ask for the name of the file; do nothing on a screen without a list."""
        if self._exported is None:
            return
        name, _ = self._exported()
        hint = f"a file that ends in {', '.join(FORMATS)}"
        sign = "Download as" if self._app.is_web else "Write to"
        self._screen.prompt.ask(sign, self._begin, value=suggested(name), hint=hint)

    def _begin(self, text: str) -> None:
        path = Path(text)
        if self._app.is_web:
            check_name(path)  # a path would be on the server
        else:
            check(path)
        _, records = self._exported()
        self._screen.close_prompt()
        self._app.run_worker(lambda: self._write(path, records), thread=True, group="export")

    def _write(self, path: Path, records: Iterable[Any]) -> None:
        """Read the records and write them, on a thread."""
        masks = self._screen.console.masks
        try:
            if self._app.is_web:
                content, written = encoded(path.suffix, records, masks)
                self._app.call_from_thread(
                    self._app.deliver_binary, BytesIO(content), save_filename=path.name
                )
            else:
                written = write(path, records, masks)
        except (ServerError, ValueError) as error:
            self._say(clean(str(error)), "error")
            return
        more = "; that is the maximum, workkit export writes all" if written == MOST else ""
        said = f"Wrote {counted(written, 'record')} to {clean(str(path))}{more}"
        self._say(said, "warning" if more else "information")

    def _say(self, text: str, severity: Any) -> None:
        """Show a toast from the thread."""
        if self._app.is_running:
            self._app.call_from_thread(self._app.notify, text, severity=severity)
