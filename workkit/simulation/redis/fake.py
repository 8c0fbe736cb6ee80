"""fakeredis as the server of a simulated world, on a short path.

At every call fakeredis writes and reads the wire format, compiles the script and collects Lua's
garbage. That would make worlds more than twice as slow. So this module calls the engine's commands
as Python methods, which it finds in fakeredis's table of commands, and compiles each script once.
Commands that a user sends through `client` take fakeredis's ordinary path, with the virtual time
and the random choices of the world.

This rests on internals of fakeredis. `differences` (in `probing.py`) compares the short path with
the ordinary one, so that `open_backend` can take the ordinary one where they have changed.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from fakeredis import FakeRedis, FakeServer
from fakeredis import _msgs as msgs
from fakeredis._clients._sync import FakeRedisConnection
from fakeredis._commands import COMMANDS_WITH_SUB, SUPPORTED_COMMANDS, Key
from fakeredis._core import CommandItem, Database, Item
from fakeredis._helpers import SimpleError, SimpleString
from fakeredis._socket import FakeSocket
from fakeredis._socket._resp import convert_to_resp2, extract_command
from fakeredis.model import is_write_command

from workkit.core.entropy import Entropy
from workkit.errors import ServerUnavailable
from workkit.simulation.redis.backend import Visits, confirmed
from workkit.simulation.redis.lua import Scripts, all_bytes, refused
from workkit.store.round_trip import CONFIRMING, Command
from workkit.store.scripts import Script

__all__ = ["FakeBackend"]

#: fakeredis's modules that read the time, and those that draw random numbers.
_TIMED: Final = (
    "fakeredis._helpers", "fakeredis._socket._base", "fakeredis.commands_mixins.server_mixin",
    "fakeredis.model._stream",
)  # fmt: skip
_RANDOM: Final = (
    "fakeredis._core._database", "fakeredis.commands_mixins.hash_mixin",
    "fakeredis.commands_mixins.sortedset_mixin", "fakeredis.model._expiring_members_set",
)  # fmt: skip
#: Keys are deleted by an event of the world. fakeredis itself would expire them this much later,
#: seconds, so that a rounding error never expires a key before other events of that microsecond.
_LATER_S: Final = 0.000_01
#: Commands that may carry out any other command.
_OPAQUE: Final = frozenset({"eval", "evalsha", "fcall", "exec"})
_WOULD_WAIT: Final = (
    "ERR there is nothing yet, and commands do not wait in a simulation; use a command that does "
    "not block, and let time pass with sim.sleep"
)
_LEAVES: Final = frozenset({bytes, int, type(None)})


class _CallPlan(NamedTuple):
    """How to call a command with a certain number of arguments, read once from its signature.

    Attributes:
        function: The method.
        keys: For each argument that is a key: its index, its marker, and the type of a new value.
        decoded: For each other argument that is not bytes: its index and its decoder.
        keeps_empty: Whether an empty value stays.
        converts: Whether replies are converted to types of RESP2.
    """

    function: Callable[..., Any]
    keys: tuple[tuple[int, Key, Callable[[], Any] | None], ...]
    decoded: tuple[tuple[int, Callable[[bytes], Any]], ...]
    keeps_empty: bool
    converts: bool


class _VirtualDatabase(Database):
    """Keys and values; records the keys that a user's command has written."""

    def __init__(self, lock: Any) -> None:
        super().__init__(lock)
        self.written: dict[bytes, None] = {}

    def expired(self, item: Any) -> bool:
        """Tell whether a key has expired."""
        return item.expireat is not None and item.expireat < self.time - _LATER_S

    def notify_watch(self, key: bytes) -> None:
        """Record a write, and notify connections that WATCH the key; no connection is blocked."""
        self.written[key] = None
        for socket in self._watches.get(key, ()):
            socket.notify_watch()


class _EngineSocket(FakeSocket):
    """Carries out the engine's commands; no bytes pass through it."""

    _script_resp = 2  # replies of RESP2, as scripts get them

    def add_subkey_event(self, *_: Any) -> None:
        """Record nothing: nobody subscribes to the hash fields of the engine."""


