"""Edits the args of one waiting or dead job, without I/O: plan, apply, undo.

A dead job runs again with its new args. A job in a queue, in the scheduled or in the retry set
stays in its place. The job as it was is kept in the trash, like a deleted one.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from workkit.admin.actions.new_args import changed_paths, difference, read_args
from workkit.admin.actions.outcomes import SentJobs
from workkit.admin.actions.plan import digest
from workkit.admin.acts.recording import ActsLog, Began
from workkit.admin.steps.job_state import unique_key_of
from workkit.admin.steps.reads import epoch
from workkit.admin.steps.repair import removal, revival
from workkit.admin.steps.signatures import published
from workkit.admin.steps.walk import WaitingJob
from workkit.core import gojson
from workkit.core import job as wire
from workkit.core.clock import Clock
from workkit.core.entropy import Entropy
from workkit.core.job import Job
from workkit.core.lifetimes import TRASH_KEPT_S, UNIQUE_LIVES_S
from workkit.core.options import MAX_JOB_BYTES
from workkit.core.records import Place
from workkit.core.signatures import Signature
from workkit.core.undecodable import restore_undecodable
from workkit.errors import ArgsMismatch, InvalidArgs, NotEdited, ServerRefused
from workkit.store.calls import enqueue, pages, restore
from workkit.store.calls.remove import Trash
from workkit.store.calls.restore import Entry
from workkit.store.calls.swap import KeyMove, Spot, Swap, has_begun, swap
from workkit.store.keys import Keys, check_name
from workkit.store.round_trip import Step

__all__ = ["Edit", "EditLogic", "Holders", "NewJob"]

#: Why a swap was not done, by the reply of its script.
_WHY: Final = {
    "0": "it has run, moved or been deleted meanwhile; your text was not used",
    "c": "its unique key has changed meanwhile; look at the job and edit it again",
    "u": "another job holds the unique key of the new args",
}


class Holders(NamedTuple):
    """Who holds unique keys.

    Attributes:
        values: Key → its value; None where nobody holds it.
        begun: Whether the job has begun once; then the key of its args is that of a newer job.
    """

    values: Mapping[str, bytes | None]
    begun: bool


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of one job, to show first and then apply.

    Attributes:
        place: Where the job is.
        record: The job as it is.
        job: The job as it will be.
        effects: What the edit does, as sentences without a full stop.
        made_at: When it was made, epoch seconds.
        swap: What is sent.
        doubts: Why the new args may not fit the task, as sentences without a full stop.
    """

    place: Place
    record: WaitingJob
    job: Job
    effects: Sequence[str]
    made_at: int
    swap: Swap
    doubts: Sequence[str] = ()

    def lines(self) -> list[str]:
        """Return the difference of the args as lines that begin with "-", "+", " " or "@"."""
        return difference(wire.args_json(self.record.job.raw), wire.args_json(self.job.raw))


class NewJob(NamedTuple):
    """A job that was made and not sent yet.

    Attributes:
        job: The job.
        doubts: Why its args may not fit the task, as sentences without a full stop.
    """

    job: Job
    doubts: Sequence[str] = ()


