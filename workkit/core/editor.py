"""Opens a text in the user's editor, and keeps it in a file until it has been used."""

from __future__ import annotations

import os
import subprocess
import tempfile
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import Final

from workkit.core.programs import named_program
from workkit.core.text import clean
from workkit.errors import NotEdited

__all__ = ["EditedText", "editor_command", "without_comments"]

#: Editors that are tried if the user has named none.
_USUAL: Final = ("sensible-editor", "editor", "nano", "vim", "vi")
_SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_NAME_CHARS: Final = 40
_COMMENT: Final = "// "
#: The width of comments, and the most lines of them.
_COLUMNS: Final = 96
_LINES: Final = 40


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
        takes: What a typed task takes; "" if that is not known. It stands in comments above the
            text, so that any editor shows the names, and completes them as words of the file.

    Attributes:
        path: The file.
    """

    def __init__(self, name: str, text: str, takes: str = "") -> None:
        safe = "".join(c for c in name if c in _SAFE)[:_NAME_CHARS]
        suffix = ".jsonc" if takes else ".json"  # editors call comments in JSON a mistake
        number, path = tempfile.mkstemp(prefix=f"workkit-{safe}-", suffix=suffix)
        with os.fdopen(number, "wb") as file:
            file.write(f"{_comments(takes)}{text}".encode("utf-8", "surrogateescape"))
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
        """Return the text without the comments.

        Raises:
            NotEdited: The file has gone.
        """
        try:
            return without_comments(self.path.read_bytes())
        except OSError as error:
            raise NotEdited(f"{self.path} cannot be read: {error.strerror or error}") from None

    def drop(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self.path.unlink()


def without_comments(text: bytes) -> bytes:
    """Return a text without the lines at its beginning that are comments, which JSON does not have.

    Args:
        text: What a user has edited; nobody knows whether it is JSON.
    """
    while text.lstrip().startswith(_COMMENT.strip().encode()):
        text = text.lstrip().partition(b"\n")[2]
    return text


def _comments(takes: str) -> str:
    """Return the lines of comments, which end with one that is free of the signature."""
    if not takes:
        return ""
    lines = textwrap.wrap(f"takes {clean(takes)}", _COLUMNS, max_lines=_LINES)
    lines = [*lines, "These lines are left out; in JSON, other comments are mistakes."]
    return "".join(f"{_COMMENT}{line}\n" for line in lines)
