"""Opens a text in the user's editor, and keeps it in a file until it has been used."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from workkit.core.programs import named_program
from workkit.errors import NotEdited

__all__ = ["EditedText", "editor_command"]

#: Editors that are tried if the user has named none.
_USUAL: Final = ("sensible-editor", "editor", "nano", "vim", "vi")
_SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_NAME_CHARS: Final = 40


def editor_command() -> list[str]:
    """Return the user's editor with its arguments: VISUAL, EDITOR, or a usual one.

    Raises:
        NotEdited: There is none, or what the user has named is not a program.
    """
    try:
        words = named_program(("VISUAL", "EDITOR"), _USUAL, "nothing was changed")
    except ValueError as error:
        raise NotEdited(str(error)) from None
    if words is not None:
        return words
    raise NotEdited(
        "there is no editor; set EDITOR, such as EDITOR=nano, or give the args by --args"
    )


class EditedText:
    """A text in a file that only its owner can read.

    Args:
        name: A part of the file's name.
        text: The text.

    Attributes:
        path: The file.
    """

    def __init__(self, name: str, text: str) -> None:
        safe = "".join(c for c in name if c in _SAFE)[:_NAME_CHARS]
        number, path = tempfile.mkstemp(prefix=f"workkit-{safe}-", suffix=".json")
        with os.fdopen(number, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        self.path = Path(path)

    def edit(self) -> bytes:
        """Open the file in the user's editor, and return its text when the editor has ended.

        Raises:
            NotEdited: The editor is missing or has failed, or the file has gone.
        """
        words = editor_command()
        try:
            code = subprocess.run([*words, str(self.path)], check=False).returncode  # noqa: S603 - the user's own editor, and no shell
        except OSError as error:
            raise NotEdited(
                f"the editor {words[0]} was not started: {error.strerror or error}; "
                "nothing was changed"
            ) from None
        if code:
            raise NotEdited(f"the editor {words[0]} ended with {code}; nothing was changed")
        return self.read()

    def read(self) -> bytes:
        """Return the text.

        Raises:
            NotEdited: The file has gone.
        """
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise NotEdited(f"{self.path} cannot be read: {error.strerror or error}") from None

    def drop(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self.path.unlink()
