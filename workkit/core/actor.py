"""Who acts: the user of the operating system, or the name in WORKKIT_ACTOR."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from pathlib import PurePath
from typing import Final

from workkit.core.showing import shown
from workkit.errors import InvalidOption

__all__ = ["ACTOR_VARIABLE", "check_actor", "program", "who_am_i"]

#: Names automation, such as a deployment, or the user of a browser.
ACTOR_VARIABLE: Final = "WORKKIT_ACTOR"


def who_am_i() -> str:
    """Return who acts, as NAME@HOST; others see it beside what was done.

    The name is that of WORKKIT_ACTOR, or else that of the user of the operating system. A name with
    an @ is taken as it is.
    """
    name = os.environ.get(ACTOR_VARIABLE, "").strip()
    if not name:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container without user names
            name = "somebody"
    return name if "@" in name else f"{name}@{socket.gethostname()}"


def check_actor(name: object) -> str:
    """Return a name that was given for who acts; "" for None.

    Raises:
        InvalidOption: It is not a text, or is empty.
    """
    if name is None:
        return ""
    if not isinstance(name, str) or not name.strip():
        raise InvalidOption(f"actor must be a name such as 'deploy', not {shown(name)}")
    return name.strip()


def program() -> str:
    """Return the name of the program that runs, such as "workkit" or "manage.py"; "" if unknown."""
    started = sys.argv[0] if sys.argv else ""
    name = PurePath(started).name if started not in {"", "-c", "-m"} else ""
    return PurePath(started).parent.name if name == "__main__.py" else name
