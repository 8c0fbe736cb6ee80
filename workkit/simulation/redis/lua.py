"""Runs the engine's Lua scripts: compiles each once, and reads its reply as one flat row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from fakeredis._helpers import SimpleError, SimpleString
from lupa import lua51

from workkit.errors import ServerRefused

__all__ = ["Scripts", "all_bytes", "refused"]

#: Precedes the server's own message, as on a real server.
_PREFIX: Final = "Redis refused: "
_SETUP: Final = """
function(call, pcall, sha1hex)
  redis = {call = call, pcall = pcall, sha1hex = sha1hex}
  redis.error_reply = function(message) return {err = message} end
  redis.status_reply = function(message) return {ok = message} end
end
"""
#: Makes a script return its reply as one row, since each step from Lua to Python is expensive. A
#: table is written as `true`, the number of its items, and its items. In place of the number, -1
#: says that an error follows, and -2 a status.
_FLATTENED: Final = """
function(script)
  local function append(row, value)
    if type(value) ~= 'table' then
      row[#row + 1] = value == true and 1 or value or false
    elseif value.err or value.ok then
      row[#row + 1], row[#row + 2] = true, value.err and -1 or -2
      row[#row + 1] = value.err or value.ok
    else
      local count_at = #row + 2
      row[count_at - 1], row[count_at] = true, 0
      for number, item in ipairs(value) do
        row[count_at] = number
        append(row, item)
      end
    end
  end

  return function(keys, arguments)
    local row = {}
    append(row, script(keys, arguments))
    if #row > 4000 then return row end  -- more than a call can return
    return unpack(row)
  end
end
"""
_ERROR: Final = -1
_STATUS: Final = -2


class Scripts:
    """The scripts of one server.

    Args:
        do: Carries out a command, given its verb and its arguments; it may change the list.
    """

    def __init__(self, do: Callable[[bytes, list[Any]], Any]) -> None:
        self._do = do
        self._lua = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=True)
        self._lua.eval(_SETUP)(self._call, self._pcall, _sha1hex)
        self._flattened = self._lua.eval(_FLATTENED)
        self._compiled: dict[bytes, Any] = {}

    def run(self, source: bytes, key_count: int, arguments: Sequence[Any]) -> Any:
        """Run a script; an error comes back as a `ServerRefused` value."""
        function = self._compiled.get(source)
        if function is None:
            script = self._lua.eval(b"function(KEYS, ARGV)\n" + source + b"\nend")
            function = self._compiled[source] = self._flattened(script)
        given = all_bytes(arguments)
        table = self._lua.table_from
        try:
            row = function(table(given[:key_count]), table(given[key_count:]))
        except SimpleError as error:
            return refused(error.value)
        except Exception as error:  # noqa: BLE001 - servers reply with errors of Lua
            return refused(f"ERR {error}")
        if type(row) is tuple:
            return _read(iter(row))
        return _read(iter(row.values() if hasattr(row, "values") else (row,)))

    def _call(self, verb: bytes, *arguments: Any) -> Any:
        """Carry out a command of a script."""
        reply = self._do(
            verb,
            [
                each if type(each) is bytes else b"%d" % each if type(each) is int
                else f"{each:.17g}".encode()
                for each in arguments
            ],
        )  # fmt: skip
        kind = type(reply)
        return reply if kind is bytes or kind is int else self._to_lua(reply)

    def _pcall(self, verb: bytes, *arguments: Any) -> Any:
        """Carry out a command of a script, with errors as tables."""
        try:
            return self._call(verb, *arguments)
        except SimpleError as error:
            return self._lua.table_from({b"err": error.value.encode()})

    def _to_lua(self, reply: Any) -> Any:
        kind = type(reply)
        if kind is bytes or kind is int:
            return reply
        if reply is None:
            return False
        if kind is SimpleString:
            return self._lua.table_from({b"ok": reply.value})
        return self._lua.table_from([self._to_lua(each) for each in reply])


def _sha1hex(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


def _read(row: Iterator[Any]) -> Any:
    """Read the next value of a flat reply."""
    value = next(row)
    kind = type(value)
    if kind is bytes or kind is int:
        return value
    if kind is float:
        return int(value)
    if value is not True:
        return None
    count = next(row)
    if count == _ERROR:
        return refused(next(row).decode())
    if count == _STATUS:
        return next(row)
    return [_read(row) for _ in range(count)]


def refused(message: str) -> ServerRefused:
    """Make an error reply of a server's message."""
    return ServerRefused(message.partition(" ")[0], f"{_PREFIX}{message}")


def all_bytes(values: Sequence[Any]) -> list[Any]:
    """Return arguments as bytes, as the wire format has them."""
    return [value if type(value) is bytes else str(value).encode() for value in values]
