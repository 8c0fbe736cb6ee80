"""Records acts, without I/O.

An act is recorded before it happens, so that none happens in silence: if the connection breaks
later, the record shows an act without an end. What came of it is recorded after it, if the server
can still be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec

from workkit.core.actor import program, who_am_i
from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.masks import Masks
from workkit.core.seals import seal_here
from workkit.core.secrets import SECRETS
from workkit.errors import ServerError, ServerRefused
from workkit.store.calls import acts, queues, server
from workkit.store.calls.acts import ActEntry
from workkit.store.keys import Keys, check_name
from workkit.store.round_trip import Step

__all__ = ["MOST_IDS", "ActsLog", "Began"]

R = TypeVar("R")

#: Longer texts are cut, characters.
_TEXT_CHARS: Final = 1_000
_ID_CHARS: Final = 64
#: So many ids of jobs are recorded.
MOST_IDS: Final = 50


class Began(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of an act before it happens; see `Act`. It holds no secrets yet."""

    verb: str
    by: str = ""
    subject: str = ""
    place: str = ""
    queue: str = ""
    query: str = ""
    planned: int = 0
    ids: Sequence[str] = ()
    digest: str = ""
    before: str = ""
    after: str = ""
    operation: str = ""
    undoes: str = ""


class ActsLog:
    """Records acts of one user.

    Args:
        keys: The namespace.
        clock: Tells the time where the server does not.
        entropy: Makes ids.
        by: Who acts; "" for the user of this process.

    Attributes:
        by: Who acts.
        program: The name of this program; "" if unknown.
    """

    def __init__(self, keys: Keys, clock: Clock, entropy: Entropy, by: str = "") -> None:
        self._keys = keys
        self._clock = clock
        self._entropy = entropy
        self.by = _plain(by or who_am_i())[:_TEXT_CHARS]
        self.program = _plain(program())
        self._masks = Masks(SECRETS)

    def hide_also(self, patterns: Iterable[str]) -> None:
        """Hide values under further names.

        Args:
            patterns: As for `Masks`.
        """
        self._masks = Masks((*SECRETS, *patterns))

    # Entries.

    def entry(self, began: Began, *, whole: bool = False) -> Step[tuple[str, ActEntry]]:
        """Return the id of a new act, and its entry for a script that records and does it.

        Args:
            began: The act.
            whole: Whether the script does all of it, so that no second entry follows.
        """
        act_id = began.operation or self._entropy.identifier()[:12]
        fields = msgspec.to_builtins(began)
        fields |= {name: self._shown(fields[name]) for name in _SHOWN & fields.keys()}
        if began.ids:
            fields["ids"] = _first_ids(began.ids)
        named = {"by": self.by, "program": self.program}
        phase = "whole" if whole else "begin"
        return act_id, (yield from self._entry(act_id, phase, {**named, **fields}))

    def _entry(self, act_id: str, phase: str, fields: Mapping[str, Any]) -> Step[ActEntry]:
        """Return an entry of now, sealed if this process has a key."""
        at_ms = yield from self._now_ms()
        body = msgspec.json.encode({"id": act_id, "phase": phase, "at": at_ms, **fields})
        seal = seal_here(self._keys.namespace)
        if seal is not None:
            ends = yield from acts.head(self._keys)
            body = seal.seal(body, ends.number, ends.link)
        return ActEntry(body, at_ms)

    def _now_ms(self) -> Step[int]:
        told = yield from server.server_ms()
        return told if told is not None else self._clock.read().epoch_ms

    def _shown(self, text: str) -> str:
        return self._masks.text(_plain(text))[:_TEXT_CHARS]

    # Acts.

    def begin(self, began: Began) -> Step[str]:
        """Record an act that is about to happen; return its id.

        Raises:
            ServerError: It was not recorded, so it must not happen.
        """
        act_id, entry = yield from self.entry(began)
        yield from self.guarded(acts.record(self._keys, entry))
        return act_id

    def guarded(self, step: Iterable[Any]) -> Step[Any]:
        """Carry out the first step of an act, which records it.

        Raises:
            ServerRefused: The server refuses. The error says that nothing was done.
        """
        try:
            return (yield from step)
        except ServerRefused as error:
            keys = " and ".join(key.decode("utf-8", "replace") for key in acts.act_keys(self._keys))
            message = f"nothing was done, since it could not be recorded in {keys}: {error}"
            raise ServerRefused(error.code, message, error.key) from None

    def end(self, act_id: str, **outcome: Any) -> Step[None]:
        """Record what came of an act. If the server cannot be reached, the act stays without end.

        Args:
            act_id: Its id.
            **outcome: `done`, `after` and `note` of `Act`, and `ids` and `digest` if they were
                not known before; without the values that are "".
        """
        with suppress(ServerError):
            if "ids" in outcome:
                outcome["ids"] = _first_ids(outcome["ids"])
            told = {
                name: self._shown(value) if isinstance(value, str) else value
                for name, value in outcome.items()
                if value != ""
            }
            entry = yield from self._entry(act_id, "end", told)
            yield from acts.record(self._keys, entry)

    def pause(self, name: str, *, wanted: bool) -> Step[bool]:
        """Pause or unpause a queue, in one step with its entry. Return whether it was paused.

        Args:
            name: The job's name.
            wanted: Whether it is to be paused.

        Raises:
            InvalidName: The name is not valid.
        """
        verb, after = ("pause", "paused") if wanted else ("unpause", "running")
        began = Began(verb, place="queued", queue=check_name(name), after=after)
        _, entry = yield from self.entry(began, whole=True)
        was: bool = yield from self.guarded(queues.pause(self._keys, name, entry, wanted=wanted))
        return was

    def recorded(
        self, began: Began, step: Step[R], outcome: Callable[[R], Mapping[str, Any]]
    ) -> Step[R]:
        """Carry out an act, and record it before and after.

        Args:
            began: The act.
            step: What it does.
            outcome: Returns what `end` records, from the result.

        Raises:
            ServerError: It was not recorded, and not done; or it failed.
        """
        act_id = yield from self.begin(began)
        result = yield from self.ending(act_id, step)
        yield from self.end(act_id, **outcome(result))
        return result

    def ending(self, act_id: str, step: Generator[Any, Any, R]) -> Generator[Any, Any, R]:
        """Carry out an act that has begun; if the server refuses it, record why.

        Args:
            act_id: Its id.
            step: What it does: a step, or a walk.

        Raises:
            ServerError: It failed.
        """
        try:
            return (yield from step)
        except ServerRefused as error:  # a server that cannot be reached is not asked again
            yield from self.end(act_id, note=f"failed: {error}")
            raise


#: The fields that hold text of users or of Redis.
_SHOWN: Final = frozenset({"by", "subject", "queue", "query", "before", "after", "undoes"})


def _first_ids(job_ids: Sequence[str]) -> list[str]:
    return [_plain(each)[:_ID_CHARS] for each in job_ids[:MOST_IDS]]


def _plain(text: str) -> str:
    """Return a text that can be encoded: lone surrogates are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