class _UserSocket(FakeSocket):
    """One connection of the user's client."""

    def sendall(self, data: Any) -> None:
        """Send bytes, unless the server cannot be reached."""
        self._backend.admit()
        super().sendall(data)

    @property
    def _backend(self) -> FakeBackend:
        backend: FakeBackend = self._server.workkit  # type: ignore[attr-defined]
        return backend

    def _process_command(self, fields: list[bytes]) -> None:
        name = extract_command(fields)[0]
        refusal = self._backend.arrives(name, fields)
        if name == "blmove" and len(fields) > 1 and not self._in_transaction:
            # fakeredis replies at once if there is no source, and never calls `_blocking`.
            refusal = refusal or ("" if fields[1] in self._db else _WOULD_WAIT)
        if refusal:
            self.put_response(self._decode_error(SimpleError(refusal)))
            return
        with self._backend.visited(name):
            super()._process_command(fields)

    def _blocking(
        self,
        timeout: float | None,
        func: Callable[[bool], Any],
        shape: Callable[[Any], Any] | None = None,
    ) -> Any:
        del timeout
        found = func(True)
        if found is None and not self._in_transaction:
            raise SimpleError(_WOULD_WAIT)
        return found if shape is None else shape(found)


class _UserConnection(FakeRedisConnection):
    """A connection of the user's client, as redis-py has it."""

    def _connect(self) -> FakeSocket:
        assert self._server is not None  # noqa: S101 - it was given
        return _UserSocket(
            self._server, client_class=self._client_class, db=self.db, client_info=self._client_info
        )


class _VirtualTime:
    """Replaces the module `time` in fakeredis."""

    def __init__(self, now_s: float) -> None:
        self._now_s = now_s

    def time(self) -> float:
        """Return the time of the world, epoch seconds."""
        return self._now_s


