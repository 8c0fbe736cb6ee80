"""The schemas of the frames: names, types and meanings of their columns, under a version.

The types are Arrow types, and the pandas dtypes follow from them. So a frame is the same whether it
comes from Redis, a snapshot, Parquet, Arrow, JSON lines or CSV.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from workkit.core.options import shown
from workkit.core.outcomes import OUTCOMES
from workkit.errors import InvalidOption
from workkit.frames.extra import np, pa, pd

__all__ = [
    "METADATA",
    "VERSION",
    "Column",
    "Kind",
    "Schema",
    "conform",
    "empty",
    "frame_of",
    "schema",
    "to_frame",
]

#: Increases when a column is renamed, is removed, or changes its type. Not for new columns. In
#: version 1, Parquet files had spans of time as durations of Arrow, which no other engine knows.
VERSION: Final = 2

Kind = Literal["text", "label", "time", "span", "count", "flag"]

#: Kind -> pandas dtype. Missing values are NaT, NaN or NA.
DTYPES: Final[Mapping[Kind, str]] = {
    "text": "str",
    "label": "category",
    "time": "datetime64[ms, UTC]",
    "span": "timedelta64[ms]",
    "count": "Int64",
    "flag": "boolean",
}
#: The metadata key for a file's frame and version.
METADATA: Final = b"workkit"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a frame.

    Attributes:
        kind: "text"; "label", a text with few values; "time", in UTC; "span", of time; "count", a
            whole number; "flag".
        meaning: A phrase for help and documents.
        values: The possible values of a label, in order; () if they are not fixed.
    """

    name: str
    kind: Kind
    meaning: str
    values: tuple[str, ...] = ()

    @property
    def dtype(self) -> str:
        """The pandas dtype."""
        return DTYPES[self.kind]

    @property
    def stored(self) -> str:
        """Its name in Parquet files, which have no type for spans of time: the name has a unit."""
        return f"{self.name}_ms" if self.kind == "span" else self.name


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a frame, in order."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]

    def arrow(self) -> Any:
        """Return the Arrow schema, with the frame's name and the version as metadata."""
        return _arrow(self)

    def stored(self) -> Any:
        """Return the Arrow schema of Parquet files, in which spans are whole milliseconds."""
        return _arrow(self, stored=True)


_OUTCOMES: Final = tuple(OUTCOMES)

#: How a handler ran, and where.
_RUN: Final = (
    Column("wait", "span", "from the queue to the handler; missing where Go wrote the time"),
    Column("run", "span", "how long the handler ran"),
    Column("fails", "count", "failures so far, including this one"),
    Column("error", "text", "the headline of the error"),
    Column("fingerprint", "label", "equal for equal failures"),
    Column("worker_id", "label", "the worker"),
    Column("pool_id", "label", "the pool"),
    Column("host", "label", "its machine"),
    Column("version", "label", "the version of its program"),
)
_PARENT: Final = Column("parent_id", "text", "the job that enqueued it, if its trace says so")
_HISTORY: Final = (
    Column("job_id", "text", "the job"),
    Column("name", "label", "its name"),
    Column("outcome", "label", "how the execution ended", _OUTCOMES),
    Column("reason", "label", "a detail of the outcome"),
    Column(
        "enqueued_at",
        "time",
        "when it entered its queue; a whole second where Go wrote it",
    ),
    Column("started_at", "time", "when the handler started; NaT if it did not"),
    Column("finished_at", "time", "when the execution ended"),
    *_RUN,
    Column("args", "text", "the args as JSON, if the pool keeps them"),
    Column("checkins", "text", "the newest check-ins as JSON: [[epoch ms, message], ...]"),
    _PARENT,
)
_JOB: Final = (
    Column("job_id", "text", "the job; missing for a malformed payload"),
    Column("name", "label", "its name"),
    Column("args", "text", "its args as JSON"),
    Column("enqueued_at", "time", "when it entered its queue"),
    Column("unique", "flag", "whether it is a unique job"),
    Column("unique_key", "text", "the Redis key that makes it unique"),
)
_FAILURE: Final = (
    Column("failed_at", "time", "when it failed last"),
    Column("fails", "count", "how often it has failed"),
    Column("error", "text", "the headline of its last error"),
    Column("error_type", "label", "the exception's type"),
    Column("error_message", "label", "its message, with placeholders for varying parts"),
    Column("error_frame", "label", "the innermost frame in your code, file:function"),
    Column("fingerprint", "label", "equal for equal failures: type, message and frame"),
    Column("traceback", "text", "the traceback of its last error"),
)
_ATTEMPTS: Final = (
    Column("job_id", "text", "the job"),
    Column("name", "label", "its name"),
    Column("attempt", "count", "which of the job's attempts this is, from 1"),
    Column("outcome", "label", "how it ended", _OUTCOMES),
    Column("reason", "label", "a detail of the outcome"),
    Column("delay", "span", "from the end of the attempt before to the start; NaT for the first"),
    Column("enqueued_at", "time", "when the job entered its queue for this attempt"),
    Column("started_at", "time", "when the handler started; NaT if its pool died with it"),
    Column("finished_at", "time", "when it ended"),
    *_RUN,
    _PARENT,
)
_JOURNEYS: Final = (
    Column("job_id", "text", "the job"),
    Column("name", "label", "its name"),
    Column("parent_id", "text", "the job that enqueued it, if its trace or an arg says so"),
    Column("outcome", "label", "how its last execution ended", _OUTCOMES),
    Column("enqueued_at", "time", "when it entered its queue for the first time"),
    Column("started_at", "time", "when its handler started for the first time"),
    Column("ended_at", "time", "when it was done, dead or discarded; NaT before"),
    Column("total", "span", "from the queue to the end"),
    Column("ran", "span", "how long its handler ran, all attempts together"),
    Column("lost", "span", "from the start of the first attempt to the start of the last"),
    Column("tries", "count", "how many attempts it had"),
    Column("failures", "count", "how many of them failed"),
    Column("error", "text", "the headline of its last failure"),
    Column("fingerprint", "label", "the kind of its last failure"),
    Column("host", "label", "the machine of its last execution"),
    Column("version", "label", "the version of its last execution"),
    Column("whole", "flag", "whether the history has its first attempt"),
)
_PROBLEM: Final = Column("problem", "text", "why the payload is malformed; missing for valid jobs")

