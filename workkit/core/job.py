"""A job: its record, its bytes on the wire, and typed access to its args.

On the wire, a job is a JSON object with the fields ``name, id, t, args`` and, if set, ``unique,
unique_key, fails, err, failed_at``. To change a job, `splice` replaces single fields. All other
values keep their bytes, unknown fields too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from workkit.core import gojson
from workkit.errors import JobTimeout, Undecodable

__all__ = [
    "PERIODIC",
    "Job",
    "Payload",
    "args_json",
    "bounded_error",
    "decode",
    "encode",
    "failed",
    "has_run",
    "id_text",
    "is_payload_of",
    "millis_of",
    "postponed",
    "read",
    "slot_of",
    "splice",
]

_T = TypeVar("_T")
#: Longer error texts are cut in the middle, bytes.
MAX_ERROR_BYTES: Final = 16_384
#: A check-in longer than this is cut (characters), because it may be written many times.
MAX_CHECKIN_CHARS: Final = 1_000

PERIODIC: Final = "periodic:"
_EXACT_FLOAT: Final = 2**53


class Payload(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"enqueued_at": "t", "last_err": "err", "stamp_ms": "t_ms"},
):
    """The engine's own copy of a job's fields. Handlers can change only its args.

    The fields are those of `Job`, and `stamp_ms`: when the job entered its queue, epoch ms, as
    workkit wrote it. Go readers skip it, and a Go requeuer changes only `t`; so it counts only if
    both have the same second. All other fields stay in the bytes.
    """

    name: str
    id: str
    enqueued_at: int
    args: dict[str, Any] | None = None
    unique: bool = False
    unique_key: str = ""
    unique_until: str = ""
    fails: int = 0
    last_err: str = ""
    failed_at: int = 0
    stamp_ms: Any = None

    def job(self, raw: bytes, checkin: Callable[[str], None] | None = None) -> Job:
        """Return the job for a handler or a client.

        Args:
            raw: The bytes.
            checkin: Receives the job's check-ins.
        """
        return Job(
            self.name,
            self.id,
            self.enqueued_at,
            self.args,
            raw,
            self.unique,
            self.unique_key,
            self.unique_until or ("start" if self.unique else ""),
            self.fails,
            self.last_err,
            self.failed_at,
            None,
            None,
            checkin,
        )


def millis_of(payload: Payload) -> int:
    """Return the milliseconds beyond `enqueued_at`, 0 to 999; -1 where they are unknown."""
    stamp = payload.stamp_ms
    if type(stamp) is not int or stamp // 1_000 != payload.enqueued_at:
        return -1
    return stamp % 1_000


class _Args(msgspec.Struct):
    args: msgspec.Raw = msgspec.Raw(b"null")


_decode_payload: Final = msgspec.json.Decoder(Payload).decode
_decode_args: Final = msgspec.json.Decoder(_Args).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode_fields: Final = msgspec.json.encode


class Job(msgspec.Struct, eq=False):
    """A job as a handler or a client sees it.

    Attributes:
        name: The job's name, which is also its queue.
        id: 24 hexadecimal digits, or ``periodic:NAME:SPEC:EPOCH`` for a cron job.
        enqueued_at: When it entered its queue, epoch seconds.
        args: The args as they were enqueued. Integers of any size are exact. None without args.
        unique: Whether it was enqueued as a unique job.
        unique_key: The Redis key that makes it unique, or "".
        unique_until: The job frees its unique key when it begins ("start"), or when it is done or
            dead ("done"). "" if the job is not unique.
        fails: How many times it failed.
        last_err: The last error, message first, then a bounded traceback; "" if none.
        failed_at: When it failed last, epoch seconds; 0 if it did not.
        raw: The bytes as they are in Redis.
        undecodable: Why the bytes are not a job, else None. Only a `Client` shows such jobs.
        has_unread_arg_error: Whether nobody has read `arg_error` since it was set.
    """

    name: str
    id: str
    enqueued_at: int
    args: dict[str, Any] | None
    raw: bytes = b""
    unique: bool = False
    unique_key: str = ""
    unique_until: str = ""
    fails: int = 0
    last_err: str = ""
    failed_at: int = 0
    undecodable: str | None = None
    _arg_error: str | None = None
    _checkin: Callable[[str], None] | None = None
    has_unread_arg_error: bool = False

    def __repr__(self) -> str:
        state = f", fails={self.fails}" if self.fails else ""
        return f"Job({self.name!r}, id={self.id!r}, args={self.args!r}{state})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the check-ins behind: a copy in another process reports none."""
        fields = self.__struct_fields__
        return Job, tuple(None if name == "_checkin" else getattr(self, name) for name in fields)

    @property
    def arg_error(self) -> str | None:
        """The message of the last typed accessor that failed, else None.

        A handler that reads it must handle the error itself. If a handler returns and nobody
        has read it, the job fails; ``pool.job(..., check_args=False)`` turns that off.
        """
        self.has_unread_arg_error = False
        return self._arg_error

    @arg_error.setter
    def arg_error(self, error: str | None) -> None:
        self._arg_error = error
        self.has_unread_arg_error = False

    def checkin(self, message: str) -> None:
        """Report the job's progress. `workkit top` and the Go web UI show the newest message.

        Never blocks and never fails: the newest message is kept and written by the pool within a
        second or so. It is cut to 1,000 characters.

        Args:
            message: Any short text, such as "page 12 of 40".
        """
        if self._checkin is None:
            return
        from workkit.core import fingerprint  # programs that only enqueue do not need it

        most, why = MAX_CHECKIN_CHARS, "this check-in cannot be shown"
        # The handler's own timeout may be raised here, and must reach the handler.
        text = fingerprint.text_of(message, why, most + 1, through=JobTimeout)
        self._checkin(text if len(text) <= most else text[: most - 1] + "…")

    def on_checkin(self, receive: Callable[[str], None] | None) -> None:
        """Set the function that receives this job's check-ins. The job's pool calls this."""
        self._checkin = receive

    def arg_str(self, key: str) -> str:
        """Return a string arg. If it is missing or not a string, set `arg_error`, return ""."""
        value = self._arg(key, "a string")
        return value if isinstance(value, str) else self._mistyped(key, "a string", value, "")

    def arg_int(self, key: str) -> int:
        """Return an integer arg of any size. If it is not one, set `arg_error`, return 0.

        A float that is whole and exact (below 2**53) counts as an integer.
        """
        value = self._arg(key, "an integer")
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOAT:
            return int(value)
        return self._mistyped(key, "an integer", value, 0)

    def arg_float(self, key: str) -> float:
        """Return a number as a float. If it is missing or not one, set `arg_error`, return 0.0."""
        value = self._arg(key, "a number")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                return self._mistyped(key, "a number that fits a float", value, 0.0)
        return self._mistyped(key, "a number", value, 0.0)

    def arg_bool(self, key: str) -> bool:
        """Return a boolean arg. If it is missing or not one, set `arg_error`, return False."""
        value = self._arg(key, "a boolean")
        return value if isinstance(value, bool) else self._mistyped(key, "a boolean", value, False)

    def _arg(self, key: str, wanted: str) -> Any:
        if self.args is None or key not in self.args:
            self._fail(f"job {self.name!r}: args[{key!r}] is missing, wanted {wanted}")
            return _MISSING
        return self.args[key]

    def _mistyped(self, key: str, wanted: str, value: Any, zero: _T) -> _T:
        if value is not _MISSING:
            self._fail(
                f"job {self.name!r}: args[{key!r}] is {type(value).__name__} ({value!r:.80}), "
                f"wanted {wanted}"
            )
        return zero

    def _fail(self, arg_error: str) -> None:
        self._arg_error = arg_error
        self.has_unread_arg_error = True