class _Dice:
    """Replaces the module `random` in fakeredis."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy

    def randrange(self, bound: int) -> int:
        """Draw a number below a bound."""
        return self._entropy.below(bound)

    def choices(self, population: Sequence[Any], *, k: int) -> list[Any]:
        """Draw with repetitions."""
        return [population[self.randrange(len(population))] for _ in range(k)]

    def sample(self, population: Sequence[Any], k: int) -> list[Any]:
        """Draw without repetitions."""
        left = list(population)
        return [left.pop(self.randrange(len(left))) for _ in range(k)]


class FakeBackend:
    """A fakeredis server that belongs to one world."""

    def __init__(self) -> None:
        server: Any = FakeServer()
        server.dbs = defaultdict(lambda: _VirtualDatabase(server.lock))
        server.workkit = self
        self._database: _VirtualDatabase = server.dbs[0]
        self._databases: dict[int, _VirtualDatabase] = server.dbs
        self._socket = _EngineSocket(server, 0, client_class=FakeRedis)
        self.client = FakeRedis(server=server, connection_class=_UserConnection)
        self._visits: Visits | None = None
        self._dice = _Dice(Entropy("visits"))
        self._start_s = 0.0
        self._plans: dict[tuple[bytes, int], _CallPlan] = {}
        self._scripts = Scripts(self._do)

    def receive(self, visits: Visits) -> None:
        """Attach the world."""
        self._visits = visits
        self._dice = _Dice(visits.dice)

    def _now_s(self) -> float:
        visits = self._visits
        return visits.start_s + visits.now_us() / 1_000_000 if visits is not None else 0.0

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands one after another."""
        self._database.time = self._now_s()
        return [self._carry_out(command) for command in commands]

    def ends_us(self, keys: Sequence[bytes]) -> list[int | None]:
        """Return when keys expire, microseconds since the world began."""
        start_s = self._visits.start_s if self._visits is not None else 0.0
        items = [self._database._dict.get(key) for key in keys]  # noqa: SLF001
        return [
            None if item is None or item.expireat is None
            else round((item.expireat - start_s) * 1_000_000)
            for item in items
        ]  # fmt: skip

    def wipe(self, keys: Sequence[bytes]) -> None:
        """Delete everything."""
        del keys
        for database in self._databases.values():
            database._dict.clear()  # noqa: SLF001

    def close(self) -> None:
        """Close the client and delete everything."""
        self.client.close()
        self.wipe(())

    # Commands of the engine.

    def _carry_out(self, command: Command) -> Any:
        first = command[0]
        if type(first) is Script:
            return self._scripts.run(first.source, command[1], command[2:])
        if first == "EVAL":
            return self._scripts.run(command[1], command[2], command[3:])
        if first in CONFIRMING:
            return confirmed(command)
        try:
            reply = self._do(first.encode(), all_bytes(command[1:]))
        except SimpleError as error:
            return refused(error.value)
        return reply.value if type(reply) is SimpleString else reply

    def _do(self, verb: bytes, arguments: list[Any]) -> Any:
        """Carry out a command of the engine, as `_run_command` of fakeredis does.

        Raises:
            SimpleError: It is refused.
        """
        try:
            plan = self._plans[verb, len(arguments)]
        except KeyError:
            plan = self._plans[verb, len(arguments)] = self._plan(verb, len(arguments))
        function, keys, decoded, keeps_empty, converts = plan
        database = self._database
        stored = database._dict  # noqa: SLF001
        for at, decode in decoded:
            arguments[at] = decode(arguments[at])
        for at, marker, make in keys:
            key = arguments[at]
            item = stored.get(key)
            if item is None:
                if marker.missing_return is not Key.UNSPECIFIED:
                    return marker.missing_return
                arguments[at] = CommandItem(key, database, None, make() if make else None)
            elif marker.type_ is not None and type(item.value) is not marker.type_:
                raise SimpleError(msgs.WRONGTYPE_MSG)
            else:
                arguments[at] = CommandItem(key, database, item)
        items = [arguments[at] for at, _, _ in keys]
        try:
            reply = function(*arguments)
        finally:
            for item in items:
                if item._modified:  # noqa: SLF001
                    _write_back(database, item, keeps_empty)
        if converts and type(reply) not in _LEAVES:
            return convert_to_resp2(reply)
        return reply

    def _plan(self, verb: bytes, count: int) -> _CallPlan:
        name = verb.decode().lower()
        if name in COMMANDS_WITH_SUB or name not in SUPPORTED_COMMANDS:
            raise SimpleError(msgs.UNKNOWN_COMMAND_MSG.format(name))
        signature = SUPPORTED_COMMANDS[name]
        signature.check_arity([b""] * count, self._socket.version)
        types: list[Any] = list(signature.fixed)
        while len(types) < count:
            types += signature.repeat
        creates = msgs.FLAG_DO_NOT_CREATE not in signature.flags
        return _CallPlan(
            getattr(self._socket, signature.func_name),
            tuple(
                (at, kind, kind.type_ if creates and kind.type_ is not bytes else None)
                for at, kind in enumerate(types)
                if isinstance(kind, Key)
            ),
            tuple(
                (at, kind.decode)
                for at, kind in enumerate(types)
                if not isinstance(kind, Key) and kind is not bytes
            ),
            msgs.FLAG_LEAVE_EMPTY_VAL in signature.flags,
            msgs.FLAG_SKIP_CONVERT_TO_RESP2 not in signature.flags,
        )

    # Commands of a user.

    def admit(self) -> None:
        """Check that the server can be reached.

        Raises:
            ConnectionError: It cannot; redis-py's error.
        """
        try:
            if self._visits is not None:
                self._visits.admit()
        except ServerUnavailable as error:
            raise FakeSocket._connection_error_class(str(error)) from None  # noqa: SLF001

    def arrives(self, name: str, fields: Sequence[bytes]) -> str:
        """Return why a user's command is refused, or ""; called before it is carried out."""
        if self._visits is None:
            return ""
        writes = name in _OPAQUE or is_write_command(name.encode())
        return self._visits.arrives(name.upper(), fields, writes=writes)

    @contextmanager
    def visited(self, name: str) -> Iterator[None]:
        """Run a user's command with the world's time and dice; report the keys that it wrote."""
        written = self._database.written
        written.clear()
        with (
            _replaced(_TIMED, "time", _VirtualTime(self._now_s())),
            _replaced(_RANDOM, "random", self._dice),
        ):
            yield
        if written and self._visits is not None:
            self._visits.wrote(name.upper(), list(written))


@contextmanager
def _replaced(modules: Sequence[str], name: str, stand_in: object) -> Iterator[None]:
    """Replace an attribute in modules of fakeredis for a while."""
    found = [importlib.import_module(each) for each in modules]
    before = [getattr(each, name) for each in found]
    for each in found:
        setattr(each, name, stand_in)
    try:
        yield
    finally:
        for each, old in zip(found, before, strict=True):
            setattr(each, name, old)


def _write_back(database: _VirtualDatabase, item: CommandItem, keeps_empty: bool) -> None:
    """Store a value that a command has changed; as `CommandItem.writeback`."""
    stored, key, value = database._dict, item.key, item.value  # noqa: SLF001
    if database._watches:  # noqa: SLF001 - a user's connection may WATCH it
        database.notify_watch(key)
    if type(value) is not bytes and (value is None or not (value or keeps_empty)):
        stored.pop(key, None)
        return
    kept = stored.get(key)
    if kept is None:
        kept = stored[key] = Item(None)
    kept.value = value
    kept.expireat = item.expireat
    database.schedule_expiry(key, item.expireat)