_SCHEMAS: Final = {
    found.name: found
    for found in (
        Schema("history", _HISTORY),
        Schema("dead", (Column("died_at", "time", "when it died"), *_JOB, *_FAILURE, _PROBLEM)),
        Schema(
            "retry",
            (Column("retry_at", "time", "when it is tried again"), *_JOB, *_FAILURE, _PROBLEM),
        ),
        Schema("scheduled", (Column("run_at", "time", "when it is due"), *_JOB, _PROBLEM)),
        Schema(
            "queues",
            (
                Column("name", "label", "the name of its jobs"),
                Column("count", "count", "how many jobs wait"),
                Column("latency", "span", "how long the next job has waited"),
                Column("paused", "flag", "whether it is paused"),
                Column("running", "count", "how many of its jobs pools hold"),
                Column("max_concurrency", "count", "how many may run at once; NA for no limit"),
                Column("broken", "flag", "whether one of its keys has a wrong type"),
            ),
        ),
        Schema(
            "workers",
            (
                Column("worker_id", "text", "the worker"),
                Column("pool_id", "label", "its pool"),
                Column("host", "label", "its machine"),
                Column("pid", "count", "its process"),
                Column("workkit", "label", "the version of workkit; missing for a Go pool"),
                Column("pool_started_at", "time", "when the pool started"),
                Column("heartbeat_at", "time", "when the pool sent its last heartbeat"),
                Column("busy", "flag", "whether it runs a job"),
                Column("name", "label", "the name of that job"),
                Column("job_id", "text", "its id"),
                Column("started_at", "time", "when it started"),
                Column("args", "text", "its args as JSON"),
                Column("checkin", "text", "its newest check-in"),
                Column("checkin_at", "time", "when it checked in"),
            ),
        ),
        Schema("attempts", _ATTEMPTS),
        Schema("journeys", _JOURNEYS),
        Schema(
            "errors",
            (
                Column("fingerprint", "label", "the failure"),
                Column("error_type", "label", "the exception's type"),
                Column("error_message", "text", "its message, with placeholders for varying parts"),
                Column("error_frame", "text", "the innermost frame in your code"),
                Column("names", "text", "the names of the jobs that fail with it, comma-separated"),
                Column("dead", "count", "how many dead jobs have it"),
                Column("retry", "count", "how many jobs in the retry set have it"),
                Column("failures", "count", "how many executions of history ended with it"),
                Column("cured", "count", "how many of them a later try of their job made good"),
                Column("first_at", "time", "the earliest known failure"),
                Column("last_at", "time", "the latest failure"),
                Column("example", "text", "the headline of the latest failure"),
            ),
        ),
        Schema(
            "acts",
            (
                Column("number", "count", "its number in the record"),
                Column("at", "time", "when it began, by the server's clock"),
                Column("by", "label", "who did it, as NAME@HOST; nobody has checked the name"),
                Column("program", "label", "the program that did it"),
                Column("verb", "label", "what was done"),
                Column("subject", "label", "of a repair: the kind of fault"),
                Column("place", "label", "where the jobs were"),
                Column("queue", "label", "the queue"),
                Column("query", "text", "what picked the jobs, without secrets"),
                Column("planned", "count", "how many jobs it was about"),
                Column("done", "count", "how many it has changed; NA if not known"),
                Column("job_ids", "text", "the ids of up to 50 jobs as a JSON array"),
                Column("digest", "text", "a digest of all jobs"),
                Column("before", "text", "what was there before"),
                Column("after", "text", "what was there after it"),
                Column("operation_id", "text", "the id for undoing it"),
                Column("undoes", "text", "the operation that it undid"),
                Column("ended_at", "time", "when it ended; NaT if not known"),
                Column("note", "text", "why it ended early or failed"),
                Column("undone_by", "label", "who undid it"),
                Column("undone_at", "time", "when"),
                Column("undone", "count", "how many jobs came back"),
            ),
        ),
    )
}  # fmt: skip


