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


@dataclass(frozen=True, slots=True, eq=False)  # hashed in each call, so by identity
class Script:
    """A script as the server knows it; there is one object for each file.

    Attributes:
        name: The file's stem.
        source: The argument of EVAL.
        sha: The argument of EVALSHA.
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


#: Records who did what.
ACT: Final = script("act")
#: Moves the jobs that a pool still runs to its new id, after another pool declared it dead.
ADOPT: Final = script("adopt")
#: Asks a pool for the stack of a handler.
ASK: Final = script("ask")
#: Writes a pool's heartbeat and its limits.
BEAT: Final = script("beat")
#: Frees unique keys, takes updates and cron slots, right before handlers start.
BEGIN: Final = script("begin")
#: Removes entries from a stopped Go pool's list that the pool has run and left there.
DROP_GHOSTS: Final = script("drop_ghosts")
#: Puts jobs into their queues.
ENQUEUE: Final = script("enqueue")
#: Puts a unique job into its queue or into the scheduled set, or refuses it.
ENQUEUE_UNIQUE: Final = script("enqueue_unique")
#: Settles finished jobs, appends history, claims new jobs: the dispatcher's round trip.
EXCHANGE: Final = script("exchange")
#: Removes a dead pool that holds nothing.
FORGET: Final = script("forget")
#: Deletes a unique key that no job holds, for the doctor.
FREE_UNIQUE: Final = script("free_unique")
#: Finds large jobs, for the doctor.
LARGE: Final = script("large")
#: Removes a pool that stops.
LEAVE: Final = script("leave")
#: Removes the limit of jobs that no pool handles.
LIFT_LIMIT: Final = script("lift_limit")
#: Reads the locks of many queues with their holders.
LOCKS: Final = script("locks")
#: Reads everything that can give work to an idle pool.
LOOK: Final = script("look")
#: Moves due jobs to their queues.
MOVE: Final = script("move")
#: Records who does what before an action on jobs begins, so that it can be undone.
NOTE: Final = script("note")
#: Reads a part of a place by position, bounded by number and bytes.
PAGE: Final = script("page")
#: Reads the part of a set that follows a member, even if members come and go.
PAGE_AFTER: Final = script("page_after")
#: Pauses or unpauses a queue, and records that.
PAUSE: Final = script("pause")
#: Schedules the slots of a cron entry.
PLAN_SLOTS: Final = script("plan_slots")
#: Publishes what the typed tasks of a pool take.
PUBLISH: Final = script("publish")
#: Returns a dead pool's jobs to their queues.
REAP: Final = script("reap")
#: Takes retried jobs back from their queues.
RECALL: Final = script("recall")
#: Computes a queue's lock again.
RECOUNT: Final = script("recount")
#: Registers a pool in the namespace.
REGISTER: Final = script("register")
#: Deletes jobs, into the trash or for good.
REMOVE: Final = script("remove")
#: Brings deleted jobs back from the trash.
RESTORE: Final = script("restore")
#: Reads the jobs that a pool holds, and sets a new fence, so that earlier exchanges change nothing.
RESYNC: Final = script("resync")
#: Returns a job that a Go pool holds and does not run, for the doctor.
RETURN_GHOST: Final = script("return_ghost")
#: Puts dead or waiting jobs into their queues.
REVIVE: Final = script("revive")
#: Puts a job into the scheduled set.
SCHEDULE: Final = script("schedule")
#: Renames a key of a wrong type, for the doctor.
SET_ASIDE: Final = script("set_aside")
#: Reads a part of a set by score, bounded by number and bytes.
SPAN: Final = script("span")
#: Puts an edited job into the place of the job that it was, or back.
SWAP: Final = script("swap")
#: Counts the jobs that hold a lock, for the doctor.
TALLY: Final = script("tally")
