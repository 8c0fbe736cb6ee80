"""Programs of the user that are named by environment variables, such as EDITOR."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence

__all__ = ["named_program"]


def named_program(variables: Sequence[str], usual: Sequence[str], remedy: str) -> list[str] | None:
    """Return the program that the user has named with its arguments, or a usual one.

    Args:
        variables: The environment variables that may name it, the first that is set counts.
        usual: Programs that are tried if none is set.
        remedy: The end of the complaint about a program that does not exist.

    Returns:
        The words of its command; None if no program is named and no usual one exists.

    Raises:
        ValueError: What the user has named is not a program.
    """
    for variable in variables:
        named = os.environ.get(variable, "").strip()
        if not named:
            continue
        try:
            words = shlex.split(named)
        except ValueError as error:
            raise ValueError(f"{variable} is not a command: {error}") from None
        if not words or shutil.which(words[0]) is None:
            raise ValueError(
                f"{variable} is {named!r:.200}, and there is no such program; {remedy}"
            )
        return words
    return next(([found] for name in usual if (found := shutil.which(name))), None)
