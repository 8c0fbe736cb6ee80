"""Random histories: in an archive, as a frame, and as a table of DuckDB."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import duckdb
from hypothesis import Phase
from hypothesis import strategies as st

from tests.support.recorded import DAY_MS, NOON_MS, Recorded, as_version_1, record
from workkit import frames
from workkit.core.fingerprint import fingerprint
from workkit.core.history import FORMAT, Record, unpack
from workkit.core.outcomes import OUTCOMES

__all__ = ["HISTORIES", "PHASES", "Archived", "histories", "raw", "readable"]

VERSIONS: Final = ["", *(f"2026.{n}" for n in range(1, 10))]
ERRORS: Final = ["", "ValueError: no 7", "ValueError: no 8", "KeyError: 'x'", "sad", "\x00\ufffd"]
NAMES: Final = ["mail", "sync", "", "(none)", "näme'", "all"]
#: Ids of several lengths, some of which are the beginnings of others.
JOBS: Final = [
    *(f"{n:024x}" for n in range(6)),
    "a",
    "ab",
    "abcdefgh",
    "abcdefgh\x00",
    "periodic:é:1",
]
ARGS: Final = [
    None,
    "junk",
    '{"n": 1}',
    '{"n": 2, "to": "x", "ok": true}',
    '{"n": 1, "to": 7, "ok": false, "size": {"kb": 1.5}}',
    '{"n": 9007199254740993, "to": "true", "size": {"kb": 2}}',
    '{"to": true, "ok": true, "size": {"kb": -0.0}}',
]
#: How many random histories each test looks at. The more, the longer: WORKKIT_HISTORIES=200.
HISTORIES: Final = int(os.environ.get("WORKKIT_HISTORIES", "12"))

#: Shrinking a history takes minutes: each is written to disk.
PHASES: Final = (Phase.explicit, Phase.generate)
#: A clock is mostly right, but may be set forth or back.
STEPS_MS: Final = st.sampled_from([0] * 8 + [-3_600_000, 3_600_000, -2 * DAY_MS, 1])


@st.composite
def records(draw: st.DrawFn, at_ms: int) -> Record:
    """An execution that was recorded at a time."""
    finished_ms = at_ms - draw(st.integers(0, 9_000)) + draw(STEPS_MS)
    run_ms = draw(st.integers(-5, 90_000))
    error = draw(st.sampled_from(ERRORS))
    return record(
        draw(st.sampled_from(JOBS)),
        finished_ms,
        name=draw(st.sampled_from(NAMES)),
        started_ms=draw(st.sampled_from([finished_ms - run_ms] * 4 + [0])),
        enqueued_at=(finished_ms - run_ms) // 1_000 - draw(st.integers(-3, 600)),
        enqueued_millis=draw(st.sampled_from([-1, 0, 7, 999])),
        outcome=draw(st.sampled_from([*OUTCOMES, "retry", "retry", "done"])),
        fails=draw(st.integers(0, 5)),
        error=error,
        fingerprint=draw(st.sampled_from([fingerprint(error) if error else "", "", "feed"])),
        args=draw(st.sampled_from(ARGS)),
    )


@st.composite
def histories(draw: st.DrawFn) -> Recorded:
    """A history of some days with clock steps, missing starts, junk, and ten versions."""
    past, at_ms = Recorded(), NOON_MS
    for _ in range(draw(st.integers(0, 9))):
        at_ms += draw(st.sampled_from([1, 30_000, 3_600_000, DAY_MS]))
        found = draw(st.lists(records(at_ms), min_size=1, max_size=6))
        kind = draw(st.sampled_from([FORMAT] * 6 + ["9"]))
        past.write(found, at_ms, version=draw(st.sampled_from(VERSIONS)), format_=kind)
        if draw(st.sampled_from([False] * 6 + [True])):
            past.entries[-1] = past.entries[-1]._replace(blob=b"junk")
    return past


def readable(past: Recorded) -> Iterator[tuple[Record, str]]:
    for entry in past.entries:
        if entry.version == FORMAT and entry.blob != b"junk":
            for found in unpack(entry.blob):
                yield found, entry.program


def raw(past: Recorded) -> duckdb.DuckDBPyConnection:
    """The records of a history as a table, which no code of workkit's frames has made."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE raw (seq BIGINT, job VARCHAR, name VARCHAR, version VARCHAR, outcome VARCHAR,"
        " started BIGINT, finished BIGINT, wait BIGINT, run BIGINT, error VARCHAR, print VARCHAR,"
        " fails BIGINT, args VARCHAR)"
    )
    rows = [
        (
            number, each.job_id, each.name or None, version or None, each.outcome,
            each.started_ms or None, each.finished_ms,
            max(each.started_ms - each.enqueued_ms, 0)
            if each.started_ms and each.enqueued_ms is not None else None,
            max(each.finished_ms - each.started_ms, 0) if each.started_ms else None,
            each.error or None, each.fingerprint or None, each.fails, each.args,
        )
        for number, (each, version) in enumerate(readable(past))
    ]  # fmt: skip
    if rows:
        connection.executemany(
            "INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
        )
    return connection


class Archived:
    """A history in an archive, some of whose files are of version 1."""

    def __init__(self, past: Recorded) -> None:
        self._folder = tempfile.TemporaryDirectory()
        root = Path(self._folder.name) / "archive"
        frames.archive(past, root)  # type: ignore[arg-type]
        for path in sorted(root.glob("day=*/*"))[::3]:
            as_version_1(path)
        self.scan = frames.scan(root)
        self.frame = frames.history(root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
