"""A world in which operators act while pools work."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

from workkit import Job, Place
from workkit.admin.actions.actions import Actions
from workkit.core.entropy import Entropy
from workkit.errors import WorkkitError
from workkit.simulation import Simulation

__all__ = ["operators"]

_PLACES: Final = (Place("dead"), Place("scheduled"), Place("retry"), Place("queued", "work"))


def operators(sim: Simulation) -> None:
    """Jobs of all kinds are paused, deleted, retried, edited and brought back."""

    def work(job: Job) -> None:
        if job.arg_int("n") % 3 == 0:
            raise ValueError("never")

    def tick(job: Job) -> None:
        raise ValueError("not while it is watched")

    for _ in range(2):
        pool = sim.pool(concurrency=2)
        pool.job("work", work, takes=(0.5, 3), max_fails=2, backoff=lambda job: 20)
        pool.job("unique", work, takes=(0.5, 3), max_fails=1)
        pool.job("tick", tick, max_fails=1)
        pool.periodically_enqueue("@every 30s", "tick")
    enqueuer = sim.enqueuer
    for n in range(70):
        enqueue = (
            enqueuer.enqueue, enqueuer.enqueue_unique, enqueuer.enqueue, enqueuer.enqueue_in,
            enqueuer.enqueue_unique_in,
        )[n % 5]  # fmt: skip
        name, args = "unique" if n % 5 in {1, 4} else "work", {"n": n % 13}
        delay = (20,) if n % 5 > 2 else ()
        sim.at(2 * n, enqueue, name, *delay, args)
    entropy = Entropy(f"{sim.seed}/operators")
    done: list[str] = []
    acts: tuple[Callable[[Simulation, Entropy, list[str]], object], ...] = (
        _pause, _bulk, _bulk, _bulk, _edit, _undo, _undo, _forget, _enqueue,
    )  # fmt: skip
    for turn in range(60):
        sim.at(10 + 3 * turn, _act, acts[entropy.below(len(acts))], sim, entropy, done)
    for name in ("work", "unique"):
        sim.at(220, _act, _unpause, sim, name)


def _act(act: Callable[..., object], *args: Any) -> None:
    """Act; what cannot be done any more, or meets an outage, is left."""
    with contextlib.suppress(WorkkitError):
        act(*args)


def _pause(sim: Simulation, entropy: Entropy, _done: list[str]) -> None:
    name = ("work", "unique")[entropy.below(2)]
    (sim.client.pause, sim.client.unpause)[entropy.below(2)](name)


def _unpause(sim: Simulation, name: str) -> None:
    sim.client.unpause(name)


def _bulk(sim: Simulation, entropy: Entropy, done: list[str]) -> None:
    place = _PLACES[entropy.below(len(_PLACES))]
    verb: Any = (
        "delete" if place.kind == "queued" else ("delete", "retry", "retry")[entropy.below(3)]
    )
    actions = _actions(sim)
    plan = actions.plan(verb, place)
    if plan is not None and plan.count:
        done.append(actions.apply(plan, by="tests").operation_id)


def _edit(sim: Simulation, entropy: Entropy, done: list[str]) -> None:
    place = _PLACES[entropy.below(len(_PLACES))]
    found = sim.client.jobs(place, 0, 5).jobs
    if found:
        chosen: Any = found[entropy.below(len(found))]
        actions = _actions(sim)
        edit = actions.plan_edit(place, chosen, f'{{"n": {100 + entropy.below(9)}}}')
        done.append(actions.apply_edit(edit, by="tests"))


def _undo(sim: Simulation, _entropy: Entropy, done: list[str]) -> None:
    if done and (operation := done.pop()):
        _actions(sim).undo(operation)


def _forget(sim: Simulation, _entropy: Entropy, done: list[str]) -> None:
    if done and (operation := done.pop(0)):
        _actions(sim).forget(operation)


def _enqueue(sim: Simulation, entropy: Entropy, _done: list[str]) -> None:
    actions = _actions(sim)
    made = actions.new_job("work", f'{{"n": {entropy.below(20)}}}')
    actions.enqueue(made.job, by="tests")


def _actions(sim: Simulation) -> Actions:
    return sim.client.actions
