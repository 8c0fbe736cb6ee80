"""Worker processes are killed, frozen, told to stop, while they work."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.system.chaos.fleet import Fleet, fleet
from tests.system.chaos.stage import ChaosRun, Say, Scale, on_one_server
from tests.system.chaos.verdict import Verdict
from tests.system.chaos.waiting import wait_s

__all__ = ["frozen", "killed", "terminated"]

_EVERY_S: Final = (0.5, 1.5)
#: Faults go on while at least this many jobs wait, so that the slots are busy at each fault.
_LEFT: Final = 300

Process = subprocess.Popen[bytes]
#: Makes a fault in a process of a fleet.
Strike = Callable[["_Victims", Fleet, Process], None]


def killed(scale: Scale, say: Say) -> Verdict:
    """Kill one of three worker processes with SIGKILL every second, and start another.

    A fourth is left alone: it takes 12 s of watching to know that a process is dead, and with one
    of three killed every second, none of them lives that long.
    """

    def kill(victims: _Victims, workers: Fleet, victim: Process) -> None:
        victim.kill()
        at = time.monotonic()
        victim.wait()
        victims.note(victim.pid, at)
        workers.replace(victim)

    return _at_each_fault("worker killed (SIGKILL)", scale, say, kill, bystanders=1)


def frozen(scale: Scale, say: Say) -> Verdict:
    """Freeze one worker process after another with SIGSTOP, longer than it takes to be dead."""

    def freeze(victims: _Victims, _workers: Fleet, victim: Process) -> None:
        victim.send_signal(signal.SIGSTOP)
        victims.note(victim.pid, time.monotonic())
        wait_s(scale.frozen_s)
        victim.send_signal(signal.SIGCONT)

    return _at_each_fault(f"worker frozen for {scale.frozen_s:g} s", scale, say, freeze)


def terminated(scale: Scale, say: Say) -> Verdict:
    """Tell a worker process to stop every second, and start another: nothing may run twice."""

    def terminate(victims: _Victims, workers: Fleet, victim: Process) -> None:
        verdict = victims.stage.verdict
        verdict.in_flight.append(victims.stage.journal.running(victim.pid))
        victim.terminate()
        if victim.wait(60):
            verdict.notes.append(f"ended with status {victim.returncode}")
        workers.replace(victim)

    return _at_each_fault("worker told to stop (SIGTERM)", scale, say, terminate)


def _at_each_fault(
    name: str, scale: Scale, say: Say, strike: Strike, *, bystanders: int = 0
) -> Verdict:
    """Strike one worker process after another while jobs wait, and count.

    Args:
        name: The name of the verdict.
        scale: How many jobs and processes there are.
        say: Takes a line of progress.
        strike: Makes the fault in a process.
        bystanders: How many more processes there are, one of which is spared.
    """
    with on_one_server(name, say) as (stage, _):
        victims = _Victims(stage)
        stage.load.prefill(scale.jobs)
        with fleet(
            stage.place, stage.journal, stage.directory,
            processes=scale.processes + bystanders, work_ms=scale.work_ms,
        ) as workers:  # fmt: skip
            workers.await_work()
            stage.verdict.slots = workers.concurrency
            spared = workers.processes[0] if bystanders else None
            while _faults_go_on(stage):
                wait_s(stage.entropy.uniform(*_EVERY_S))
                strike(victims, workers, stage.pick(workers, sparing=spared))
                stage.verdict.faults += 1
            verdict = stage.finish(workers)
        victims.note_recoveries()
    return verdict


def _faults_go_on(stage: ChaosRun) -> bool:
    with stage.client() as redis:
        waiting: int = redis.llen(f"{stage.place.namespace}:jobs:note")
    return waiting > _LEFT


class _Victim(NamedTuple):
    """A process at its fault: which, the jobs that it held, and when, monotonic seconds."""

    pid: int
    held: list[int]
    at: float


class _Victims:
    """Processes that will not settle the jobs that they hold.

    Args:
        stage: Where.
    """

    def __init__(self, stage: ChaosRun) -> None:
        self.stage = stage
        self._victims: list[_Victim] = []

    def note(self, pid: int, at: float) -> None:
        """Record the jobs that a victim runs and holds: these may run twice."""
        verdict = self.stage.verdict
        verdict.in_flight.append(self.stage.journal.running(pid))
        held = self.stage.held(pid)
        verdict.duplicates_at_most += len(held)
        self._victims.append(_Victim(pid, held, at))
        self.stage.say(f"{verdict.scenario}: process {pid} held {len(held)} jobs")

    def note_recoveries(self) -> None:
        """Note how long jobs took to be taken up again.

        From the last fault that hit them: some are taken by a process that is the next victim
        before it has started them.
        """
        for number_of, victim in enumerate(self._victims, 1):
            for job in victim.held:
                took_s = self.stage.journal.recovery_s(job, victim.pid, victim.at)
                if took_s is None:
                    continue
                later = self._victims[number_of:]
                if not any(job in v.held and v.at < victim.at + took_s for v in later):
                    self.stage.verdict.recoveries_s.append(took_s)
