"""The Lua scripts, one a file in `lua/`, whose headers are their contracts.

A line `-- part: NAME` in a script stands for the file `lua/parts/NAME.lua`, which several share.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

__all__ = ["Script", "all_scripts", "script"]

_PART: Final = re.compile(rb"(?m)^-- part: (\w+)$")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as the server knows it.

    Attributes:
        name: The file's stem.
        source: What EVAL takes.
        sha: What EVALSHA takes.
    """

    name: str
    source: bytes
    sha: bytes


@cache
def script(name: str) -> Script:
    """Load a script by the stem of its file."""
    folder = resources.files("workkit.store") / "lua"

    def part(match: re.Match[bytes]) -> bytes:
        return (folder / "parts" / f"{match[1].decode()}.lua").read_bytes()

    source = _PART.sub(part, (folder / f"{name}.lua").read_bytes())
    sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return Script(name, source, sha)


def all_scripts() -> list[Script]:
    """Load every script, by name."""
    files = (resources.files("workkit.store") / "lua").iterdir()
    return [script(file.name[:-4]) for file in sorted(files, key=str) if file.name.endswith(".lua")]


ADOPT: Final = script("adopt")
BEAT: Final = script("beat")
BEGIN: Final = script("begin")
DROP_GHOSTS: Final = script("drop_ghosts")
ENQUEUE: Final = script("enqueue")
ENQUEUE_UNIQUE: Final = script("enqueue_unique")
EXCHANGE: Final = script("exchange")
FORGET: Final = script("forget")
FREE_UNIQUE: Final = script("free_unique")
LARGE: Final = script("large")
LEAVE: Final = script("leave")
LIFT_LIMIT: Final = script("lift_limit")
LOOK: Final = script("look")
MOVE: Final = script("move")
NOTE: Final = script("note")
PAGE: Final = script("page")
PAGE_AFTER: Final = script("page_after")
PLAN_SLOTS: Final = script("plan_slots")
REAP: Final = script("reap")
RECALL: Final = script("recall")
RECOUNT: Final = script("recount")
REGISTER: Final = script("register")
REMOVE: Final = script("remove")
RESTORE: Final = script("restore")
RESYNC: Final = script("resync")
RETURN_GHOST: Final = script("return_ghost")
REVIVE: Final = script("revive")
SCHEDULE: Final = script("schedule")
SET_ASIDE: Final = script("set_aside")
SPAN: Final = script("span")
TALLY: Final = script("tally")
