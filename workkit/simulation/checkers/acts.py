"""Checkers of what operators do: it is recorded, and an undo brings back what was there."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from workkit.simulation.checkers.base import Checker
from workkit.simulation.checkers.moves import (
    EXPIRED,
    RESTORED,
    HandlerRun,
    Move,
    PlacedJob,
    RedisChange,
)
from workkit.store.calls import acts
from workkit.store.calls.acts import ActRow
from workkit.store.calls.layout import keys_and_args

__all__ = ["ActsAreRecorded", "UndoBringsBack"]

#: Scripts that move jobs for an operator.
_DOING: Final = frozenset({"remove", "revive", "swap"})
_UNDOING: Final = frozenset({"restore", "recall"})
#: Where swap.lua has what the trash keeps; empty when an edit is undone.
_DETAILS_AT: Final = 12
#: Commands of others than workkit that may change whether a queue is paused.
_OTHERS: Final = frozenset({"SET", "DEL", "UNLINK", "RPUSH", EXPIRED})
#: Where a call of pause.lua has the key of the queue.
_PAUSED_AT: Final = 2
#: Where the scripts that record acts have the number of entries to keep, among their arguments.
_KEPT_AT: Final = {"act": 1, "note": 5, "pause": 2}
#: A script removes at most this many.
_MOST_TRIMMED: Final = 100
_SWITCHES: Final = {"pause": "paused", "unpause": "running"}


class _Begun(msgspec.Struct):
    """An act that has begun.

    Attributes:
        verb: What is done.
        subject: The operation that it is, or that it undoes; "" for neither.
        moved: How many jobs were moved since.
    """

    verb: str
    subject: str
    moved: int = 0


class ActsAreRecorded(Checker):
    """What an operator does to jobs and queues is recorded before it is done, in a whole chain.

    Each entry has the next number, names the digest of the entry before, and has the digest of its
    own content. The record keeps as many entries as its writer says, and a trim takes the oldest.
    Its head names both ends of the chain. An act that has ended says how many jobs it has changed.
    """

    rule = "acts are recorded"

    def __init__(self) -> None:
        self._last = (0, b"")  # number and digest of the newest entry
        self._length: int | None = 0  # None: unknown
        self._begun: dict[str, _Begun] = {}
        self._paused: dict[bytes, bool | None] = {}  # None: unknown
        self._others_paused: bool | None = False  # of queues that are not in `_paused`

    def changed(self, change: RedisChange) -> None:
        """Follow the chain, and look for acts of what was done."""
        if change.command == RESTORED:
            self._begin_again()
            return
        if self.scene.keys.acts in change.keys:
            row = self._new_row()
            if row is not None:
                self._follow(row, change)
            elif change.command == "pause" and self._turned(change) in {
                (True, False),
                (False, True),
            }:
                self.violated("a queue was paused or unpaused without an act")
        elif change.command in _OTHERS:
            for key in change.keys:
                self._paused[key] = None
        if change.command in _DOING | _UNDOING and change.moves:
            self._look(change)

    def _begin_again(self) -> None:
        """Take the newest entry that Redis still has as it is."""
        rows = self._read()
        self._last = (rows[0].number, rows[0].link) if rows else (0, b"")
        self._length = None
        self._begun.clear()
        self._paused.clear()
        self._others_paused = None

    def _read(self) -> list[ActRow]:
        trip = acts.read(self.scene.keys, "-", "+", 1, newest_first=True)
        return trip.parse([self.scene.read(*trip.commands[0])])

    def _new_row(self) -> ActRow | None:
        """Return the newest entry if it is new; a script writes one."""
        for newest in self._read():
            if newest.number != self._last[0]:
                return newest
        return None

    def _follow(self, row: ActRow, change: RedisChange) -> None:
        number, link = self._last
        self._last = row.number, row.link
        if row.number != number + 1:
            self.violated(f"entry {row.number} of the acts follows entry {number}")
        if row.before != link:
            self.violated(f"entry {row.number} of the acts does not name the one before")
        if row.own() != row.link:
            self.violated(f"entry {row.number} of the acts has another digest than its content")
        self._check_ends(row, change)
        body: dict[str, Any] = msgspec.json.decode(row.body)
        act_id, phase = body["id"], body["phase"]
        if phase == "begin":
            subject = body.get("undoes") or body.get("operation", "")
            self._begun[act_id] = _Begun(body["verb"], subject)
        elif phase == "end":
            self._ended(act_id, body)
        elif body["verb"] in _SWITCHES:
            self._switched(body, row, change)

    def _check_ends(self, newest: ActRow, change: RedisChange) -> None:
        """Compare the ends of the chain with its head, and its length with what is kept."""
        scene = self.scene
        ends = acts.head(scene.keys)
        head = ends.parse([scene.read(*ends.commands[0])])
        if (head.number, head.link) != (newest.number, newest.link):
            self.violated(f"the head of the acts names entry {head.number}, not {newest.number}")
        trip = acts.read(scene.keys, "-", "+", 1, newest_first=False)
        (oldest,) = trip.parse([scene.read(*trip.commands[0])])
        if head.base and (head.base + 1, head.base_link) != (oldest.number, oldest.before):
            self.violated(f"the head of the acts has {head.base} as the one before the oldest")
        if not head.base and not head.resumed and oldest.number > 1:
            self.violated(f"the head of the acts names none before entry {oldest.number}")
        before, self._length = self._length, scene.read("XLEN", scene.keys.acts)
        if before is not None:
            left = max(before + 1 - _MOST_TRIMMED, min(before + 1, _kept(change)))
            if self._length != left:
                self.violated(f"{change.command} leaves {self._length} acts of {before + 1}")

    def _ended(self, act_id: str, body: dict[str, Any]) -> None:
        begun = self._begun.pop(act_id, None)
        if begun is None:
            return  # it began before Redis lost its data
        done = body.get("done")
        if done is not None and begun.subject and done != begun.moved and begun.verb != "forget":
            self.violated(
                f"the {begun.verb} {act_id} says that it has changed {done} jobs, it was "
                f"{begun.moved}"
            )

    def _switched(self, body: dict[str, Any], row: ActRow, change: RedisChange) -> None:
        """Compare what is recorded of a pause with the queue."""
        was, is_paused = self._turned(change)
        self._paused[change.sent[_PAUSED_AT]] = is_paused
        if body["after"] != ("paused" if is_paused else "running"):
            self.violated(f"{body['queue']!r} was {body['verb']}d, and is recorded otherwise")
        if row.result not in {b"0", b"1"} or was not in {None, row.result == b"1"}:
            self.violated(
                f"the {body['verb']} of {body['queue']!r} found {row.result!r}, it was {was}"
            )

    def _turned(self, change: RedisChange) -> tuple[bool | None, bool]:
        """Return whether a queue was paused before a pause, if that is known, and is now."""
        key = change.sent[_PAUSED_AT]
        was = self._paused.get(key, self._others_paused)
        return was, self.scene.read("GET", key) not in {None, b"0"}

    def _look(self, change: RedisChange) -> None:
        """Count the jobs of an operation; it must have begun."""
        undoes = change.command in _UNDOING
        for begun in self._begun.values():
            is_its = begun.subject and self.scene.keys.trashed(begun.subject) in change.keys
            if is_its and (begun.verb == "undo" or not undoes):
                begun.moved += len(change.moves)
                return
        what = "brought back" if undoes else "changed"
        self.violated(f"{change.command} has {what} it without an act", change.moves[0].job_id)

    def at_rest(self) -> None:
        """Check that all acts have ended."""
        for act_id, begun in self._begun.items():
            self.violated(f"the {begun.verb} {act_id} has no end")

    def wiped(self) -> None:
        """Forget the chain, as Redis has."""
        self._last, self._length = (0, b""), 0
        self._begun.clear()
        self._paused.clear()
        self._others_paused = False


def _kept(change: RedisChange) -> int:
    """Return how many entries the writer of an act wants to be kept."""
    return int(keys_and_args(change.sent)[1][_KEPT_AT[change.command]])


class UndoBringsBack(Checker):
    """An undo puts jobs where they were, with their bytes and their times.

    A job that an operator edits keeps its time, if it stays where it is. A job that an operator
    retries runs, even if it is a cron job whose slot has failed.
    """

    rule = "an undo brings back what was there"

    def __init__(self) -> None:
        self._was: dict[tuple[bytes, str], PlacedJob] = {}  # trash, job id -> the job before
        self._retried: set[str] = set()

    def changed(self, change: RedisChange) -> None:
        """Record what operators move, and compare what comes back."""
        undoes = change.command in _UNDOING or (
            change.command == "swap" and not keys_and_args(change.sent)[1][_DETAILS_AT]
        )
        trashes = self.scene.keys.trashed("")
        trash = next((key for key in change.keys if key.startswith(trashes)), b"")
        for move in change.moves:
            if undoes:
                self._back(move, trash)
            elif change.command in _DOING and move.before is not None:
                self._was[trash, move.before.job_id] = move.before
                if change.command == "swap":
                    self._edited(move.before, move.after)
            if change.command == "revive" and move.went_to("queued"):
                self._retried.add(move.job_id)
            elif change.command != "exchange":
                self._retried -= {move.job_id} if move.after is None else set()
            elif move.came_from("in progress") and not move.went_to("queued"):
                self._settled(move)

    def _edited(self, before: PlacedJob, after: PlacedJob | None) -> None:
        if after is not None and before.place == after.place and before.score != after.score:
            self.violated(
                f"its time was {before.score:g}, and is {after.score:g} after an edit", after.job_id
            )

    def _back(self, move: Move, trash: bytes) -> None:
        self._retried.discard(move.job_id)
        was, after = self._was.get((trash, move.job_id)), move.after
        if was is None or after is None or was.job is None or after.job is None:
            return
        if was.place != after.place:
            self.violated(f"it was {was.place}, and comes back to {after.place}", move.job_id)
        if was.score != after.score:
            self.violated(f"its time was {was.score:g} and is {after.score:g}", move.job_id)
        if was.raw != after.raw and was.job.unique == after.job.unique:
            self.violated(f"it was {was.raw!r:.200} and is {after.raw!r:.200}", move.job_id)

    def _settled(self, move: Move) -> None:
        if move.job_id in self._retried and move.after is None:
            self.violated("it was retried, and was dropped without a run", move.job_id)
        self._retried.discard(move.job_id)

    def started(self, run: HandlerRun) -> None:
        """Record that a retried job runs."""
        self._retried.discard(run.job_id)

    def wiped(self) -> None:
        """Forget everything."""
        self._was.clear()
        self._retried.clear()
