"""A namespace with a past: jobs that are done, failing, dead, waiting and running, and junk."""

from __future__ import annotations

from typing import Final

from tests.client.stage import ClientStage, raw_job
from tests.support.steps import StepPool
from workkit import HistoryOptions, Job, WorkerPool

__all__ = ["JUNK_REASON", "RAN", "live_through"]

#: How many executions history has afterwards.
RAN: Final = 12
JUNK_REASON: Final = "not a job: "


def live_through(stage: ClientStage) -> StepPool:
    """Let some jobs run, one a second, and leave others where they wait.

    Jobs "mail" fail where their arg "n" is a multiple of 3: 3 and 9 are tried again, 6 and 12 are
    dead. The pool that is returned runs a job "sync".
    """

    def mail(job: Job) -> None:
        stage.clock.advance(0.25)
        if job.arg_int("n") % 3 == 0:
            raise ValueError(f"no luck with {job.arg_int('n')} of 'x{job.id}'")

    def rarely(job: Job) -> int:
        return 3_600

    options = HistoryOptions(args=True, checkins=True, version="1.2")
    worker = WorkerPool(stage.namespace, stage.url, concurrency=1, history=options)
    worker.job("mail", mail, max_fails=1)
    worker.job("try", mail, max_fails=2, backoff=rarely)
    worker.job("sync", lambda job: None, max_concurrency=2)
    pool = StepPool(worker, stage.url, stage.clock, 5).start()
    stage.on_close(pool.close)
    for n in range(1, RAN + 1):
        name = "try" if n in {3, 9} else "mail"
        stage.enqueuer.enqueue(name, {"n": n, "host": {"region": "eu" if n % 2 else "us"}})
        stage.clock.advance(0.5)
        pool.work()
        stage.clock.advance(0.25)
    stage.enqueuer.enqueue_unique_in("report", 3_600, {"day": "monday"})
    stage.lay("dead", {b"{junk": 17, raw_job("far"): float("inf")})
    stage.enqueuer.enqueue("sync", {"shard": 1})
    pool.turn()
    pool.runner.begin().job.checkin("half")
    pool.duty("observer")
    pool.duty("heartbeat")
    stage.enqueuer.enqueue("sync", {"shard": 2})
    stage.enqueuer.enqueue("sync", {"shard": 3})
    stage.client.pause("sync")
    return pool
