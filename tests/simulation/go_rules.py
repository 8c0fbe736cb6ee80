"""Rules for worlds in which pools of the original work beside ours; `GoPool` leaves the notes."""

from __future__ import annotations

from workkit.core.job import PERIODIC
from workkit.simulation import Checker
from workkit.simulation.checkers import HandlerRun, PlacedJob, RedisChange, TakenSlots

__all__ = ["GoHasRun", "LimitsHoldInGo", "NewerJobsKeepTheirKeys", "OldArgsAreOver"]


class LimitsHoldInGo(Checker):
    """Go pools find the limit that was declared, as long as one of them handles the job."""

    rule = "a limit holds while Go pools handle its job"

    def changed(self, change: RedisChange) -> None:
        """Count after each claim of a Go pool."""
        for move in change.moves if change.command == "go_fetch" else ():
            assert move.after is not None
            queue = move.after.place.queue
            limit, held = self.scene.limit_of(queue), sum(self.scene.held(queue).values())
            if limit and held > limit:
                self.violated(f"{held} of {queue!r} are held, {limit} may be", move.job_id)


class OldArgsAreOver(Checker):
    """A job that a stopped Go pool has run in a newer version does not run in the old version."""

    rule = "what a stopped Go pool has run does not run again"

    def started(self, run: HandlerRun) -> None:
        """Look whether a Go pool has left it behind."""
        key = f"{self.scene.keys.prefix}go_over".encode()
        if self.scene.read("HEXISTS", key, run.job_id):
            self.violated(f"{run.pool} runs what is left of it", run.job_id)


class NewerJobsKeepTheirKeys(Checker):
    """A unique job that waits has its key, also when an older job with that key comes back.

    The older job had begun in a Go pool, which leaves no mark. Exceptions: a Go pool frees the key
    of every job that it fetches, and what waits without its key may take an update of another job.
    If a Go pool has also put the job back, nothing shows that it has begun.
    """

    rule = "a newer job keeps its unique key"

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._excused: set[str] = set()  # have lost their keys to Go pools, or free others'

    def changed(self, change: RedisChange) -> None:
        """Follow the jobs that Go pools begin and put back, and the updates that replace jobs."""
        for move in change.moves:
            if change.command == "go_fetch" and move.after is not None:
                self._begun.add(move.job_id)
                self._excuse(move.after)
                continue
            came_back = change.command == "go_requeue" and move.job_id in self._begun
            is_excused = move.before is not None and move.before.job_id in self._excused
            if came_back or is_excused:
                self._excused.add(move.job_id)

    def started(self, run: HandlerRun) -> None:
        """Look at the newer jobs with the key of a job that starts."""
        for place in self.scene.where(run.job_id):
            if run.job_id in self._excused:
                self._excuse(place)
            for each in self._newer(place):
                if each.job_id not in self._excused and not self.scene.read("EXISTS", _key(each)):
                    self.violated(f"{run.job_id} starts and frees its key", each.job_id)
        self._begun.add(run.job_id)

    def _excuse(self, place: PlacedJob) -> None:
        """Expect no keys of the newer jobs with the key of a job."""
        self._excused |= {each.job_id for each in self._newer(place)}

    def _newer(self, place: PlacedJob) -> list[PlacedJob]:
        """Return the jobs with the key of a job that wait and have not begun."""
        key, marks = _key(place), self.scene.keys.begun
        if not key:
            return []
        waiting = [*self.scene.standing("queued"), *self.scene.standing("scheduled")]
        return [
            each
            for each in waiting
            if _key(each) == key
            and each.job_id not in {place.job_id, *self._begun}
            and not self.scene.read("HEXISTS", marks, each.job_id)
        ]


def _key(place: PlacedJob) -> bytes:
    """Return the key of a unique job; b"" for another job."""
    return place.job.unique_key.encode() if place.job is not None and place.job.unique else b""


class GoHasRun(Checker):
    """Slots that Go pools plan run, and a slot that a Go pool has run does not run again.

    `TakenSlots` describes the only exception.
    """

    rule = "cron slots of Go pools run once"

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._of_go: set[str] = set()
        self._taken = TakenSlots()

    def changed(self, change: RedisChange) -> None:
        """Note which slots Go pools have settled."""
        self._taken.changed(self.scene, change, self._of_go)
        if change.command == "go_settle":
            self._of_go |= {move.job_id for move in change.moves if move.after is None}

    def started(self, run: HandlerRun) -> None:
        """Look whether a Go pool has run it."""
        self._begun.add(run.job_id)
        excused = self._taken.excuse(run)
        if run.job_id in self._of_go and run.job_id.startswith(PERIODIC) and not excused:
            self.violated(f"{run.pool} runs what a Go pool has run", run.job_id)

    def crashed(self, pool: str) -> None:
        """Forget the claims of a crashed process."""
        self._taken.crashed(pool)

    def at_rest(self) -> None:
        """Look whether everything that was planned has run."""
        key = f"{self.scene.keys.prefix}go_planned".encode()
        for slot, due_s in self.scene.read("HGETALL", key).items():
            job_id = slot.decode()
            is_due = int(due_s) < self.scene.true_s() - 60
            if is_due and job_id not in self._begun | self._of_go and not self.scene.where(job_id):
                self.violated("a Go pool has planned it, and it never ran", job_id)
