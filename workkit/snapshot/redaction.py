"""Removes secret values from data to share, by the names of their keys."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Final, TypeVar

import msgspec

from workkit.admin.steps.history import HistoryRecord
from workkit.admin.steps.reads import read_job
from workkit.core import job as wire
from workkit.core.entropy import Entropy
from workkit.core.fingerprint import fingerprint
from workkit.core.history import PackedHistory, Record, pack, unpack
from workkit.core.masks import Masks, note
from workkit.core.records import WorkerObservation
from workkit.core.secrets import LEAST_CHARS, SECRETS, may_repeat, without
from workkit.core.showing import shown
from workkit.core.undecodable import UNDECODABLE
from workkit.errors import InvalidOption, Undecodable

__all__ = ["REDACTED_KEY", "SECRETS", "Redaction"]

R = TypeVar("R", bound=Any)  # a dataclass with a job

#: How the hash begins that stands for a unique key.
REDACTED_KEY: Final = "redacted:"
_INSTEAD: Final = "[redacted]"
_GONE: Final = msgspec.Raw(b'"[redacted]"')
_SPACE: Final = b" \t\r\n"
#: How true, false and null begin. They tell nothing about a secret, also where one is "false".
_LITERALS: Final = {b"t", b"f", b"n"}
#: More different errors than this keep their fingerprints in history.
_MOST_KINDS: Final = 100_000
#: Fields of a job that stay: without them it would be another job.
_NAMING: Final = {"name", "id", "t", "args", "unique_key"}
_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.encode


class Redaction:
    """Removes secret values from jobs, workers and history, as the console hides them (`Masks`).

    A key matches at any depth of the args, in upper or lower case, with and without ``-``, ``_``
    and ``.``; it may also be a text of its own, as in a list of headers. Passwords in URLs, headers
    and pairs such as ``password=x`` go from any text. A removed value is also removed wherever else
    the job has it: in its error, under other keys, inside of other texts. The unique key
    contains the args, so it becomes a hash; equal keys have equal hashes in one redaction only. A
    malformed payload is removed as a whole, since its keys are unknown.

    Args:
        patterns: Names of keys, with ``*`` and ``?``. Without patterns, nothing is removed.

    Raises:
        InvalidOption: A pattern is not a text.
    """

    def __init__(self, patterns: Iterable[str] = SECRETS) -> None:
        if not isinstance(patterns, Iterable):
            raise InvalidOption(f"keys to leave out must be several texts, not {shown(patterns)}")
        patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        if wrong := [each for each in patterns if not isinstance(each, str)]:
            raise InvalidOption(f"a key to leave out must be a text, not {shown(wrong[0])}")
        self.patterns = tuple(dict.fromkeys(pattern.lower() for pattern in patterns))
        self._masks = Masks((*self.patterns, UNDECODABLE), _INSTEAD)
        self._salt = Entropy().identifier().encode()
        self._history_of: Collection[str] = ()
        self._values_of: dict[str, frozenset[str]] = {}
        #: The fingerprint of an error -> that of what is left of it.
        self._kinds: dict[str, str] = {}

    def remember(self, job_ids: Collection[str]) -> None:
        """Remember what these jobs lose, for their records in history.

        Mostly history keeps no args, so only the job itself tells what its errors must not repeat.

        Args:
            job_ids: Jobs that `job` gets before `history` gets their records.
        """
        self._history_of = job_ids if self.patterns else ()

    def job(self, raw: bytes) -> bytes:
        """Return a job's payload without the secret values."""
        if not self.patterns or not self._may_hold(raw):
            return raw
        try:
            return self._redacted(raw)
        except RecursionError:  # args that are nested by some hundred levels
            return b"[redacted: %d bytes that are nested too deeply]" % len(raw)

    def placed(self, record: R) -> R:
        """Return the record of a job in its place without the secret values."""
        raw = record.job.raw
        clean = self.job(raw)
        if clean == raw:
            return record
        made: R = replace(record, job=read_job(clean, record.job.name))
        return made

    def _redacted(self, raw: bytes) -> bytes:
        try:
            job = wire.decode(raw)
            args = wire.args_json(raw)
        except (Undecodable, msgspec.MsgspecError):
            return b"[redacted: %d bytes that are not a job]" % len(raw)
        fields = _decode_object(raw)
        told = fields.get("err", msgspec.Raw(b"null"))
        gone: set[str] = set()
        clean, error = self._clean(args, gone), msgspec.Raw(self._clean(bytes(told), gone))
        key = self._key_left(job, gone)
        if clean == args and error == told and key == job.unique_key:
            return raw
        if job.id in self._history_of:
            self._values_of[job.id] = frozenset(gone)
        if "err" in fields:
            fields["err"] = error
        fields["args"] = msgspec.Raw(clean)
        kept = ["args", *(fields.keys() - _NAMING)]
        if may_repeat(b" ".join(bytes(fields[name]) for name in kept), gone):
            fields |= {name: msgspec.Raw(_scrubbed(bytes(fields[name]), gone)) for name in kept}
        if "err" in fields and fields["err"] != told and len(self._kinds) < _MOST_KINDS:
            left = _text_of(fields["err"])
            self._kinds[fingerprint(job.last_err)] = fingerprint(left or "")
        if job.unique_key and (
            bytes(fields["args"]) != args or without(key, gone) != job.unique_key
        ):
            fields["unique_key"] = msgspec.Raw(_encode(self._hashed(job.unique_key)))
        return _encode(fields)

    def _key_left(self, job: wire.Job, gone: set[str]) -> str:
        """Return a unique key without the secret values. It may be of other args than the job's."""
        _, found, json = job.unique_key.partition(f":{job.name}:")
        if not found or not json:
            return self._masks.in_text(job.unique_key, gone)
        try:
            return job.unique_key[: -len(json)] + self._clean(json.encode(), gone).decode()
        except (msgspec.MsgspecError, UnicodeEncodeError):
            return self._masks.in_text(job.unique_key, gone)

    def _hashed(self, key: str) -> str:
        # With a key of its own: short unique keys could be guessed from a plain hash.
        made = hashlib.blake2b(key.encode("utf-8", "replace"), key=self._salt, digest_size=8)
        return f"{REDACTED_KEY}{made.hexdigest()}"

    def _may_hold(self, raw: bytes) -> bool:
        """Tell whether a payload may hold a secret. A cheap test that is False for most."""
        whole = raw[:1] == b"{" and raw[-1:] == b"}"
        return not whole or b"\\" in raw or self._masks.may_hold(raw) or not _is_job(raw)

    def args(self, raw: bytes) -> tuple[Any, frozenset[str]]:
        """Return a job's args without the secret values, and these values as texts."""
        gone: set[str] = set()
        try:
            clean = wire.args_json(raw)
            if self.patterns:
                clean = _scrubbed(self._clean(clean, gone), gone)
            return _decode_any(clean), frozenset(gone)
        except (msgspec.MsgspecError, RecursionError):
            return "[redacted]", frozenset(gone)

    def worker(self, found: WorkerObservation) -> WorkerObservation:
        """Return what a worker runs, without the secret values."""
        if not self.patterns:
            return found
        gone: set[str] = set()
        args = self._json(found.args_json, gone) if found.args_json else ""
        checkin = without(self._masks.in_text(found.checkin, gone), gone)
        return replace(found, args_json=_scrubbed(args.encode(), gone).decode(), checkin=checkin)

    def history(self, entry: PackedHistory) -> PackedHistory:
        """Return an entry of history without the secret values."""
        if not self.patterns or not (
            self._values_of
            or self._kinds
            or b"\\" in entry.blob
            or self._masks.may_hold(entry.blob)
        ):
            return entry
        try:
            records = unpack(entry.blob)
        except msgspec.MsgspecError:
            return entry._replace(blob=b"")
        return entry._replace(blob=pack([self._record(record) for record in records]))

    def execution(self, found: HistoryRecord) -> HistoryRecord:
        """Return an execution without the secret values."""
        return replace(found, **self._texts(found)) if self.patterns else found

    def _record(self, record: Record) -> Record:
        return msgspec.structs.replace(record, **self._texts(record))

    def _texts(self, record: Record | HistoryRecord) -> dict[str, Any]:
        """Return the fields of an execution that change."""
        gone = set(self._values_of.get(record.job_id, ()))
        args = None if record.args is None else self._json(record.args, gone)
        error = self._masks.in_text(record.error, gone)
        told = [(at, self._masks.in_text(message, gone)) for at, message in record.checkins]
        kind = self._kinds.get(record.fingerprint, record.fingerprint)
        if not gone and args == record.args and kind == record.fingerprint:
            return {}
        return {
            "fingerprint": kind,
            "args": None if args is None else _scrubbed(args.encode(), gone).decode(),
            "error": without(error, gone),
            "checkins": tuple((at, without(message, gone)) for at, message in told),
        }

    def _json(self, text: str, gone: set[str]) -> str:
        try:
            return self._clean(text.encode(), gone).decode()
        except (msgspec.MsgspecError, RecursionError):
            return _encode(_INSTEAD).decode()

    def _clean(self, json: bytes, gone: set[str]) -> bytes:
        """Return JSON without the secret values, and add them as texts to `gone`.

        Raises:
            msgspec.MsgspecError: The bytes are not JSON.
        """
        first = json.lstrip(_SPACE)[:1]
        if first == b"{":
            fields = _decode_object(json)
            hidden = self._masks.hidden_keys({key: _text_of(raw) for key, raw in fields.items()})
            found = {
                key: _gone(value, gone) if key in hidden else self._clean_raw(value, gone)
                for key, value in fields.items()
            }
            return json if found == fields else _encode(found)
        if first == b"[":
            items = _decode_list(json)
            before = [_text_of(item) for item in items]
            clean = [
                _gone(item, gone)
                if self._masks.follows(before, at)
                else self._clean_raw(item, gone)
                for at, item in enumerate(items)
            ]
            return json if clean == items else _encode(clean)
        if first == b'"':
            text: str = _decode_any(json)
            left = self._masks.in_text(text, gone)
            return json if left == text else _encode(left)
        return json

    def _clean_raw(self, json: msgspec.Raw, gone: set[str]) -> msgspec.Raw:
        return msgspec.Raw(self._clean(bytes(json), gone))


