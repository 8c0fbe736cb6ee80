"""A world that is read while pools and operators work: what a client shows is what stands there."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from tests.simulation.operating import operators
from workkit import Place
from workkit.core.entropy import Entropy
from workkit.core.history import unpack
from workkit.core.job import args_json
from workkit.errors import WorkkitError
from workkit.simulation import Simulation, Violation
from workkit.store.replies import pairs

__all__ = ["readers"]

_RULE: Final = "readers show what is there"
_SETS: Final[tuple[Literal["scheduled", "retry", "dead"], ...]] = ("scheduled", "retry", "dead")
_TIMES: Final = {"scheduled": "run_at", "retry": "retry_at", "dead": "died_at"}


def readers(sim: Simulation) -> None:
    """The world of operators, in which somebody looks at everything again and again."""
    operators(sim)
    entropy = Entropy(f"{sim.seed}/readers")
    looks = (_queues, _sets, _pools, _workers, _history, _jobs, _acts)
    for turn in range(75):
        sim.at(5 + 2.4 * turn, _look, looks[turn % len(looks)], sim, entropy)


def _look(look: Any, sim: Simulation, entropy: Entropy) -> None:
    """Compare; without an answer there is nothing to compare."""
    with contextlib.suppress(WorkkitError):
        look(sim, entropy)


def _same(what: str, shown: object, there: object) -> None:
    if shown != there:
        raise Violation(_RULE, f"{what}: {shown!r:.300} is shown, and there is {there!r:.300}")


def _read(sim: Simulation, *command: Any) -> Any:
    return sim.server.read(command)


def _queues(sim: Simulation, _entropy: Entropy) -> None:
    names = sorted(name.decode() for name in _read(sim, "SMEMBERS", sim.keys.known_jobs))
    overview = sim.client.overview()
    for shown in (sim.client.queues(), overview.queues):
        _same("queues", [queue.job_name for queue in shown], names)
        for queue in shown:
            keys = sim.keys.queue(queue.job_name, "")
            oldest = _read(sim, "LINDEX", keys.jobs, -1)
            there = (
                _read(sim, "LLEN", keys.jobs),
                _read(sim, "GET", keys.paused) not in {None, b"0"},
                int(_read(sim, "GET", keys.lock) or 0),
                int(_read(sim, "GET", keys.max_concurrency) or 0),
            )
            found = (queue.count, queue.paused, queue.running, queue.max_concurrency)
            _same(f"queue {queue.job_name!r}", found, there)
            if oldest is None:
                _same("latency", queue.latency, 0)
    sizes = [_read(sim, "ZCARD", getattr(sim.keys, kind)) for kind in _SETS]
    _same("sizes", [overview.scheduled, overview.retry, overview.dead], sizes)
    heads = [_heads(sim, kind) for kind in ("scheduled", "retry")]
    _same("next times", [overview.next_scheduled_at, overview.next_retry_at], heads)
    gauges = sim.client.gauges()
    _same("gauges", [gauges.scheduled, gauges.retry, gauges.dead], sizes)
    _same("gauges", {each.job_name: each.count for each in gauges.queues},
          {queue.job_name: queue.count for queue in overview.queues})  # fmt: skip


def _heads(sim: Simulation, kind: str) -> int | None:
    rows = _members(sim, kind, 0, 0)
    return int(rows[0][1]) if rows else None


def _members(sim: Simulation, kind: str, first: int = 0, last: int = -1) -> list[Any]:
    """Return the members of a set with their scores, the lowest first."""
    rows = _read(sim, "ZRANGE", getattr(sim.keys, kind), first, last, "WITHSCORES")
    if rows and isinstance(rows[0], list):
        return list(rows)
    return list(zip(rows[::2], rows[1::2], strict=True))


def _sets(sim: Simulation, entropy: Entropy) -> None:
    for kind in _SETS:
        rows = _members(sim, kind)
        there = [(sim.scene.identify(raw), int(float(score))) for raw, score in rows]  # type: ignore[union-attr]
        for reverse in (False, True):
            want = there[::-1] if reverse else there
            walked = [
                job for batch in sim.client.walk(Place(kind), reverse=reverse, size=3)
                for job in batch.jobs
            ]  # fmt: skip
            _same(kind, _placed(kind, walked), want)
            start = entropy.below(4)
            page = sim.client.jobs(Place(kind), start, 4, reverse=reverse)
            _same(f"page of {kind}", _placed(kind, page.jobs), want[start : start + 4])
            _same(f"total of {kind}", page.total, len(there))
    for name in ("work", "unique"):
        raws = _read(sim, "LRANGE", sim.keys.jobs(name), 0, -1)[::-1]
        ids = [sim.scene.identify(raw) for raw in raws]  # type: ignore[union-attr]
        start = entropy.below(4)
        for reverse in (False, True):
            want_ids = ids[::-1] if reverse else ids
            queued = sim.client.jobs(Place("queued", name), start, 4, reverse=reverse)
            _same(f"queue {name!r}", [each.job.id for each in queued.jobs],
                  want_ids[start : start + 4])  # fmt: skip
            _same(f"total of {name!r}", queued.total, len(ids))


def _placed(kind: str, jobs: Sequence[Any]) -> list[tuple[str, int]]:
    return [(each.job.id, getattr(each, _TIMES[kind])) for each in jobs]


def _pools(sim: Simulation, _entropy: Entropy) -> None:
    ids = sorted(each.decode() for each in _read(sim, "SMEMBERS", sim.keys.worker_pools))
    shown = sim.client.worker_pool_heartbeats()
    _same("pools", [pool.worker_pool_id for pool in shown], ids)
    for pool in shown:
        there = _read(sim, "HGETALL", sim.keys.pool(pool.worker_pool_id))
        if not there:
            continue
        fields = {name.decode(): value.decode() for name, value in there.items()}
        _same(
            f"pool {pool.host}",
            [str(pool.heartbeat_at), str(pool.started_at), ",".join(pool.job_names),
             str(pool.concurrency), pool.host, str(pool.pid), ",".join(pool.worker_ids)],
            [fields[name] for name in ("heartbeat_at", "started_at", "job_names", "concurrency",
                                       "host", "pid", "worker_ids")],
        )  # fmt: skip
        _same(f"version of {pool.host}", pool.version, fields["workkit"])
        totals = {name: int(fields[name]) for name in pool.totals}
        _same(f"totals of {pool.host}", dict(pool.totals), totals)


def _workers(sim: Simulation, _entropy: Entropy) -> None:
    workers = [each for pool in sim.client.worker_pool_heartbeats() for each in pool.worker_ids]
    shown = sim.client.worker_observations(workers)
    _same("workers", sorted(each.worker_id for each in shown), sorted(workers))
    for each in shown:
        there = _read(sim, "HGETALL", sim.keys.worker(each.worker_id))
        _same(f"worker {each.worker_id[-6:]} is busy", each.is_busy, bool(there))
        if each.is_busy:
            _same(
                f"worker {each.worker_id[-6:]}",
                [each.job_name, each.job_id, str(each.started_at), each.args_json],
                [there[name].decode() for name in (b"job_name", b"job_id", b"started_at", b"args")],
            )


def _history(sim: Simulation, entropy: Entropy) -> None:
    entries = _read(sim, "XREVRANGE", sim.keys.history, "+", "-")
    rows = [(entry_id, dict(pairs(fields))) for entry_id, fields in entries]
    there = [
        (record.job_id, record.outcome, record.started_ms, record.worker_id, record.error,
         fields[b"host"].decode())
        for _, fields in rows
        for record in reversed(unpack(fields[b"r"]))
    ]  # fmt: skip
    shown = [
        (each.job_id, each.outcome, each.started_ms, each.worker_id, each.error, each.host)
        for each in sim.client.history()
    ]
    _same("history", shown, there)
    _same("extent of history", sim.client.history_extent().kept, len(there))
    if there:
        job_id = there[entropy.below(len(there))][0]
        mine = sorted(each[1] for each in there if each[0] == job_id)
        _same(
            f"history of {job_id}", sorted(each.outcome for each in sim.client.job_history(job_id)),
            mine,
        )  # fmt: skip
        outcome = there[-1][1]
        found = [each.job_id for each in sim.client.history(outcome=outcome, limit=5)]
        _same(f"history of {outcome}", found, [e[0] for e in there if e[1] == outcome][:5])


def _acts(sim: Simulation, _entropy: Entropy) -> None:
    verdict = sim.client.verify_acts()
    _same("kept acts", verdict.kept, _read(sim, "XLEN", sim.keys.acts))
    _same("broken acts", (verdict.changed, verdict.missing, verdict.foreign), ((), (), ()))
    now_s, shown = int(sim.now_s), sim.client.actions.operations()
    known = [name.decode() for name in _read(sim, "ZRANGE", sim.keys.trash, 0, -1)]
    there = [
        name for name in known
        if _read(sim, "LLEN", sim.keys.trashed(name))
        and int(_read(sim, "HGET", sim.keys.operation(name), "expires_at") or 0) > now_s
    ]  # fmt: skip
    _same("operations", sorted(each.operation_id for each in shown), sorted(there))


def _jobs(sim: Simulation, entropy: Entropy) -> None:
    assert sim.scene is not None
    jobs: Mapping[str, Any] = sim.scene.jobs
    ids = [job_id for job_id, standings in jobs.items() if len(standings) == 1]
    if ids:
        job_id = ids[entropy.below(len(ids))]
        (standing,) = jobs[job_id]
        found = sim.client.find(job_id)
        kind = "running" if standing.place.kind == "in progress" else standing.place.kind
        if found is None:
            raise Violation(_RULE, f"it is {kind}, and is not found", job_id)
        at = None if kind in {"queued", "running"} else int(standing.score)
        _same(f"job {job_id}", (found.place, found.at, found.pool_id, args_json(found.job.raw)),
              (kind, at, standing.place.pool_id, args_json(standing.raw)))  # fmt: skip
    for entry in sim.client.cron():
        seen = _read(sim, "HGETALL", sim.keys.periodic_seen)
        _same("cron", [str(entry.seen_at).encode()], list(seen.values()))
        planned = _read(sim, "HGETALL", sim.keys.periodic)
        _same("cron", [str(entry.planned_until).encode()], list(planned.values()))
