"""Opens the console of `workkit_tui` on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from workkit.core.actor import who_am_i
from workkit.errors import MissingExtra

if TYPE_CHECKING:
    from workkit.admin.reader import Reader
    from workkit.recording import Recording

__all__ = ["console_fits", "open_console", "open_consoles", "terminal_draws"]


def console_fits() -> bool:
    """Tell whether stdin and stdout are a terminal for the console, and Textual is installed."""
    from importlib.util import find_spec

    return (
        sys.stdin.isatty()
        and sys.stdout.isatty()
        and terminal_draws()
        and find_spec("textual") is not None
    )


def terminal_draws() -> bool:
    """Tell whether the terminal can draw a full screen, as far as TERM says."""
    import os

    return os.environ.get("TERM", "dumb") not in {"", "dumb", "unknown"}


def open_console(
    reader: Reader,
    *,
    recording: Recording | None = None,
    at_s: float | None = None,
    **options: Any,
) -> None:
    """Open the console on the terminal, and return when the user leaves it.

    Args:
        reader: Its source of data; the console offers actions if the reader has them.
        recording: The recording that `reader` is a moment of, so that the user can go elsewhere.
        at_s: The time of that moment, epoch seconds.
        **options: See `workkit_tui.Settings`.

    Raises:
        MissingExtra: Textual is not installed.
        InvalidOption: An option is out of its range.
        SystemExit: An error ended the console, which has printed it.
    """
    app = _console(reader, options, recording=recording, at_s=at_s)
    app.run()
    if app.return_code:
        raise SystemExit(app.return_code)


def open_consoles(
    readers: Sequence[tuple[str, Callable[[], Any]]],
    *,
    here: int | None = None,
    refresh_s: float,
    **options: Any,
) -> None:
    """Open the consoles of several namespaces, one at a time, until the user leaves.

    Args:
        readers: The name of each namespace for people, and what makes a reader of it.
        here: The index of the one to begin with; None to begin with their list.
        refresh_s: Seconds between two readings while something changes.
        **options: See `workkit_tui.Settings`.

    Raises:
        MissingExtra: Textual is not installed.
        InvalidOption: An option is out of its range.
        SystemExit: An error ended the console, which has printed it.
    """
    options["refresh_s"] = refresh_s
    with ExitStack() as stack:
        watched = [(title, stack.enter_context(closing(make()))) for title, make in readers]
        places: Any = None
        while True:
            at = places.here if places is not None else here or 0
            with closing(readers[at][1]()) as reader:
                app = _console(reader, options, watched=watched, places=places, here=here)
                chosen = app.run()
            if places is None:
                for place in app.places.all:
                    stack.callback(place.close)
            if app.return_code:
                raise SystemExit(app.return_code)
            if chosen is None:
                return
            places = app.places
            places.here, places.chosen = chosen, True


def _console(
    reader: Reader,
    options: dict[str, Any],
    *,
    recording: Recording | None = None,
    at_s: float | None = None,
    watched: Sequence[tuple[str, Reader]] = (),
    places: Any = None,
    here: int | None = None,
) -> Any:
    """Make the console of a namespace, among others if there are several.

    Raises:
        MissingExtra: Textual is not installed.
    """
    try:
        from workkit_tui.app import Console
        from workkit_tui.places import Place, Places
        from workkit_tui.remembered import usual_path
        from workkit_tui.settings import Settings
    except MissingExtra:
        raise MissingExtra("workkit top", "tui") from None
    settings = Settings(by=who_am_i(), **{"file": str(usual_path()), **options})
    if watched and places is None:
        all_places = [Place(title, each, settings.refresh_s) for title, each in watched]
        places = Places(all_places, here or 0, chosen=here is not None)
    client: Any = reader

    def pause(name: str, wanted: bool) -> None:
        if wanted:
            client.pause(name)
        else:
            client.unpause(name)

    return Console(
        reader,
        actions=getattr(reader, "actions", None),
        pause=pause if hasattr(reader, "pause") else None,
        settings=settings,
        recording=recording,
        at_s=at_s,
        places=places,
    )