def _gone(value: msgspec.Raw, gone: set[str]) -> msgspec.Raw:
    note(_decode_any(value), gone)
    return _GONE


def _text_of(json: msgspec.Raw) -> str | None:
    """Return the text that JSON is; None if it is something else."""
    return _decode_any(json) if bytes(json)[:1] == b'"' else None


def _is_job(raw: bytes) -> bool:
    try:
        wire.read(raw)
    except Undecodable:
        return False
    return True


def _scrubbed(json: bytes, gone: Collection[str]) -> bytes:
    """Return JSON without secret values in its texts, keys and numbers. Others keep their bytes."""
    if not any(len(value) >= LEAST_CHARS for value in gone):
        return json
    first = json.lstrip(_SPACE)[:1]
    if first == b"{":
        fields = _decode_object(json)
        found = {
            without(k, gone): msgspec.Raw(_scrubbed(bytes(v), gone)) for k, v in fields.items()
        }
        return json if found == fields else _encode(found)
    if first == b"[":
        items = _decode_list(json)
        clean = [msgspec.Raw(_scrubbed(bytes(item), gone)) for item in items]
        return json if clean == items else _encode(clean)
    if first == b'"':
        text: str = _decode_any(json)
        left = without(text, gone)
        return json if left == text else _encode(left)
    if first in _LITERALS:
        return json
    number = json.strip(_SPACE).decode()
    return bytes(_GONE) if len(number) >= LEAST_CHARS and number in gone else json
