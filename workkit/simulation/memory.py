"""A server in memory for simulated worlds: the commands that workkit uses, and its scripts on Lua.

It exists for speed alone. fakeredis compiles a script and collects Lua's garbage at every call and
passes every command through the wire format, which costs 200 us a script; here a script is compiled
once and costs about a tenth. The tests hold its traces to those of fakeredis, Valkey and Redis. It
has no clock: keys live by virtual time, which the simulator keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from workkit.errors import MissingExtra, ServerRefused
from workkit.simulation.store import Store
from workkit.simulation.values import PREFIX, Status
from workkit.store.connections.target import client_of
from workkit.store.round_trip import Command
from workkit.store.scripts import Script

__all__ = ["MemoryBackend"]

#: What `sim.redis` points to: nothing listens there, the world carries all steps itself.
_NOWHERE: Final = "unix:///nonexistent/workkit-simulation.sock"
_SETUP: Final = """
function(call, pcall)
  redis = {call = call, pcall = pcall}
  redis.error_reply = function(message) return {err = message} end
  redis.status_reply = function(message) return {ok = message} end
end
"""
#: Makes of a script what returns its reply in a row, since what costs is each step from Lua to
#: Python. In front of the items of a table stand `true` and their number, or -1 of an error's, or
#: -2 of a status's.
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


class MemoryBackend:
    """A server of one world.

    Raises:
        MissingExtra: lupa is not installed.
    """

    def __init__(self) -> None:
        try:
            from lupa import lua51
        except ImportError:
            raise MissingExtra("the simulator", "simulation") from None
        self.client = client_of(_NOWHERE)
        self._store = Store()
        self._lua = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=True)
        self._lua.eval(_SETUP)(self._call, self._pcall)
        self._flattened = self._lua.eval(_FLATTENED)
        self._compiled: dict[bytes, Any] = {}

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands in a row."""
        return [self._carry_out(command) for command in commands]

    def close(self) -> None:
        """Forget everything."""
        self._store.clear()

    def _carry_out(self, command: Command) -> Any:
        first = command[0]
        if type(first) is Script:
            return self._run(first.source, command[1], command[2:])
        if first == "EVAL":
            return self._run(command[1], command[2], command[3:])
        try:
            return self._store.do(first.encode(), _all_bytes(command[1:]))
        except ServerRefused as error:
            return error

    # Scripts.

    def _run(self, source: bytes, key_count: int, arguments: Sequence[Any]) -> Any:
        function = self._compiled.get(source)
        if function is None:
            script = self._lua.eval(b"function(KEYS, ARGV)\n" + source + b"\nend")
            function = self._compiled[source] = self._flattened(script)
        given = _all_bytes(arguments)
        table = self._lua.table_from
        try:
            row = function(table(given[:key_count]), table(given[key_count:]))
        except ServerRefused as error:
            return error
        except Exception as error:  # noqa: BLE001 - an error of Lua, which servers reply
            return ServerRefused("ERR", f"{PREFIX}ERR {error}")
        if type(row) is tuple:
            return _read(iter(row))
        return _read(iter(row.values() if hasattr(row, "values") else (row,)))

    def _call(self, verb: bytes, *arguments: Any) -> Any:
        """Carry out what a script calls."""
        reply = self._store.do(
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
        """Carry out what a script calls, errors as tables."""
        try:
            return self._call(verb, *arguments)
        except ServerRefused as error:
            text = str(error).removeprefix(PREFIX)
            return self._lua.table_from({b"err": text.encode()})

    def _to_lua(self, reply: Any) -> Any:
        kind = type(reply)
        if kind is bytes or kind is int:
            return reply
        if reply is None:
            return False
        if kind is Status:
            return self._lua.table_from({b"ok": reply.text})
        return self._lua.table_from([self._to_lua(each) for each in reply])


def _read(row: Iterator[Any]) -> Any:
    """Read the next value of a reply in a row."""
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
        text = next(row).decode()
        return ServerRefused(text.partition(" ")[0], f"{PREFIX}{text}")
    if count == _STATUS:
        return next(row)
    return [_read(row) for _ in range(count)]


def _all_bytes(values: Sequence[Any]) -> list[bytes]:
    return [value if type(value) is bytes else str(value).encode() for value in values]
