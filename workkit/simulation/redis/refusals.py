"""A server that refuses writes; like a real one, it may refuse in the middle of a script."""

from __future__ import annotations

from functools import cache
from typing import Final

from workkit.errors import ServerRefused
from workkit.simulation.redis.commands import READS
from workkit.store.round_trip import Command
from workkit.store.scripts import Script

__all__ = ["Refusal", "guarded", "refused", "refuses"]

_MARK: Final = "workkit-refused"
#: Writes that take no memory, which a full server allows.
_FREEING: Final = frozenset(
    {"DEL", "EXPIRE", "HDEL", "LREM", "PEXPIREAT", "RPOP", "SREM", "UNLINK", "XTRIM", "ZREM"}
)
_TEXTS: Final = {
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY": "READONLY You can't write against a read only replica.",
}
#: A full server checks each command of a script until the script has written; then the script may
#: finish. A replica refuses every write.
_GUARD: Final = """
local real, dirty, free, reads = redis, false, {%s}, {%s}
local function denied(verb)
  if reads[verb] or (dirty and %s) then return false end
  if free[verb] and %s then dirty = true return false end
  return true
end
local redis = setmetatable({}, {__index = real})
function redis.call(verb, ...)
  if denied(verb) then error('workkit-refused') end
  return real.call(verb, ...)
end
function redis.pcall(verb, ...)
  if denied(verb) then return {err = 'workkit-refused'} end
  return real.pcall(verb, ...)
end
"""


class Refusal:
    """A reason to refuse writes.

    Args:
        code: "OOM" or "READONLY".
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self.is_full = code == "OOM"

    @property
    def text(self) -> str:
        """The message of the server."""
        return _TEXTS[self.code]

    def error(self) -> ServerRefused:
        """Return the error reply."""
        return ServerRefused(self.code, f"Redis refused: {self.text}")


def guarded(command: Command, refusal: Refusal) -> Command | None:
    """Return the command with a guard for scripts; None if it is refused as a whole."""
    first = command[0]
    if isinstance(first, Script):
        return ("EVAL", _guard(refusal.is_full) + first.source, *command[1:])
    return None if refuses(refusal, first) else command


def refuses(refusal: Refusal, verb: str) -> bool:
    """Tell whether a server that refuses writes refuses a command that writes."""
    return not refusal.is_full or verb not in _FREEING


def refused(reply: object) -> bool:
    """Tell whether a script was refused in the middle."""
    return isinstance(reply, ServerRefused) and _MARK in str(reply)


@cache
def _guard(is_full: bool) -> bytes:
    def table(verbs: frozenset[str]) -> str:
        return ",".join(f"{verb}=true" for verb in sorted(verbs))

    flag = "true" if is_full else "false"
    return (_GUARD % (table(_FREEING), table(READS), flag, flag)).encode()
