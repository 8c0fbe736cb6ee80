"""The frames of scheduled jobs, jobs to retry, and dead jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from workkit.admin.reader import Reader
from workkit.core.fingerprint import fingerprint, parts
from workkit.core.job import Job, args_json
from workkit.core.records import Place, Placed
from workkit.frames.args import flatten_args
from workkit.frames.executions import ArgsForm
from workkit.frames.extra import pa
from workkit.frames.schema import schema, to_frame
from workkit.frames.sources import Source, as_reader

__all__ = ["dead_jobs", "frame_of", "job_tables", "retry_jobs", "scheduled_jobs"]

JobSet: TypeAlias = Literal["dead", "retry", "scheduled"]

_WALK: Final = 5_000
#: The latest time of a calendar, epoch milliseconds. A malformed payload may have a later score.
_LATEST_MS: Final = 253_402_300_799_000
#: Cached, since most dead jobs have one of a few errors.
_KNOWN: Final = 10_000


def dead_jobs(source: Source, *, args: ArgsForm = "json") -> Any:
    """Return the dead jobs, oldest first.

    A malformed payload is a row, too. Its `problem` says why it is malformed.

    Args:
        source: A `Client`, or a snapshot or its path.
        args: "json" keeps the args unchanged, "columns" adds a column for each arg.

    Returns:
        A DataFrame with the columns of `schema("dead")`.

    Raises:
        InvalidOption: The source cannot be read.
        ServerError: Redis did not answer or refused.
    """
    return _frame(source, "dead", args)


def retry_jobs(source: Source, *, args: ArgsForm = "json") -> Any:
    """Return the jobs of the retry set, the earliest due first; see `dead_jobs`."""
    return _frame(source, "retry", args)


def scheduled_jobs(source: Source, *, args: ArgsForm = "json") -> Any:
    """Return the scheduled jobs, the earliest due first; see `dead_jobs`."""
    return _frame(source, "scheduled", args)


def _frame(source: Source, name: JobSet, args: ArgsForm) -> Any:
    tables = list(job_tables(as_reader(source), name))
    wanted = schema(name).arrow()
    table = pa.concat_tables(tables).unify_dictionaries() if tables else wanted.empty_table()
    frame = to_frame(table, name)
    return flatten_args(frame) if args == "columns" else frame


def frame_of(placed: Sequence[Placed], name: JobSet) -> Any:
    """Return jobs that were read already as a frame, in their order.

    Args:
        placed: The jobs.
        name: The name of their set.
    """
    tables = [_table(placed, name, {})] if placed else []
    return to_frame(
        pa.concat_tables(tables) if tables else schema(name).arrow().empty_table(), name
    )


def job_tables(
    reader: Reader, name: JobSet, told: Callable[[int, int], None] | None = None
) -> Iterator[Any]:
    """Yield the jobs of a set piece by piece, as Arrow tables.

    Args:
        reader: The source.
        name: The name of the set.
        told: Receives the number of jobs read so far, and the total.
    """
    known: dict[str, tuple[str, str, str, str]] = {}
    for batch in reader.walk(Place(name), size=_WALK):
        yield _table(batch.jobs, name, known)
        if told is not None:
            told(batch.seen, batch.total)


def _table(
    placed: Sequence[Placed], name: JobSet, known: dict[str, tuple[str, str, str, str]]
) -> Any:
    jobs = [record.job for record in placed]
    whole = [job.undecodable is None for job in jobs]
    columns: dict[str, Iterable[Any]] = {
        schema(name).names[0]: [_ms(record.at or 0) for record in placed],
        "job_id": [job.id or None for job in jobs],
        "name": [job.name or None for job in jobs],
        "args": [_args(job) for job in jobs],
        "enqueued_at": [_ms(job.enqueued_at) or None for job in jobs],
        "unique": [job.unique if ok else None for job, ok in zip(jobs, whole, strict=True)],
        "unique_key": [job.unique_key or None for job in jobs],
        "problem": [job.undecodable for job in jobs],
    }
    if name != "scheduled":
        columns |= _failures(jobs, whole, known)
    wanted = schema(name).arrow()
    return pa.Table.from_arrays(
        [_array(columns[field.name], field.type) for field in wanted], schema=wanted
    )


def _failures(
    jobs: Sequence[Job], whole: Sequence[bool], known: dict[str, tuple[str, str, str, str]]
) -> dict[str, Iterable[Any]]:
    if len(known) > _KNOWN:
        known.clear()
    errors = []
    for job in jobs:
        text = job.last_err
        if text not in known:
            known[text] = (*parts(text), fingerprint(text)) if text else ("", "", "", "")
        errors.append(known[text])
    kinds, messages, frames, fingerprints = zip(*errors, strict=True)
    heads = [job.last_err.partition("\n") for job in jobs]
    return {
        "failed_at": [_ms(job.failed_at) or None for job in jobs],
        "fails": [job.fails if ok else None for job, ok in zip(jobs, whole, strict=True)],
        "error": [head or None for head, _, _ in heads],
        "error_type": [kind or None for kind in kinds],
        "error_message": [message or None for message in messages],
        "error_frame": [frame or None for frame in frames],
        "fingerprint": [found or None for found in fingerprints],
        "traceback": [tail.strip("\n") or None for _, _, tail in heads],
    }


def _array(values: Iterable[Any], type_: Any) -> Any:
    if pa.types.is_dictionary(type_):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, type_)


def _ms(at_s: int) -> int | None:
    """Return milliseconds; None for a time beyond the calendar."""
    ms = at_s * 1_000
    return ms if abs(ms) <= _LATEST_MS else None


def _args(job: Job) -> str | None:
    """Return the bytes of the args in Redis. Decoding could round numbers."""
    if job.undecodable is not None or not job.raw:
        return None
    try:
        found = args_json(job.raw)
    except msgspec.MsgspecError:
        return None
    return None if found == b"null" else found.decode("utf-8", "replace")