_MISSING: Final = object()


def encode(
    name: str,
    job_id: str,
    enqueued_at: int,
    args_json: bytes,
    *,
    unique_key: str = "",
    unique_until: str = "",
    enqueued_ms: int | None = None,
) -> bytes:
    """Return the bytes of a new job, with the original's fields in the original's order.

    Args:
        name: The job's name.
        job_id: Its id.
        enqueued_at: Epoch seconds.
        args_json: The args as `gojson.encode_args` wrote them.
        unique_key: The key that holds its uniqueness; "" for a plain job.
        unique_until: "done" to keep the key until the job has succeeded or died. Go pools drop the
            field and release at the start.
        enqueued_ms: The same time in epoch milliseconds, for a job that enters its queue now; an
            additional field after the original's fields.

    Returns:
        The list element.
    """
    tail = b""
    if unique_key:
        tail = b',"unique":true,"unique_key":' + gojson.encode_text(unique_key)
        if unique_until == "done":
            tail += b',"unique_until":"done"'
    if enqueued_ms is not None:
        tail += b',"t_ms":%d' % enqueued_ms
    return b'{"name":%b,"id":%b,"t":%d,"args":%b%b}' % (
        _encoded_name(name),
        gojson.encode_text(job_id),
        enqueued_at,
        args_json,
        tail,
    )


