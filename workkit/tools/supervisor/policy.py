"""Decides the supervisor's actions, without a process, a clock or a signal.

Each event returns its actions in order. The first process of a run is alone until it is ready: if
it cannot start, only it reports the reason, and the run ends with its exit code. From then on only
a request to stop ends the run. After an edit of the application, the first new process is alone
again; if it cannot start, the run waits for the next edit.

    starting ── ready ──> running ── its replacement is ready ──> retiring ──> gone
       └────── exit ──────────┴──────── exit: started again, with a growing wait if it was quick
       └────── edit ──────────┴────────────────────────────────> retiring, with a time limit
"""

from __future__ import annotations

import logging
import signal
from collections import Counter
from typing import Final, Literal, NamedTuple, TypeAlias

from workkit.core.entropy import Entropy
from workkit.core.text import counted
from workkit.tools.supervisor.children import Awaited, Child, Limits, Slot, State, Wait

__all__ = ["KILLED", "Action", "End", "Limits", "Policy", "Say", "SendSignal", "Start"]

#: The exit code if processes had to be killed; shells report the end by SIGKILL with it.
KILLED: Final = 137

#: An end before this time is quick, seconds.
_QUICK_S: Final = 10.0
#: The --max-jobs of processes differ by up to this fraction, so that not all end at once.
_SPREAD: Final = 0.1
#: How long processes may take to return their jobs before they are killed, seconds.
_RETURNING_S: Final = 10.0
_MIB: Final = 1 << 20


class Start(NamedTuple):
    """Start a process; later events and actions refer to it by `child`."""

    child: int
    slot: int


class SendSignal(NamedTuple):
    """Tell a process to end.

    "retire" and "return" are orders of the channel; "stop" is SIGTERM, which also reaches a process
    that is still importing; "kill" is SIGKILL.
    """

    child: int
    what: Literal["retire", "stop", "return", "kill"]


class Say(NamedTuple):
    """Log a line at a level of `logging`."""

    level: int
    text: str


class End(NamedTuple):
    """No process is left; end with an exit code. Always the last action."""

    code: int


Action: TypeAlias = Start | SendSignal | Say | End


