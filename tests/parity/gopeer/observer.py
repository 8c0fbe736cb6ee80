"""The original's observation of a busy worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from tests.parity.gopeer import gojson
from tests.parity.gopeer.errors import GoEncodeError, GoReplyError

if TYPE_CHECKING:
    from tests.parity.gopeer.endpoint import Wire
    from tests.parity.gopeer.records import GoJobRecord

#: How long an observation outlives its last write.
OBSERVATION_TTL_S = 86_400


@dataclass(slots=True)
class _Observation:
    job: GoJobRecord
    args: dict[str, Any] | None
    started_at: int
    checkin: str = ""
    checkin_at: int = 0


class GoObserver:
    """Follows one worker. Its very first news is written at once, the rest on the next tick."""

    def __init__(self, wire: Wire, worker_id: str) -> None:
        """Observe nothing yet."""
        self._wire = wire
        self._worker_id = worker_id
        self._current: _Observation | None = None
        self._news = 0
        self._written = 0

    def started(self, job: GoJobRecord) -> None:
        """Note that the worker runs a job."""
        self._current = _Observation(job, job.args, self._wire.now())
        self._note()

    def checked_in(self, job_id: str, message: str) -> None:
        """Note a job's progress; ignore the progress of another job."""
        if self._current is not None and self._current.job.id == job_id:
            self._current.checkin = message
            self._current.checkin_at = self._wire.now()
        else:
            self._wire.log("checkin", GoReplyError(f"{job_id} is not running"))
        self._note()

    def done(self) -> None:
        """Note that the worker is free."""
        self._current = None
        self._note()

    def tick(self) -> None:
        """Write what changed since the last write, as happens every second."""
        if self._written != self._news:
            self.write()
            self._written = self._news

    def write(self) -> None:
        """Write the worker's state, changed or not.

        A worker that goes from one job to the next between two writes keeps the check-in of
        the first: fields of the old hash stay.
        """
        key = self._wire.keys.observation(self._worker_id)
        current = self._current
        try:
            if current is None:
                self._wire.do("DEL", key)
                return
            args = gojson.encode(current.args) if current.args else ""
        except (RedisError, GoEncodeError) as error:
            self._wire.log("observe", error)
            return
        fields: list[str | int] = ["job_name", current.job.name, "job_id", current.job.id]
        fields += ["started_at", current.started_at, "args", args]
        if current.checkin and current.checkin_at > 0:
            fields += ["checkin", current.checkin, "checkin_at", current.checkin_at]
        self._wire.send("observe", [["HMSET", key, *fields], ["EXPIRE", key, OBSERVATION_TTL_S]])

    def _note(self) -> None:
        self._news += 1
        if self._news == 1:
            self.write()
            self._written = 1
