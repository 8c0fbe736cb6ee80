"""Worker processes are killed, frozen, told to stop, while they work."""

from __future__ import annotations

import signal
import time
from typing import Final

from tests.chaos.fleet import fleet
from tests.chaos.stage import Say, Scale, Stage, on_one_server, wait_s
from tests.chaos.verdict import Verdict

__all__ = ["frozen", "killed", "terminated"]

_EVERY_S: Final = 1.0
#: Faults go on while at least so many jobs wait, so that the slots are at work at each.
_LEFT: Final = 300


def _faults_go_on(stage: Stage) -> bool:
    with stage.client() as redis:
        waiting: int = redis.llen(f"{stage.place.namespace}:jobs:note")
    return waiting > _LEFT


def killed(scale: Scale, say: Say) -> Verdict:
    """Kill one of three worker processes with SIGKILL every second, and start another.

    A fourth is left alone: it takes 12 s of watching to know that a process is dead, and with one
    of three killed every second, none of them lives that long.
    """
    victims: list[tuple[int, list[int], float]] = []
    with on_one_server("worker killed (SIGKILL)", say) as (stage, _):
        stage.load.prefill(scale.jobs)
        with fleet(
            stage.place, stage.journal, stage.directory,
            processes=scale.processes + 1, work_ms=scale.work_ms,
        ) as workers:  # fmt: skip
            workers.await_work()
            bystander = workers.processes[0]
            while _faults_go_on(stage):
                wait_s(stage.entropy.uniform(0.5, 1.5) * _EVERY_S)
                victim = stage.pick(workers, sparing=bystander)
                victim.kill()
                at = time.monotonic()
                victim.wait()
                _note(stage, victim.pid, at, victims)
                workers.replace(victim)
            _settle(stage, victims, workers.concurrency)
            verdict = stage.finish(workers)
        _note_recoveries(stage, victims)
    return verdict


def frozen(scale: Scale, say: Say) -> Verdict:
    """Freeze one worker process after another with SIGSTOP, longer than it takes to be dead."""
    victims: list[tuple[int, list[int], float]] = []
    with on_one_server(f"worker frozen for {scale.frozen_s:g} s", say) as (stage, _):
        stage.load.prefill(scale.jobs)
        with fleet(
            stage.place, stage.journal, stage.directory,
            processes=scale.processes, work_ms=scale.work_ms,
        ) as workers:  # fmt: skip
            workers.await_work()
            while _faults_go_on(stage):
                wait_s(stage.entropy.uniform(0.5, 1.5) * _EVERY_S)
                victim = stage.pick(workers)
                victim.send_signal(signal.SIGSTOP)
                _note(stage, victim.pid, time.monotonic(), victims)
                wait_s(scale.frozen_s)
                victim.send_signal(signal.SIGCONT)
            _settle(stage, victims, workers.concurrency)
            verdict = stage.finish(workers)
        _note_recoveries(stage, victims)
    return verdict


def terminated(scale: Scale, say: Say) -> Verdict:
    """Tell a worker process to stop every second, and start another: nothing may run twice."""
    with on_one_server("worker told to stop (SIGTERM)", say) as (stage, _):
        stage.load.prefill(scale.jobs)
        with fleet(
            stage.place, stage.journal, stage.directory,
            processes=scale.processes, work_ms=scale.work_ms,
        ) as workers:  # fmt: skip
            workers.await_work()
            while _faults_go_on(stage):
                wait_s(stage.entropy.uniform(0.5, 1.5) * _EVERY_S)
                victim = stage.pick(workers)
                stage.verdict.in_flight.append(stage.journal.running(victim.pid))
                victim.terminate()
                stage.verdict.faults += 1
                if victim.wait(60):
                    stage.verdict.notes.append(f"ended with status {victim.returncode}")
                workers.replace(victim)
            stage.verdict.slots = workers.concurrency
            return stage.finish(workers)


def _note_recoveries(stage: Stage, victims: list[tuple[int, list[int], float]]) -> None:
    """Note how long jobs took to be taken up again.

    From the last fault that hit them: some are taken by a process that is the next victim before it
    has started them.
    """
    for at_all, (pid, held, at) in enumerate(victims):
        for number in held:
            took_s = stage.journal.recovery_s(number, pid, at)
            hit_again = any(
                number in others and took_s is not None and later < at + took_s
                for _, others, later in victims[at_all + 1 :]
            )
            if took_s is not None and not hit_again:
                stage.verdict.recoveries_s.append(took_s)


def _note(stage: Stage, pid: int, at: float, victims: list[tuple[int, list[int], float]]) -> None:
    """Note what a victim ran and held."""
    stage.verdict.in_flight.append(stage.journal.running(pid))
    held = stage.held(pid)
    victims.append((pid, held, at))
    stage.say(f"{stage.verdict.scenario}: process {pid} held {len(held)} jobs")


def _settle(stage: Stage, victims: list[tuple[int, list[int], float]], slots: int) -> None:
    stage.verdict.faults = len(victims)
    stage.verdict.slots = slots
    stage.verdict.duplicates_at_most = sum(len(held) for _, held, _ in victims)
