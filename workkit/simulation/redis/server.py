"""The server of a simulated world, whose keys expire in virtual time.

fakeredis or a real server carries out every command. This module adds the same to all of them: it
expires keys, caches replies until one of their keys is written, tells listeners about writes, and
sorts replies that have no order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

from workkit.core.entropy import Entropy
from workkit.errors import InvalidOption
from workkit.simulation.redis.backend import Backend
from workkit.simulation.redis.commands import (
    Nature,
    changed_by,
    keys_of,
    nature_of,
)
from workkit.simulation.redis.losing import Audience, Losing, Timeline
from workkit.simulation.redis.refusals import Refusal, guarded, refused, refuses
from workkit.store import scripts
from workkit.store.calls.span import LOWEST, read_span
from workkit.store.keys import Keys
from workkit.store.round_trip import Command

__all__ = ["Audience", "Listener", "SimulatedServer", "Timeline"]

_REMEMBERED: Final = 20_000

#: Called with the keys of a write, if it listens to at least one of them.
Listener = Callable[[Sequence[bytes]], None]
#: Called after a command: with its sender, the command and its reply.
Witness = Callable[[object, Command, Any], None]


class SimulatedServer(Losing):
    """A server in virtual time.

    Args:
        world: The virtual clock and its events.
        keys: The namespace; the engine touches nothing else.
        backend: Carries out commands.
        witness: Called after every command that may have written.
        dice: Makes the random choices of a user's own commands.

    Raises:
        InvalidOption: The namespace is not empty.

    Attributes:
        keys: The namespace.
        commands: How many commands were carried out.
        asked: How many of them the backend carried out; the others were answered from the cache.
        refusal: Why the server refuses writes, or None.
        due_changed: Called when the scheduled or retry set has changed.
        audience: Is told of every change; may be None.
        writes: How many commands have written.
        start_s: When the world began, epoch seconds.
        dice: For the random choices of a user's own commands.
        gate: Called before such a command reaches the server; raises if it may not.
        before_visits: Called with the arguments of such a command before it is carried out.
    """

    def __init__(
        self, world: Timeline, keys: Keys, backend: Backend, witness: Witness, dice: Entropy
    ) -> None:
        self._world = world
        self.start_s = world.start_ms / 1000
        self.dice = dice
        self.gate: Callable[[], None] | None = None
        self.before_visits: Callable[[Sequence[bytes]], None] | None = None
        self.keys = keys
        self._backend = backend
        self._witness = witness
        self._known: dict[bytes, None] = {}  # every key that was ever named
        self._matching: dict[str, tuple[int, list[bytes]]] = {}  # known keys by SCAN pattern
        self._written: dict[bytes, int] = {}  # key -> number of its last write
        self.writes = 0
        self._remembered: dict[Command, tuple[int, tuple[bytes, ...], Any]] = {}
        self._listeners: dict[bytes, dict[object, Listener]] = {}
        self._ends: dict[bytes, int] = {}  # key -> when it expires, virtual microseconds
        self._miscounted: set[str] = set()  # queues whose locks may be wrong
        self.commands: Counter[str] = Counter()
        self.asked = 0
        self.refusal: Refusal | None = None
        self.due_changed: Callable[[], object] | None = None
        self._due_keys = frozenset({keys.scheduled, keys.retry})
        self.audience: Audience | None = None
        self._refuse_if_in_use()
        backend.receive(self)

    def _refuse_if_in_use(self) -> None:
        cursor: Any = 0
        while True:
            pattern = self.keys.everything_pattern()
            cursor, found = self._send([("SCAN", cursor, "MATCH", pattern, "COUNT", 1_000)])[0]
            if found:
                raise InvalidOption(
                    f"the namespace {self.keys.namespace!r} is not empty on this server "
                    f"({found[0].decode('utf-8', 'replace')!r} is there); a simulation needs an "
                    "empty one, since it deletes all keys in it at the end"
                )
            if not int(cursor):
                return

    # Carrying out commands.

    def execute(self, commands: Sequence[Command], who: object = None) -> list[Any]:
        """Carry out commands one after another.

        Args:
            commands: The commands.
            who: Their sender; its own listener is not called.

        Returns:
            Their replies, errors as `ServerRefused` values.
        """
        return [
            self.read(command) if (nature := nature_of(command)).reads
            else self._write(command, nature, who)
            for command in commands
        ]  # fmt: skip

    def read(self, command: Command) -> Any:
        """Answer a command that changes nothing, from the cache if possible."""
        verb = command[0]
        if verb == "SCAN":
            return self._scan(command)
        if verb == "TIME":  # true time; the clocks of hosts may differ
            now_ms = self._world.start_ms + self._world.now_us // 1000
            return [b"%d" % (now_ms // 1000), b"%d" % (now_ms % 1000 * 1000)]
        if verb == "INFO":
            return b""
        if verb is scripts.SPAN and self._none_is_due(command):
            return []
        # A script is cached by its name: hashing its whole text would take too long.
        name = command if type(verb) is str else (verb.name, *command[1:])
        known = self._remembered.get(name)
        if known is not None:
            stamp, keys, reply = known
            if stamp == self.writes:
                return reply
            written = self._written
            for key in keys:
                if written.get(key, 0) > stamp:
                    break
            else:
                return reply
        keys = keys_of(command)
        self._note_names(keys)
        reply = _ordered(verb, self._send([command])[0])
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[name] = self.writes, keys, reply
        return reply

    def _note_names(self, keys: Sequence[bytes]) -> None:
        known = self._known
        for key in keys:
            if key not in known:
                known[key] = None

    def peek(self, command: Command) -> Any:
        """Carry out a command that changes nothing, without the cache."""
        return self._backend.send([command])[0]

    def _none_is_due(self, command: Command) -> bool:
        """Tell from its first member that a sorted set has none up to a score."""
        key, args = read_span(command)
        return args.low == LOWEST and type(args.high) is int and self._head_s(key) > args.high

    def next_due_s(self) -> float:
        """Return when the next scheduled job or retry is due, epoch seconds; infinity for never."""
        return min(self._head_s(self.keys.scheduled), self._head_s(self.keys.retry))

    def _head_s(self, key: bytes) -> float:
        """Return the lowest score of a sorted set; 0 (in the past) for a key of another type."""
        head = self.read(("ZRANGE", key, 0, 0, "WITHSCORES"))
        if not isinstance(head, list):
            return 0.0
        if not head:
            return float("inf")
        return float(head[0][1] if isinstance(head[0], list) else head[1])

    def _scan(self, command: Command) -> Any:
        """Answer SCAN with all keys at once, sorted; servers return them in no particular order."""
        glob = command[command.index("MATCH") + 1]
        seen, matching = self._matching.get(glob, (0, []))
        if seen < len(self._known):
            pattern = _regex(glob)
            fresh = islice(self._known, seen, None)
            matching = sorted([*matching, *filter(pattern.fullmatch, fresh)])
            self._matching[glob] = len(self._known), matching
        return [b"0", [key for key in matching if self.read(("EXISTS", key))]]

    def _write(self, command: Command, nature: Nature, who: object) -> Any:
        if command[0] == "EXPIREAT":  # the server's clock differs from the world's
            now_s = self._world.start_ms // 1000 + self._world.now_us // 1_000_000
            command = ("EXPIRE", command[1], max(command[2] - now_s, 1))
            nature = nature_of(command)
        keys = keys_of(command)
        self._note_names(keys)
        mortal = self._mortal(keys, nature.gives_life, nature.gives_hash_life)
        if self.refusal is not None:
            allowed = guarded(command, self.refusal)
            if allowed is None:
                return self.refusal.error()
            command, asked = allowed, command
        reply = self._send([command])[0]
        if self.refusal is not None:
            command = asked
            if refused(reply):
                return self.refusal.error()
        changed = changed_by(command, reply, lambda key: self.read(("TYPE", key)))
        if mortal := [key for key in mortal if key in changed]:
            self._take_over(mortal)
        self._note(changed, who)
        self._witness(who, command, reply)
        if self.audience is not None:
            self.audience.wrote(who, command, changed)
        return reply

    def _note(self, keys: Sequence[bytes], who: object) -> None:
        """Record that keys were written, and call their listeners."""
        self.writes += 1
        told: dict[object, Listener] = {}
        for key in keys:
            self._written[key] = self.writes
            told |= self._listeners.get(key, {})
            if key in self._due_keys and self.due_changed is not None:
                self.due_changed()
        told.pop(who, None)
        for tell in told.values():
            tell(keys)

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        self.asked += len(commands)
        return self._backend.send(commands)

    # Listeners.

    def listen(self, who: object, keys: Sequence[bytes], tell: Listener) -> None:
        """Call a listener at the next write to one of these keys by another sender."""
        for key in keys:
            self._listeners.setdefault(key, {})[who] = tell

    def unlisten(self, who: object, keys: Sequence[bytes]) -> None:
        """Remove a listener."""
        for key in keys:
            self._listeners.get(key, {}).pop(who, None)

    def listeners(self) -> list[Any]:
        """Return all listeners."""
        return list(dict.fromkeys(who for told in self._listeners.values() for who in told))

    # Commands that a user sends through `Simulation.redis`; see `Visits`.

    def now_us(self) -> int:
        """Return the time, microseconds since the world began."""
        return self._world.now_us

    def admit(self) -> None:
        """Check that the server can be reached.

        Raises:
            ServerUnavailable: The server is away.
        """
        if self.gate is not None:
            self.gate()

    def arrives(self, verb: str, fields: Sequence[bytes], *, writes: bool) -> str:
        """Return why a command is refused, or ""; called before it is carried out."""
        if self.before_visits is not None:
            self.before_visits(fields)
        if writes and self.refusal is not None and refuses(self.refusal, verb):
            return self.refusal.text
        return ""

    def wrote(self, verb: str, keys: Sequence[bytes]) -> None:
        """Record the keys that a command has written."""
        self._note_names(keys)
        self._take_over(keys)
        self._note(keys, None)
        if self.audience is not None:
            self.audience.wrote(None, (verb,), keys)

    # Expiry.

    def _mortal(self, keys: Sequence[bytes], strings: bool, hashes: bool) -> list[bytes]:
        if hashes:
            return [key for key in dict.fromkeys(keys) if self.keys.may_expire(key)]
        if strings:
            return [key for key in dict.fromkeys(keys) if self.keys.may_expire_as_string(key)]
        return []

    def _take_over(self, keys: Sequence[bytes]) -> None:
        """Take over the expiry of keys that have just been written."""
        for key, end_us in zip(keys, self._backend.ends_us(keys), strict=True):
            if end_us is None:
                self._ends.pop(key, None)
            elif end_us >= 0 and end_us != self._ends.get(key):
                self._ends[key] = end_us
                self._world.at(end_us, self._expire, key)

    def ends_us(self, key: bytes) -> float:
        """Return when a key expires, microseconds since the world began; infinity for never."""
        return self._ends.get(key, float("inf"))

    def _expire(self, key: bytes) -> None:
        if self._ends.get(key) == self._world.now_us:
            del self._ends[key]
            self._send([("DEL", key)])
            self._note([key], None)
            if self.audience is not None:
                self.audience.expired(key)

    # Ending.

    def wipe(self) -> None:
        """Delete every key of the world."""
        known = list(self._known)
        self._backend.wipe(known)
        self._ends.clear()
        self._note(known, None)
        if self.audience is not None:
            self.audience.wiped()

    def close(self) -> None:
        """Delete every key of the world and close the backend."""
        self.audience = self.due_changed = None
        self.wipe()
        self._backend.close()


def _ordered(verb: Any, reply: Any) -> Any:
    """Sort a reply that has no order."""
    if verb == "SMEMBERS" and isinstance(reply, (list, set, frozenset)):
        return sorted(reply)
    if verb == "HGETALL":
        if isinstance(reply, list):
            return dict(sorted(zip(reply[::2], reply[1::2], strict=True)))
        if isinstance(reply, dict):
            return dict(sorted(reply.items()))
    return reply


def _regex(glob: str) -> re.Pattern[bytes]:
    """Translate a SCAN pattern, which holds only stars and escapes, to a regular expression."""
    parts = re.findall(r"\\.|\*|[^\\*]+", glob)
    return re.compile(
        "".join(
            ".*" if part == "*" else re.escape(part.removeprefix("\\")) for part in parts
        ).encode(),
        re.DOTALL,
    )
