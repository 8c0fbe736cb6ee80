"""Rules about where history is kept, and where jobs are: archives are whole, and no job is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workkit.admin.reader import Reader
from workkit.admin.steps.history import id_pair
from workkit.core.records import Place, queue_places
from workkit.core.text import counted
from workkit.frames.archive_changes import open_file, reading
from workkit.frames.archive_files import archive_gaps, files_of
from workkit.frames.auditing.records import Finding, Hits, Records, Span

__all__ = ["check_archive", "gaps_of", "only_gone"]

_SETS: Final = ("retry", "scheduled", "dead")
#: More missing jobs are not looked for one by one.
_LOOKED_FOR: Final = 100


def check_archive(directory: Path) -> Iterator[Finding]:
    """Each file of an archive has all records that were written to it, and none is left out.

    The name of a file says how many records had been written when it was, so it shows a loss even
    where nothing else is left of a job.
    """
    with reading(directory):
        yield from _checked_files(directory)


def _checked_files(directory: Path) -> Iterator[Finding]:
    import pyarrow.parquet as pq

    before = None
    for file in files_of(directory):
        about = file.about()
        rows = pq.read_metadata(open_file(directory, file.path)).num_rows
        at = file.last[0] / 1_000
        path = file.path.relative_to(directory)
        if rows != about.records:
            rule = "lost" if rows < about.records else "duplicate"
            what = f"{path} has {counted(rows, 'record')}, and {about.records:,} were written to it"
            yield Finding(rule, what, at=at)
        missing = 0 if before is None else file.missing_after(before, about)
        if before is not None and missing:
            came = file.last[1] - before.last[1]
            what = (
                f"before {path} ends, {counted(came, 'record')} came after the file before it, "
                f"and it has {about.accounted:,}: a file is missing, or is there twice"
            )
            yield Finding("lost" if missing > 0 else "duplicate", what, at=at)
        before = file


def gaps_of(directory: Path) -> list[Span]:
    """Return when an archive has lost records, because they were trimmed before it came."""
    return [Span(_ms(gap.after), _ms(gap.before)) for gap in archive_gaps(directory)]


def _ms(entry_id: str) -> int:
    """Return the milliseconds of an entry's id; "" is the beginning of history."""
    return id_pair(entry_id)[0] if entry_id else 0


def only_gone(hits: Hits, records: Records, reader: Reader) -> Hits:
    """Keep the jobs that are in no place, and have not run since history was read."""
    wanted = {records.job_id(row): row for row in hits.rows.tolist()}
    for place in _places(reader):
        if not wanted:
            break
        for batch in reader.walk(place):
            for waiting in batch.jobs:
                wanted.pop(waiting.job.id, None)
    for observed in reader.worker_observations():
        wanted.pop(observed.job_id, None)
    for job_id, row in list(wanted.items())[:_LOOKED_FOR]:
        # A job moves while places are read one after the other.
        ended = [each.finished_ms for each in reader.job_history(job_id)]
        if max(ended, default=0) > records.finished[row] or reader.find(job_id) is not None:
            del wanted[job_id]
    return hits._replace(rows=[row for row in hits.rows.tolist() if records.job_id(row) in wanted])


def _places(reader: Reader) -> Iterator[Place]:
    for kind in _SETS:
        yield Place(kind)
    yield from queue_places(queue for queue in reader.queues() if queue.count)