class Policy:
    """Decides which processes are started, replaced and stopped.

    Args:
        limits: The options.
        entropy: Spreads events, so that they do not hit all processes at once.

    Attributes:
        restarts: How many processes were replaced: after an end ("exit", "signal", "hung"), for
            "max_jobs" or "max_rss", and after "SIGHUP" or an "edit".
    """

    def __init__(self, limits: Limits, entropy: Entropy) -> None:
        self.restarts: Counter[str] = Counter()
        self._limits = limits
        self._entropy = entropy
        self._slots = [Slot(number) for number in range(1, limits.processes + 1)]
        self._children: dict[int, Child] = {}
        self._started = 0
        self._proven = False
        self._watches = False
        self._awaited = Awaited.NOTHING
        self._replacing = Wait()
        self._requests = 0
        self._kill_at_s = float("inf")
        self._code = 0
        self._ended = False
        self._actions: list[Action] = []

    @property
    def awaits_edit(self) -> bool:
        """Whether processes are started only after the next edit."""
        return self._awaited is Awaited.EDIT

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self._requests > 0

    @property
    def due_s(self) -> float | None:
        """The latest time to call `tick`, on the clock of the events."""
        waits = [self._replacing.at_s, *(slot.wait.at_s for slot in self._slots)]
        if self._requests:
            waits = [self._kill_at_s]
        waits += [child.due_s for child in self._children.values()]
        return min((at_s for at_s in waits if abs(at_s) != float("inf")), default=None)

    # Events.

    def tick(self, now_s: float) -> list[Action]:
        """Perform due actions; the first call starts the first process."""
        for wait in (self._replacing, *(slot.wait for slot in self._slots)):
            if wait.at_s <= now_s:
                wait.at_s = float("-inf")
        return self._settle(now_s)

    def spawned(self, child: int, pid: int) -> None:
        """Record the pid of a started process."""
        self._children[child].pid = pid

    def ready(self, child: int, now_s: float) -> list[Action]:
        """Record that the pool of a process has started."""
        ready = self._children[child]
        if ready.state is not State.STARTING:
            return []
        ready.state, ready.since_s = State.RUNNING, now_s
        if self._requests:
            return []
        old = self._active_in(ready.slot, besides=ready)
        if old is not None:
            self._say(logging.INFO, f"{ready} runs; {old} takes no more jobs")
            self._retire(old)
        else:
            self._say(logging.INFO, f"{ready} runs")
        self._proven = True
        return self._settle(now_s)

    def heard(self, child: int, now_s: float) -> None:
        """Record a sign of life; from now on the process must keep sending them."""
        alive = self._children[child]
        alive.heard_s, alive.doubted_s = now_s, float("inf")

    def watching(self) -> None:
        """Record that edits of the application's files are noticed."""
        self._watches = True

    def unloadable(self, child: int) -> None:
        """Record that a process could not load the application and will end."""
        self._children[child].unloadable = True

    def reported(self, child: int, jobs: int, rss_bytes: int, now_s: float) -> list[Action]:
        """Record a process's number of jobs and its memory."""
        reporter = self._children[child]
        if reporter.state is not State.RUNNING or reporter.worn:
            return []
        max_rss_bytes = self._limits.max_rss_bytes
        if jobs >= reporter.max_jobs:
            done = counted(jobs, "job")
            self._say(logging.INFO, f"{reporter} has run {done} and is to be replaced")
            reporter.worn = "max_jobs"
        elif max_rss_bytes is not None and rss_bytes > max_rss_bytes:
            self._replace_large(reporter, rss_bytes, now_s)
        return self._settle(now_s)

    def exited(self, child: int, code: int, now_s: float) -> list[Action]:
        """Record the end of a process.

        Args:
            child: The process.
            code: Its exit code, or minus the signal that ended it.
            now_s: The time.
        """
        gone = self._children.pop(child)
        if self._requests:
            well = code in {0, -signal.SIGTERM}
            self._say(logging.INFO if well else logging.WARNING, f"{gone} {gone.ending(code)}")
            if code in self._limits.explained:
                self._code = self._code or code
        elif gone.state is State.RETIRING:
            level = logging.INFO if code in {0, -signal.SIGTERM} else logging.WARNING
            self._say(level, f"{gone} {gone.ending(code)}")
            if self._awaited is Awaited.LAST_END and not self._retiring:
                self._awaited = Awaited.NOTHING
        elif not self._proven:
            self._refuse(gone, code, now_s)
        else:
            self._report_end(gone, code, now_s)
        return self._settle(now_s)

    def stop(self, cause: str, now_s: float) -> list[Action]:
        """Stop: the first request is graceful, the second returns jobs at once, the third kills.

        Args:
            cause: The cause, such as a signal's name.
            now_s: The time.
        """
        self._requests += 1
        if self._requests == 1:
            self._say(logging.INFO, f"stopping after {cause}")
            self._send_all("stop")
        elif self._requests == 2:  # noqa: PLR2004 - the second
            self._say(logging.WARNING, f"{cause} again: unfinished jobs go back to their queues")
            self._send_all("return")
            self._kill_at_s = now_s + _RETURNING_S
        else:
            self._kill()
        return self._settle(now_s)

    def renew(self, cause: str, now_s: float) -> list[Action]:
        """Replace all processes, one after another.

        Args:
            cause: The cause, such as a signal's name.
            now_s: The time.
        """
        if self._requests or not self._proven:
            return []
        self._say(logging.INFO, f"{cause}: replacing all processes, one after another")
        for child in self._children.values():
            child.worn = cause
        self._replacing.reset()
        return self._settle(now_s)

    def edited(self, what: str, now_s: float) -> list[Action]:
        """Stop all processes gracefully and start new ones at the same time.

        The new ones do not wait for jobs that still run. The old ones take no more jobs, so jobs
        that are enqueued from now on run the new code, or wait until it can be loaded.

        Args:
            what: What happened to which files.
            now_s: The time.
        """
        if self._requests:
            return []
        self._say(logging.INFO, f"{what}: loading the application again")
        for number, child in self._children.items():
            if not child.stopped:
                child.state, child.stopped = State.RETIRING, True
                self.restarts["edit"] += 1
                self._actions.append(SendSignal(number, "stop"))
        for wait in (self._replacing, *(slot.wait for slot in self._slots)):
            wait.reset()
        self._proven, self._awaited = False, Awaited.NOTHING
        return self._settle(now_s)

    # Consequences.

    def _replace_large(self, child: Child, rss_bytes: int, now_s: float) -> None:
        """Replace a process that takes too much memory."""
        child.worn = "max_rss"
        what = f"{child} takes {rss_bytes / _MIB:.0f} MiB and is to be replaced"
        if now_s - child.since_s >= _QUICK_S:
            self._replacing.reset()
            self._say(logging.INFO, what)
            return
        # A process that needs more than the limit exceeds it soon after every start.
        self._replacing.failed(now_s, self._entropy)
        self._say(logging.WARNING, f"{what} so soon; raise --max-rss if it needs that much")

    def _refuse(self, gone: Child, code: int, now_s: float) -> None:
        """End the run because its first process did not start, or wait for an edit."""
        if self._watches:
            self._await_edit(gone, code, now_s)
            return
        if code not in self._limits.explained:
            self._say(logging.ERROR, f"{gone} {gone.ending(code)} before it was ready")
        self._requests = 1
        self._code = code or 1
        if code < 0:
            self._code = 128 - code

    def _await_edit(self, gone: Child, code: int, now_s: float) -> None:
        if code not in self._limits.mendable:  # such as a server that does not answer yet
            self._report_end(gone, code, now_s)
        elif self._retiring and not gone.unloadable:  # such as a port that an old process holds
            self._awaited = Awaited.LAST_END
            self._say(logging.WARNING, "trying again when the old processes have ended")
        else:
            self._awaited = Awaited.EDIT
            self._say(logging.WARNING, "waiting for the next edit of its files; Ctrl-C ends")

    def _report_end(self, gone: Child, code: int, now_s: float) -> None:
        """Report an unexpected end of a process, and when its slot is filled."""
        self.restarts[gone.cause(code)] += 1
        other = self._active_in(gone.slot)
        wait = gone.slot.wait if other is None else self._replacing
        was_ready = gone.state is State.RUNNING
        if was_ready and other is not None:
            then = f"; {other} takes its place"
        elif was_ready and now_s - gone.since_s >= _QUICK_S:
            wait.reset()
            then = "; starting another one"
        else:
            then = f"; starting another one in {wait.failed(now_s, self._entropy):.1f} s"
        if not was_ready:
            then = f" before it was ready{then}{f'; {other} goes on' if other else ''}"
        self._say(logging.ERROR, f"{gone} {gone.ending(code)}{then}")

    def _kill_silent(self, now_s: float) -> None:
        """Kill processes that hang: this frees their slots, and other pools recover their jobs."""
        for number, child in self._children.items():
            if child.hung or now_s < child.due_s:
                continue
            if child.doubted_s > now_s:
                child.doubted_s, child.heard_s = now_s, float("inf")
            else:
                child.hung = True
                self._actions.append(SendSignal(number, "kill"))

    def _settle(self, now_s: float) -> list[Action]:
        """Start missing processes, end if none is left, and return all actions."""
        self._kill_silent(now_s)
        if now_s >= self._kill_at_s:
            self._kill()
        if self._requests:
            if not self._children and not self._ended:
                self._ended = True
                self._actions.append(End(self._code))
        elif self._awaited is Awaited.NOTHING:
            for slot in self._slots if self._proven else self._slots[:1]:
                if self._active_in(slot) is None and now_s >= slot.wait.at_s:
                    self._start(slot, now_s)
            self._replace_one(now_s)
        actions, self._actions = self._actions, []
        return actions

    def _replace_one(self, now_s: float) -> None:
        """Start a replacement before the old process retires, unless one is starting already."""
        children = self._children.values()
        if now_s < self._replacing.at_s or any(
            child.is_replacement and child.state is State.STARTING for child in children
        ):
            return
        worn = next((c for c in children if c.worn and c.state is State.RUNNING), None)
        if worn is not None:
            self.restarts[worn.worn] += 1
            self._start(worn.slot, now_s, is_replacement=True)

    def _start(self, slot: Slot, now_s: float, *, is_replacement: bool = False) -> None:
        self._started += 1
        max_jobs = self._limits.max_jobs
        limit = float("inf")
        if max_jobs is not None:
            limit = max_jobs * self._entropy.uniform(1.0, 1.0 + _SPREAD)
        self._children[self._started] = Child(slot, now_s, limit, is_replacement)
        self._actions.append(Start(self._started, slot.number))

    def _active_in(self, slot: Slot, besides: Child | None = None) -> Child | None:
        """Find a process that runs or starts in a slot."""
        return next(
            (
                child
                for child in self._children.values()
                if child.slot is slot and child.state is not State.RETIRING and child is not besides
            ),
            None,
        )

    @property
    def _retiring(self) -> bool:
        return any(child.state is State.RETIRING for child in self._children.values())

    def _retire(self, old: Child) -> None:
        old.state = State.RETIRING
        number = next(number for number, child in self._children.items() if child is old)
        self._actions.append(SendSignal(number, "retire"))

    def _kill(self) -> None:
        self._kill_at_s = float("inf")
        if self._children:
            self._code = KILLED
            self._say(
                logging.ERROR, "killing the remaining processes; other pools recover their jobs"
            )
            self._send_all("kill")

    def _send_all(self, what: Literal["stop", "return", "kill"]) -> None:
        self._actions.extend(SendSignal(child, what) for child in self._children)

    def _say(self, level: int, text: str) -> None:
        self._actions.append(Say(level, text))
