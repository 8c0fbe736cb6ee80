"""Examines a namespace twice, and repairs faults that both examinations have found."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final

from workkit.admin.acts.recording import ActsLog, Began
from workkit.core.actor import check_actor
from workkit.core.clock import Clock, SystemClock
from workkit.core.entropy import Entropy
from workkit.core.liveness import WATCH_S
from workkit.core.text import counted
from workkit.doctor.checks import holdings, queues, server
from workkit.doctor.checks import pools as pool_checks
from workkit.doctor.findings import Case, Finding
from workkit.doctor.look import Examination, look
from workkit.doctor.repairs import Repairs
from workkit.store.connections.links import carrier
from workkit.store.connections.target import RedisLike
from workkit.store.keys import Keys
from workkit.store.round_trip import Step

__all__ = ["Doctor"]

_ORDER: Final = {"broken": 0, "risk": 1, "note": 2}

Say = Callable[[str], None]


def _ignore(_line: str) -> None:
    """Ignore a line."""


class Doctor:
    """Checks and repairs one namespace.

    An example::

        doctor = Doctor("work", "redis://localhost:6379")
        for finding in doctor.examine():
            print(finding.says)
        doctor.repair(finding)

    Args:
        namespace: Prefix of all Redis keys.
        redis: A redis-py client or a URL.
        clock: The source of the time.
        wait: Waits for a number of seconds while pools are watched.
        actor: Who repairs, for the record of acts; see `Client`.

    Raises:
        InvalidOption: `redis` is neither a client nor a URL.
        InvalidName: The namespace is not valid.

    Every method raises `ServerError` if Redis does not answer or refuses.
    """

    def __init__(
        self,
        namespace: str,
        redis: RedisLike,
        *,
        clock: Clock | None = None,
        wait: Callable[[float], object] | None = None,
        actor: str | None = None,
    ) -> None:
        self._keys = Keys(namespace)
        self._links = carrier(redis, namespace)
        clock, entropy = clock or SystemClock(), Entropy()
        self._repairs = Repairs(self._keys, clock, entropy)
        self._log = ActsLog(self._keys, clock, entropy, check_actor(actor))
        self._wait = wait or threading.Event().wait
        self._cases: dict[Finding, Case] = {}

    def close(self) -> None:
        """Close the connections. The next call opens them again."""
        self._links.close()

    def examine(self, say: Say = _ignore) -> Sequence[Finding]:
        """Find faults, without changing anything.

        This reads all keys and, if there are unique keys, all jobs. If a pool is suspect, it takes
        13 s more: a pool is dead only if it sends no heartbeat for that long.

        Args:
            say: Receives lines of progress.

        Returns:
            The faults: "broken" first, then "risk", then "note".
        """
        say("reading the namespace ...")
        before = now = self._links.carry(look(self._keys))
        if watched := pool_checks.suspect_pools(before) | {
            pool for pool, _ in holdings.suspects(before)
        }:
            say(
                f"watching {counted(len(watched), 'pool')} for {WATCH_S:g} s, to see "
                "whether a heartbeat comes ..."
            )
            self._wait(WATCH_S)
        first = {_mark(case) for case in self._check(before, before)}
        if watched or first:
            now = self._links.carry(look(self._keys))
        twice = [
            case
            for case in self._check(before, now)
            if case.fingerprint is None or _mark(case) in first or case.finding.check == "ghost"
        ]
        twice.sort(key=lambda case: _ORDER[case.finding.severity])
        self._cases = {case.finding: case for case in twice}
        return list(self._cases)

    def repair(self, finding: Finding) -> str:
        """Repair a fault that the last examination found, if it is still there.

        Args:
            finding: A finding of the last examination, with a repair.

        Returns:
            A sentence about what was done.

        Raises:
            KeyError: The last examination did not find it.
            ValueError: The finding has no repair.
        """
        case = self._cases[finding]
        if case.repair is None:
            raise ValueError(f"{finding.check} has no repair: {finding.remedy}")
        return self._links.carry(self._recorded(finding, case.repair()))

    def _recorded(self, finding: Finding, repair: Step[str]) -> Step[str]:
        """Repair a fault, and record that."""
        began = Began("repair", subject=finding.check, before=finding.says)
        acts = {key.decode("utf-8", "replace") for key in (self._keys.acts, self._keys.acts_head)}
        if finding.check == "wrong-type" and finding.subject in acts:
            said = yield from repair  # nothing can be recorded before that
            yield from self._log.recorded(began, _nothing(), lambda _: {"after": said})
            return said
        return (yield from self._log.recorded(began, repair, lambda said: {"after": said}))

    def _check(self, before: Examination, now: Examination) -> Iterator[Case]:
        return chain(
            server.check(now),
            pool_checks.check(before, now, self._repairs),
            holdings.check(before, now, self._repairs),
            queues.check(now, self._keys, self._repairs),
        )


def _nothing() -> Step[None]:
    """Do nothing."""
    yield from ()


def _mark(case: Case) -> tuple[str, str, object]:
    return (case.finding.check, case.finding.subject, case.fingerprint)
