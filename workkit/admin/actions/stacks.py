"""Asks the pool that runs a job where its handler is."""

from __future__ import annotations

import math
from typing import Final

from workkit.admin.actions.applying import Pause
from workkit.admin.actions.outcomes import BulkProgress
from workkit.admin.explain import pool_name
from workkit.admin.steps import reads
from workkit.core.liveness import BEAT_S
from workkit.core.records import WorkerPoolHeartbeat
from workkit.core.stacks import RunningStack, decode
from workkit.errors import NoStack
from workkit.store.calls import ask
from workkit.store.keys import Keys
from workkit.store.round_trip import Step
from workkit.store.walking import Item, Walk

__all__ = ["ANSWERS_S", "running_stack"]

#: A pool answers with its next heartbeat; one may be late.
ANSWERS_S: Final = 2 * BEAT_S
_POLL_S: Final = 0.25
#: A request may be lost with a reply, so it is repeated, after so many looks.
_REPEATED: Final = 16


def running_stack(
    keys: Keys, job_id: str, within_s: float
) -> Walk[BulkProgress | Pause, RunningStack]:
    """Ask where the handler of a job is, and wait for the answer; see `Actions.stack`."""
    if not job_id or "\n" in job_id:
        raise NoStack(f"{job_id!r:.200} is not the id of a job")
    pool = yield from _runner(keys, job_id)
    name = pool_name(pool)
    if not pool.version:
        raise NoStack(f"job {job_id} runs in the Go pool {name}, which cannot tell its stack")
    before = yield from ask.answered(keys, job_id)
    for look in range(max(math.ceil(within_s / _POLL_S), 1)):
        if look % _REPEATED == 0:
            yield from _ask(keys, pool, job_id)
        if (yield Item(Pause(_POLL_S))):
            raise NoStack("the wait for the stack was stopped")
        found = yield from ask.answered(keys, job_id)
        if found is not None and found != before:
            return _read(found, pool, job_id)
    raise NoStack(
        f"pool {name} (workkit {pool.version}) has not answered within {within_s:g} s: it hangs, "
        "or its version cannot tell stacks"
    )


def _ask(keys: Keys, pool: WorkerPoolHeartbeat, job_id: str) -> Step[None]:
    asked = yield from ask.ask(keys, pool.worker_pool_id, job_id)
    if asked < 0:
        raise NoStack(f"pool {pool_name(pool)} is asked for many stacks already; try again")
    if not asked:
        raise NoStack(f"pool {pool_name(pool)} is not registered any more")


def _read(raw: bytes, pool: WorkerPoolHeartbeat, job_id: str) -> RunningStack:
    stack = decode(raw)
    if stack is None:
        raise NoStack(f"the answer of pool {pool_name(pool)} has a form that is not known here")
    if not stack.kind:
        raise NoStack(f"job {job_id} has ended, or has not begun, in pool {pool_name(pool)}")
    return stack


def _runner(keys: Keys, job_id: str) -> Step[WorkerPoolHeartbeat]:
    """Return the pool that runs a job, as its workers are observed."""
    pools = yield from reads.heartbeats(keys)
    pool_of = {worker: pool for pool in pools for worker in pool.worker_ids}
    observed = yield from reads.observations(keys, sorted(pool_of))
    running = [pool_of[each.worker_id] for each in observed if each.job_id == job_id]
    if not running:
        raise NoStack(
            f"no worker runs job {job_id}; one that has just started it is seen after a second"
        )
    return running[0]
