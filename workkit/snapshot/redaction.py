"""Removes secret values from data to share, by the names of their keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Final

import msgspec

from workkit.core import job as wire
from workkit.core.entropy import Entropy
from workkit.core.history import PackedHistory, Record, pack, unpack
from workkit.core.records import WorkerObservation
from workkit.core.secrets import LEAST_CHARS, SECRETS, matcher, plain_name, without
from workkit.core.showing import shown
from workkit.core.undecodable import UNDECODABLE
from workkit.errors import InvalidOption, Undecodable

__all__ = ["SECRETS", "Redaction"]

_GONE: Final = msgspec.Raw(b'"[redacted]"')
_SPACE: Final = b" \t\r\n"
#: How true, false and null begin. They tell nothing about a secret, also where one is "false".
_LITERALS: Final = {b"t", b"f", b"n"}
_KEYS: Final = re.compile(rb'"([^"]*)"\s*:')
_MOST_KNOWN: Final = 10_000
#: Fields of a job that stay: without them it would be another job.
_NAMING: Final = {"name", "id", "t", "args", "unique_key"}
_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.encode


class Redaction:
    """Removes the values of some keys from args in jobs, workers and history.

    A key matches at any depth of the args, in upper or lower case, with and without ``-``, ``_``
    and ``.``. A removed value is also removed wherever else the job has it: in its error, under
    other keys, inside of other texts. The unique key contains the args, so it becomes a hash; equal
    keys have equal hashes in one redaction only. A malformed payload is removed as a whole, since
    its keys are unknown.

    Args:
        patterns: Names of keys, with ``*`` and ``?``. Without patterns, nothing is removed.

    Raises:
        InvalidOption: A pattern is not a text.
    """

    def __init__(self, patterns: Iterable[str] = SECRETS) -> None:
        patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        if wrong := [each for each in patterns if not isinstance(each, str)]:
            raise InvalidOption(f"a key to leave out must be a text, not {shown(wrong[0])}")
        self.patterns = tuple(dict.fromkeys(pattern.lower() for pattern in patterns))
        keys = (*self.patterns, UNDECODABLE)
        self._key = matcher(keys)
        #: Name → whether it names a secret. Jobs repeat the same few names.
        self._known: dict[bytes, bool] = {}
        self._salt = Entropy().identifier().encode()
        self._history_of: Collection[str] = ()
        self._values_of: dict[str, frozenset[str]] = {}

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
            job = wire.decode(raw)
            args = wire.args_json(raw)
        except (Undecodable, msgspec.MsgspecError):
            return b"[redacted: %d bytes that are not a job]" % len(raw)
        gone: set[str] = set()
        clean = self._clean(args, gone)
        if clean == args:
            return raw
        if job.id in self._history_of:
            self._values_of[job.id] = frozenset(gone)
        fields = _decode_object(raw)
        others = fields.keys() - _NAMING
        fields |= {name: msgspec.Raw(_scrubbed(bytes(fields[name]), gone)) for name in others}
        fields["args"] = msgspec.Raw(_scrubbed(clean, gone))
        if job.unique_key:
            fields["unique_key"] = msgspec.Raw(_encode(self._hashed(job.unique_key)))
        return _encode(fields)

    def _hashed(self, key: str) -> str:
        # With a key of its own: short unique keys could be guessed from a plain hash.
        made = hashlib.blake2b(key.encode("utf-8", "replace"), key=self._salt, digest_size=8)
        return f"redacted:{made.hexdigest()}"

    def _may_hold(self, raw: bytes) -> bool:
        """Tell whether a payload may hold a secret. A cheap test that is False for most."""
        whole = raw[:1] == b"{" and raw[-1:] == b"}"
        return not whole or b"\\" in raw or self._names_secret(raw) or not _is_job(raw)

    def _names_secret(self, json: bytes) -> bool:
        """Tell whether JSON without escapes has a secret key, or a text that looks like one."""
        return any(self._is_secret(name) for name in set(_KEYS.findall(json)))

    def _is_secret(self, name: bytes) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            text = name.decode("utf-8", "replace")
            known = self._known[name] = self._key.fullmatch(plain_name(text)) is not None
        return known

    def args(self, raw: bytes) -> tuple[Any, frozenset[str]]:
        """Return a job's args without the secret values, and these values as texts."""
        gone: set[str] = set()
        try:
            clean = wire.args_json(raw)
            if self.patterns:
                clean = _scrubbed(self._clean(clean, gone), gone)
            return _decode_any(clean), frozenset(gone)
        except msgspec.MsgspecError:
            return "[redacted]", frozenset(gone)

    def worker(self, found: WorkerObservation) -> WorkerObservation:
        """Return what a worker runs, without the secret values."""
        if not self.patterns or not found.args_json:
            return found
        gone: set[str] = set()
        args = self._text(found.args_json, gone)
        return replace(found, args_json=args, checkin=without(found.checkin, gone))

    def history(self, entry: PackedHistory) -> PackedHistory:
        """Return an entry of history without the secret values."""
        if not self.patterns or not (
            self._values_of or b"\\" in entry.blob or self._names_secret(entry.blob)
        ):
            return entry
        try:
            records = unpack(entry.blob)
        except msgspec.MsgspecError:
            return entry._replace(blob=b"")
        return entry._replace(blob=pack([self._record(record) for record in records]))

    def _record(self, record: Record) -> Record:
        gone = set(self._values_of.get(record.job_id, ()))
        args = None if record.args is None else self._text(record.args, gone)
        if not gone and args == record.args:
            return record
        checkins = tuple((at, without(message, gone)) for at, message in record.checkins)
        return msgspec.structs.replace(
            record, args=args, error=without(record.error, gone), checkins=checkins
        )

    def _text(self, args: str, gone: set[str]) -> str:
        try:
            return _scrubbed(self._clean(args.encode(), gone), gone).decode()
        except msgspec.MsgspecError:
            return _encode("[redacted]").decode()

    def _clean(self, json: bytes, gone: set[str]) -> bytes:
        """Return JSON without the secret values, and add them as texts to `gone`.

        Raises:
            msgspec.MsgspecError: The bytes are not JSON.
        """
        first = json.lstrip(_SPACE)[:1]
        if first == b"{":
            fields = _decode_object(json)
            found = {key: self._value(key, value, gone) for key, value in fields.items()}
            return json if found == fields else _encode(found)
        if first == b"[":
            items = _decode_list(json)
            clean = [msgspec.Raw(self._clean(bytes(item), gone)) for item in items]
            return json if clean == items else _encode(clean)
        return json

    def _value(self, key: str, value: msgspec.Raw, gone: set[str]) -> msgspec.Raw:
        if not self._is_secret(key.encode("utf-8", "replace")):
            return msgspec.Raw(self._clean(bytes(value), gone))
        _collect(_decode_any(value), gone)
        return _GONE


def _is_job(raw: bytes) -> bool:
    try:
        wire.read(raw)
    except Undecodable:
        return False
    return True


def _collect(value: Any, gone: set[str]) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _collect(item, gone)
    elif isinstance(value, list):
        for item in value:
            _collect(item, gone)
    elif isinstance(value, str) or (
        isinstance(value, (int, float)) and not isinstance(value, bool)
    ):
        gone.add(str(value))


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