class EditLogic:
    """The logic of editing; see `Actions.plan_edit`.

    Args:
        keys: The namespace.
        clock: The source of the time.
        entropy: Makes the ids of operations.
        log: Records who does what.
    """

    def __init__(self, keys: Keys, clock: Clock, entropy: Entropy, log: ActsLog) -> None:
        self._keys = keys
        self._clock = clock
        self._entropy = entropy
        self._log = log

    # Planning.

    def plan(
        self, place: Place, record: WaitingJob, text: str | bytes, *, insist: bool
    ) -> Step[Edit]:
        """Read new args for a job, and say what using them does; see `Actions.plan_edit`."""
        job, now_s = record.job, self._clock.read().epoch_s
        if job.undecodable or restore_undecodable(job) is not None:
            raise NotEdited(f"{_the(job)} has a malformed payload, which cannot be edited")
        args, args_json = read_args(text)
        if args_json == msgspec.json.format(wire.args_json(job.raw) or b"null", indent=-1):
            raise NotEdited(f"the args of {_the(job)} are as they were; nothing is to do")
        edited = self._edited(job, args_json)
        if len(edited.raw) > MAX_JOB_BYTES:
            raise InvalidArgs(_too_large(_the(job), len(edited.raw)))
        doubts = yield from self.check(job.name, args, insist=insist)
        holders = yield from self._holders(job, edited)
        made = self._run_again if place.kind == "dead" else self._in_place
        new, effects, wanted = made(place, record, edited, holders, now_s)
        return Edit(place, record, new, effects, now_s, wanted, doubts)

    def check(self, name: str, args: Mapping[str, Any] | None, *, insist: bool) -> Step[list[str]]:
        """Check args against the signature that pools publish; return what is only doubtful.

        Raises:
            ArgsMismatch: They do not fit, and nobody insists.
        """
        found = yield from published(self._keys, name)
        complaints = found.complaints(args)
        if not complaints:
            return []
        if insist or found.doubt:
            why = found.doubt or "you insist"
            return [f"{each} ({why})" for each in complaints]
        assert found.signature is not None  # noqa: S101 - it has complained
        raise ArgsMismatch(f"{'; '.join(complaints)} ({name} takes {found.signature.takes})")

    def _edited(self, job: Job, args_json: bytes) -> Job:
        """Return a job with other args. A unique key of its args changes with them."""
        changes: dict[str, Any] = {"args": msgspec.Raw(args_json)}
        if job.unique and job.unique_key:
            own = self._keys.unique(job.name, gojson.encode_args(job.args))
            if job.unique_key == own:
                new = wire.decode(wire.splice(job.raw, args=changes["args"]))
                changes["unique_key"] = self._keys.unique(job.name, gojson.encode_args(new.args))
        return wire.decode(wire.splice(job.raw, **changes))

    def _holders(self, job: Job, edited: Job) -> Step[Holders]:
        """Read who holds the unique keys of a job, before and after the edit."""
        names = [name for each in (job, edited) if (name := unique_key_of(self._keys, each))]
        if not names:
            return Holders({}, begun=False)
        values = yield from pages.unique_values(names)
        return Holders(values, begun=(yield from has_begun(self._keys, job.id)))

    def _spot(self, place: Place) -> Spot:
        if place.kind == "queued":
            return Spot(self._keys.jobs(place.queue), "list", place.queue)
        return Spot(pages.set_key(self._keys, place.kind), "zset", "")

    def _run_again(
        self,
        place: Place,
        record: WaitingJob,
        edited: Job,
        holders: Holders,
        now_s: int,
    ) -> tuple[Job, list[str], Swap]:
        """Return what puts a dead job with its new args into its queue, as a retry does."""
        comeback = revival(self._keys, edited, now_s)
        assert comeback is not None  # noqa: S101 - it is a job
        effects, move, new = (
            ["runs the job again, as if it had never failed"],
            KeyMove(),
            comeback.new,
        )
        if comeback.unique_key and holders.values.get(comeback.unique_key) is None:
            effects.append("takes its unique key again")
            move = KeyMove("", b"", comeback.unique_key, comeback.value, UNIQUE_LIVES_S)
        elif comeback.unique_key:
            effects.append("runs the job without being unique: a newer job holds the key")
            new = comeback.plain
        target = self._spot(Place("queued", edited.name))
        raw, job_id = record.job.raw, edited.id
        return (
            wire.decode(new),
            effects,
            Swap(raw, new, job_id, self._spot(place), target, move=move),
        )

    def _in_place(
        self,
        place: Place,
        record: WaitingJob,
        edited: Job,
        holders: Holders,
        now_s: int,
    ) -> tuple[Job, list[str], Swap]:
        """Return what replaces a waiting job in its place."""
        job = record.job
        effects, move = [f"leaves the job in {place}"], KeyMove()
        old_key, new_key = unique_key_of(self._keys, job), unique_key_of(self._keys, edited)
        had = holders.values.get(old_key)
        if old_key and had is not None and not holders.begun:
            mine = wire.is_payload_of(had, job.id)
            rule = removal(self._keys, job).rule
            if rule == "free" and not mine and had != b"1":
                raise NotEdited(
                    f"newer args wait under the unique key of {_the(job)}, and run instead of its "
                    "own; an edit would have no effect"
                )
            if mine or (rule == "free" and had == b"1"):
                value = edited.raw if mine else had
                lives_s = max((record.at or now_s) - now_s, 0) + UNIQUE_LIVES_S
                if new_key != old_key:
                    if holders.values.get(new_key) is not None:
                        raise NotEdited(f"{_the(job)} cannot have these args: {_WHY['u']}")
                    effects.append("frees its unique key, and takes that of the new args")
                if new_key != old_key or mine:
                    move = KeyMove(old_key, had, new_key, value, min(lives_s, 2**40))
        spot = self._spot(place)
        return edited, effects, Swap(job.raw, edited.raw, job.id, spot, spot, move=move)

    # Applying.

    def apply(self, edit: Edit, by: str) -> Step[str]:
        """Put the edited job into its place; see `Actions.apply_edit`."""
        job, now_s = edit.record.job, self._clock.read().epoch_s
        trash = Trash(self._entropy.identifier()[:12], TRASH_KEPT_S["edit"])
        act_id, entry = yield from self._log.entry(self._began(edit, by, trash.operation))
        fields = {
            "verb": "edit", "kind": edit.place.kind, "queue": edit.place.queue, "query": "",
            "by": by or self._log.by, "at": now_s, "planned": 1,
            "expires_at": now_s + trash.kept_s,
        }  # fmt: skip
        noting = restore.note(self._keys, trash.operation, fields, now_s, trash.kept_s, entry)
        yield from self._log.guarded(noting)
        details = _details(edit.swap)
        trip = swap(self._keys, edit.swap, trash, now_s, details=details)
        reply = yield from self._log.ending(act_id, iter(trip))
        if reply == "1":
            yield from self._log.end(act_id, done=1)
            return trash.operation
        why = _WHY.get(reply, "a key of its place, or of the trash, has a wrong type")
        yield from restore.forget(self._keys, trash.operation)
        yield from self._log.end(act_id, done=0, note=why)
        raise NotEdited(f"{_the(job)} was not edited: {why}")

    def _began(self, edit: Edit, by: str, operation_id: str) -> Began:
        old, new = edit.record.job, edit.job
        changed = changed_paths(old.args, new.args)
        where = "in its queue" if edit.swap.target.queue else edit.place.kind
        return Began(
            "edit", by=by, place=edit.place.kind, queue=edit.place.queue, planned=1,
            ids=[old.id], digest=_digest(old.raw), operation=operation_id,
            before=f"{edit.place.kind}, payload {_digest(old.raw)}",
            after=f"{where}, payload {_digest(new.raw)}, changed {changed}",
        )  # fmt: skip

    # New jobs.

    def signature(self, name: str) -> Step[Signature | None]:
        """Read what a task takes; see `Actions.signature`."""
        return (yield from published(self._keys, name)).signature

    def new_job(self, name: str, text: str | bytes, *, insist: bool) -> Step[NewJob]:
        """Make a job of typed args; see `Actions.new_job`."""
        check_name(name)
        args, args_json = read_args(text)
        now = self._clock.read()
        raw = wire.encode(
            name, self._entropy.identifier(), now.epoch_s, args_json, enqueued_ms=now.epoch_ms
        )
        if len(raw) > MAX_JOB_BYTES:
            raise InvalidArgs(_too_large(f"a job {name!r}", len(raw)))
        doubts = yield from self.check(name, args, insist=insist)
        return NewJob(wire.decode(raw), doubts)

    def enqueue(self, job: Job, by: str) -> Step[None]:
        """Enqueue a new job; see `Actions.enqueue`."""
        began = Began(
            "enqueue", by=by, place="queued", queue=job.name, planned=1, ids=[job.id],
            digest=_digest(job.raw), after="in its queue",
        )  # fmt: skip
        sending = iter(enqueue.enqueue_one(self._keys, job.name, job.raw))
        yield from self._log.recorded(began, sending, lambda _: {"done": 1})

    def begin_enqueue(self, name: str, planned: int, *, scheduled: bool, by: str) -> Step[str]:
        """Record that somebody enqueues jobs; see `Actions.record_enqueue`."""
        place, after = ("scheduled", "scheduled") if scheduled else ("queued", "in its queue")
        began = Began(
            "enqueue", by=by, place=place, queue=check_name(name), planned=planned, after=after
        )
        return (yield from self._log.begin(began))

    def end_enqueue(self, act_id: str, sent: SentJobs) -> Step[None]:
        """Record how many jobs were enqueued, and the first; see `Actions.record_enqueue`."""
        digested = _digest(sent.first[0].raw) if sent.done == 1 else ""
        ids = [job.id for job in sent.first]
        yield from self._log.end(act_id, done=sent.done, ids=ids, digest=digested, note=sent.note)

    # Undoing.

    def undo(self, operation_id: str, place: Place, entry: Entry, now_s: int) -> Step[str]:
        """Put the job as it was back; return "1", "p" (without its key) or "0" (it has begun)."""
        told = msgspec.json.decode(entry.value, type=dict[str, str])
        done = {name: base64.b64decode(value) for name, value in told.items()}
        queue = done["queue"].decode()
        target = self._spot(Place("queued", queue) if queue else place)
        move = KeyMove()
        if done["takes"] and done["frees"]:
            lives_s = max(epoch(entry.score) - now_s, 0) + UNIQUE_LIVES_S
            move = KeyMove(
                done["takes"].decode(), done["value"], done["frees"].decode(), done["had"],
                min(lives_s, 2**40),
            )  # fmt: skip
        elif done["takes"]:  # a dead job holds no key
            move = KeyMove(done["takes"].decode(), done["value"])
        score = "" if target.kind == "list" and place.kind == "queued" else repr(entry.score)
        back = Swap(
            done["new"], entry.raw, done["id"].decode(), target, self._spot(place), score, move
        )
        trash = Trash(operation_id)
        reply: str = yield from swap(self._keys, back, trash, now_s, entry=entry.entry)
        if reply in {"c", "u"}:  # its key is that of another job now
            plain = wire.splice(entry.raw, unique=None, unique_key=None, unique_until=None)
            if place.kind == "dead":
                plain = entry.raw
            without = back._replace(new=plain, move=KeyMove())
            reply = yield from swap(self._keys, without, trash, now_s, entry=entry.entry)
            reply = "p" if reply == "1" and place.kind != "dead" else reply
        if reply == "t":
            raise ServerRefused(
                "WRONGTYPE", f"the key of {place} has a wrong type; rename it first"
            )
        if reply == "0":
            yield from restore.forget(self._keys, operation_id)
        return reply


def _details(wanted: Swap) -> bytes:
    """Return what undoing needs to know, as JSON."""
    move = wanted.move
    told = {
        "new": wanted.new, "id": wanted.job_id.encode(), "queue": wanted.target.queue.encode(),
        "frees": move.frees.encode(), "had": move.had, "takes": move.takes.encode(),
        "value": move.value,
    }  # fmt: skip
    return msgspec.json.encode(
        {name: base64.b64encode(value).decode() for name, value in told.items()}
    )


def _digest(raw: bytes) -> str:
    return digest(raw).hex()


def _too_large(what: str, size: int) -> str:
    return (
        f"{what} would take {size:,} bytes, more than {MAX_JOB_BYTES:,}; "
        "store large data elsewhere and give a reference to it"
    )


def _the(job: Job) -> str:
    return f"job {job.id}"
