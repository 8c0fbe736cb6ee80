"""Shows a long text in the user's pager."""

from __future__ import annotations

import subprocess
from typing import Final

from workkit.core.programs import named_program
from workkit.core.text import clean
from workkit.errors import InvalidOption

__all__ = ["page", "pager_command"]

#: Pagers that are tried if the user has named none.
_USUAL: Final = ("less", "more")


def pager_command() -> list[str]:
    """Return the user's pager with its arguments: PAGER, or a usual one.

    Raises:
        InvalidOption: There is none, or what the user has named is not a program.
    """
    try:
        words = named_program(("PAGER",), _USUAL, "set PAGER=less")
    except ValueError as error:
        raise InvalidOption(str(error)) from None
    if words is not None:
        return words
    raise InvalidOption("there is no pager; set PAGER, such as PAGER=less")


def page(text: str) -> None:
    """Show a text, and return when the user leaves the pager. No file is written.

    Args:
        text: The text, harmless for a terminal.

    Raises:
        InvalidOption: The pager is missing, or has failed.
    """
    words = pager_command()
    try:
        done = subprocess.run(  # noqa: S603 - the user's own pager, and no shell
            words, input=text.encode("utf-8", "backslashreplace"), check=False
        )
    except OSError as error:
        raise InvalidOption(
            f"the pager {clean(words[0])} was not started: {error.strerror or error}"
        ) from None
    if done.returncode > 0:
        raise InvalidOption(f"the pager {clean(words[0])} ended with {done.returncode}")