@lru_cache(maxsize=10_000)
def _encoded_name(name: str) -> bytes:
    """Encode a name. Cached: few names occur again and again."""
    return gojson.encode_text(name)


def decode(raw: bytes) -> Job:
    """Read a job as `read` does, and return it as a `Job`."""
    return read(raw).job(raw)


def read(raw: bytes) -> Payload:
    """Read a job's bytes from a queue or a sorted set.

    Raises:
        Undecodable: The payload is malformed: not JSON, a field of a wrong type, or no name.
    """
    try:
        if not raw.isascii():
            raw.decode()  # msgspec does not check the fields that we do not read
        payload = _decode_payload(raw)
        if not payload.name:
            raise Undecodable(raw, "the job has no name")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise Undecodable(raw, f"not a job: {error}") from None
    return payload


def args_json(raw: bytes) -> bytes:
    """Return the bytes of a job's args."""
    return bytes(_decode_args(raw).args)


def is_payload_of(value: bytes, job_id: str) -> bool:
    """Tell whether the value of a unique key is the payload of the job with this id."""
    try:
        return read(value).id == job_id
    except Undecodable:
        return False


def id_text(job: Job | Payload) -> str:
    """Return a job's id in JSON, without quotes. Scripts look for it in the value of a key."""
    return gojson.encode_text(job.id)[1:-1].decode()


def has_run(job: Job | Payload) -> bool:
    """Tell whether a handler has ended a try of this job before: it failed, or was postponed."""
    return bool(job.fails or job.last_err)


def slot_of(job: Job | Payload) -> str:
    """Return the cron slot of a job on its first try; "" for other jobs."""
    return job.id if not has_run(job) and job.id.startswith(PERIODIC) else ""


def splice(raw: bytes, **changes: int | str | bool | None) -> bytes:
    """Return a job's bytes with some top-level fields changed. Other values keep their bytes.

    Args:
        raw: A valid payload.
        **changes: New values; None removes a field. New fields go to the end, in this order.
    """
    fields = _decode_fields(raw)
    for field, value in changes.items():
        if value is None:
            fields.pop(field, None)
        elif isinstance(value, str):
            fields[field] = msgspec.Raw(gojson.encode_text(value))
        else:
            fields[field] = msgspec.Raw(_encode_fields(value))
    return _encode_fields(fields)


def failed(raw: bytes, fails: int, error: str, failed_at: int) -> bytes:
    """Return a job's bytes after a failure.

    Args:
        raw: The bytes in Redis.
        fails: The new number of failures.
        error: The message, then a traceback. Cut to `MAX_ERROR_BYTES`.
        failed_at: Epoch seconds.
    """
    return splice(raw, fails=fails, err=bounded_error(error), failed_at=failed_at)


def postponed(raw: bytes, fails: int, why: str) -> bytes:
    """Return a job's bytes after its handler has asked for a later run.

    Args:
        raw: The bytes in Redis.
        fails: How many times it has failed. After a failure, the bytes keep that error.
        why: The reason. It is stored as an error, and shows that the job has run: `has_run`.
    """
    return raw if fails else splice(raw, err=bounded_error(why))


def bounded_error(error: str) -> str:
    """Cut a long error text in the middle. The message and the innermost frames stay."""
    if len(error) <= MAX_ERROR_BYTES // 4:
        return error
    if len(data := error.encode("utf-8", "replace")) <= MAX_ERROR_BYTES:
        return error
    half = MAX_ERROR_BYTES // 2
    head, tail = (part.decode("utf-8", "ignore") for part in (data[:half], data[-half:]))
    return f"{head}\n... {len(data) - 2 * half} bytes left out ...\n{tail}"