def schema(name: str) -> Schema:
    """Return the schema of a frame.

    Args:
        name: "history", "dead", "retry", "scheduled", "queues", "workers", "attempts", "journeys",
            "errors" or "acts".

    Raises:
        InvalidOption: The frame is unknown.
    """
    if not isinstance(name, str) or name not in _SCHEMAS:
        raise InvalidOption(f"unknown frame {shown(name)}; known are {', '.join(_SCHEMAS)}")
    return _SCHEMAS[name]


_TYPES: Final[Mapping[Kind, Any]] = {
    "text": pa.string(),
    "label": pa.dictionary(pa.int32(), pa.string()),
    "time": pa.timestamp("ms", tz="UTC"),
    "span": pa.duration("ms"),
    "count": pa.int64(),
    "flag": pa.bool_(),
}


@cache
def _arrow(wanted: Schema, *, stored: bool = False) -> Any:
    types = {**_TYPES, "span": pa.int64()} if stored else _TYPES
    fields = [
        pa.field(column.stored if stored else column.name, types[column.kind])
        for column in wanted.columns
    ]
    return pa.schema(fields, metadata={METADATA: f"{wanted.name}/{VERSION}".encode()})


def frame_of(arrow_schema: Any) -> str:
    """Return the name of the frame that an Arrow schema belongs to; "" without one."""
    about: bytes = (arrow_schema.metadata or {}).get(METADATA, b"")
    return about.decode("utf-8", "replace").partition("/")[0]


def empty(name: str) -> Any:
    """Return a frame without rows. Its columns have the right types."""
    return to_frame(schema(name).arrow().empty_table(), name)


def to_frame(table: Any, name: str, columns: Sequence[str] | None = None) -> Any:
    """Convert an Arrow table with the columns of a schema to a frame.

    Args:
        table: The table. Additional columns are kept, after those of the schema.
        name: The frame's name.
        columns: The columns of the schema that the table has; all by default.
    """
    mapping = {
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(na_value=np.nan),
        pa.float64(): pd.Float64Dtype(),
    }
    frame = table.to_pandas(types_mapper=mapping.get, ignore_metadata=True, self_destruct=True)
    return conform(frame, name, columns)


def conform(frame: Any, name: str, columns: Sequence[str] | None = None) -> Any:
    """Convert a frame to the column order, the types and the categories of its schema.

    Args:
        frame: A frame with the columns of the schema. Their types may be more general.
        name: The frame's name.
        columns: The columns of the schema that the frame must have; all by default.

    Raises:
        InvalidOption: A column is missing, or its values do not have its type.
    """
    if not isinstance(frame, pd.DataFrame):
        raise InvalidOption(
            f"a frame of {name} is needed here, not {shown(frame)}; frames.history makes one of "
            "other sources, and the method pandas of a scan"
        )
    wanted = [each for each in schema(name).columns if columns is None or each.name in columns]
    if missing := [column.name for column in wanted if column.name not in frame.columns]:
        raise InvalidOption(f"this is not a frame of {name}: it has no {', '.join(missing)}")
    typed = {}
    for column in wanted:
        try:
            typed[column.name] = _conform(frame[column.name], column)
        except (ValueError, TypeError) as error:
            raise InvalidOption(f"column {column.name} of {name}: {error}") from None
    further = [other for other in frame.columns if other not in typed]
    made = pd.DataFrame(typed | {other: frame[other] for other in further}, copy=False)
    made.attrs = {**frame.attrs, "workkit": f"{name}/{VERSION}"}
    return made


def _conform(series: Any, column: Column) -> Any:
    if column.kind != "label":
        return series if str(series.dtype) == column.dtype else series.astype(column.dtype)
    if not isinstance(series.dtype, pd.CategoricalDtype) or column.values:
        text = series.astype(pd.StringDtype(na_value=np.nan)).astype("category")
    else:
        text = series.cat.remove_unused_categories()
    values = list(column.values) or sorted(text.cat.categories)
    # Not `astype`, for which categories of another order are the same.
    return text.cat.set_categories(pd.Index(values, dtype=pd.StringDtype(na_value=np.nan)))
