"""The supervisor's own process: starts, signals and reaps processes for the policy.

It never loads the application and has no connection to Redis. One thread waits for all events:
signals, messages of the processes, edits of files, and due times.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

from workkit.core.clock import Clock, SystemClock
from workkit.core.entropy import Entropy
from workkit.core.text import counted
from workkit.engine.process.signals import STOPPING, signals_to
from workkit.tools.supervisor.channel import (
    ALIVE,
    COUNTS,
    DISCOVER,
    HEALTH,
    READY,
    UNLOADABLE,
    WATCH,
    ChildReport,
    Lines,
    announce,
)
from workkit.tools.supervisor.policy import Action, End, Limits, Policy, Say, SendSignal, Start

if TYPE_CHECKING:
    from workkit.tools.supervisor.fleet import Fleet
    from workkit.tools.supervisor.watcher import Watcher

__all__ = ["supervise"]

_log = logging.getLogger("workkit")

#: The exit code of a process that the system refused to start (EX_OSERR).
_NOT_STARTED: Final = 71
_CHUNK: Final = 4096


def supervise(limits: Limits, *, reload: bool = False, fleet: Fleet | None = None) -> int:
    """Run processes with this program's own command line until a request to stop.

    Args:
        limits: How many processes, and when they are replaced.
        reload: Whether all processes are replaced after an edit of the files that they name.
        fleet: Takes what the processes count, and their health; None without metrics.

    Returns:
        The exit code: 0 after a stop; the first process's own if it did not start.

    Raises:
        MissingExtra: The library that watches files is not installed.
    """
    watcher = None
    if reload:
        from workkit.tools.supervisor.watcher import Watcher

        watcher = Watcher()
    command = [sys.executable, *sys.orig_argv[1:]]
    return _Supervisor(command, Policy(limits, Entropy()), SystemClock(), watcher, fleet).run()


class _Process:
    """One process and our end of its channel."""

    def __init__(self, command: list[str], slot: int, since_ms: int) -> None:
        self.since_ms = since_ms
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self.lines = Lines()
        try:
            with theirs:
                # In a separate session, Ctrl-C in the terminal reaches it only through us.
                self._popen = subprocess.Popen(  # noqa: S603 - our own command line
                    command,
                    env=os.environ | announce(theirs, slot),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
        except OSError:
            self.channel.close()
            raise

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, what: str) -> None:
        """Give an order, unless the process has just ended."""
        if what == "stop":
            os.kill(self.pid, signal.SIGTERM)
        elif what == "kill":
            os.kill(self.pid, signal.SIGKILL)
        else:
            with suppress(OSError):
                self.channel.send(f"{what}\n".encode())

    def reaped(self, code: int) -> None:
        """Free the resources of a process whose exit code was collected."""
        self._popen.returncode = code  # otherwise Popen would wait for it once more
        self.channel.close()


class _Supervisor:
    def __init__(
        self,
        command: list[str],
        policy: Policy,
        clock: Clock,
        watcher: Watcher | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        self._fleet = fleet
        self._command = command
        self._policy = policy
        self._clock = clock
        self._watcher = watcher
        self._processes: dict[int, _Process] = {}
        self._selector = selectors.DefaultSelector()
        self._hangup_stops = _has_terminal()
        self._code: int | None = None

    def run(self) -> int:
        """Supervise until no process is left; return the exit code."""
        with ExitStack() as stack:
            stack.enter_context(self._selector)
            signals = self._listen(stack)
            if self._watcher is not None:
                stack.callback(self._watcher.close)
                self._selector.register(self._watcher.wakeups, selectors.EVENT_READ)
            # If an error occurs here, the processes stop by themselves when their channels close.
            stack.callback(self._close_channels)
            while self._code is None:
                self._carry_out(self._policy.tick(self._now_s()))
                if self._code is None:
                    self._wait(signals)
            return self._code

    def _listen(self, stack: ExitStack) -> socket.socket:
        """Make Python write signals to a socket."""
        reader, writer = socket.socketpair()
        for end in (stack.enter_context(reader), stack.enter_context(writer)):
            end.setblocking(False)
        self._selector.register(reader, selectors.EVENT_READ)
        numbers = [*STOPPING, signal.SIGCHLD]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
            numbers.append(signal.SIGHUP)
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writer.fileno()))
        stack.enter_context(signals_to(lambda _number, _frame: None, numbers))
        return reader

    def _wait(self, signals: socket.socket) -> None:
        due_s = self._policy.due_s
        timeout_s = None if due_s is None else max(due_s - self._now_s(), 0.0)
        if self._fleet is not None:
            self._fleet.restarted(self._policy.restarts)
            self._fleet.resting()
        ready = {key.fileobj for key, _ in self._selector.select(timeout_s)}
        if self._fleet is not None:
            self._fleet.busy(stopping=self._policy.stopping)
        for child in [c for c, process in self._processes.items() if process.channel in ready]:
            self._receive(child)
        if self._watcher is not None and self._watcher.wakeups in ready:
            self._look(self._watcher)
        if signals in ready:
            for number in signals.recv(_CHUNK):
                self._take_signal(signal.Signals(number))

    def _take_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP and not self._hangup_stops:
            self._carry_out(self._policy.renew(number.name, self._now_s()))
        elif number in {*STOPPING, signal.SIGHUP}:
            self._carry_out(self._policy.stop(number.name, self._now_s()))

    def _reap(self) -> None:
        """Reap all ended processes, including orphans that we inherit as a container's first."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for child, process in list(self._processes.items()):
                if process.pid == pid:
                    self._exited(child, os.waitstatus_to_exitcode(status))

    def _exited(self, child: int, code: int) -> None:
        while self._receive(child):
            pass
        self._stop_listening(child)
        self._processes.pop(child).reaped(code)
        if self._fleet is not None:
            self._fleet.gone(child)
        self._carry_out(self._policy.exited(child, code, self._now_s()))

    def _receive(self, child: int) -> bool:
        """Process the messages of a process; return whether there were any."""
        process = self._processes[child]
        try:
            lines = process.lines.read(process.channel)
        except BlockingIOError:
            return False
        if lines is None:
            self._stop_listening(child)
            return False
        for line in lines:
            if line == READY:
                self._carry_out(self._policy.ready(child, self._now_s()))
            elif line == ALIVE:
                self._policy.heard(child, self._now_s())
            elif line == UNLOADABLE:
                self._policy.unloadable(child)
            elif line.startswith(DISCOVER) and self._watcher is not None:
                self._watcher.discover(json.loads(line.removeprefix(DISCOVER)))
            elif line.startswith((COUNTS, HEALTH)):
                self._note(child, line)
            elif line.startswith(WATCH):
                self._watch(json.loads(line.removeprefix(WATCH)), process.since_ms)
            else:
                report = ChildReport.read(line)
                self._carry_out(self._policy.reported(child, *report, self._now_s()))
        return True

    def _note(self, child: int, line: str) -> None:
        """Take a process's numbers or its health."""
        if self._fleet is None:
            return
        if line.startswith(COUNTS):
            self._fleet.counted(line.removeprefix(COUNTS))
        else:
            self._fleet.reported(child, line.removeprefix(HEALTH))

    def _watch(self, paths: list[str], since_ms: int) -> None:
        if self._watcher is None:
            return
        known = len(self._watcher.files)
        edited = self._watcher.add(paths, since_ms)
        if number := len(self._watcher.files):
            level = logging.DEBUG if known else logging.INFO
            _log.log(level, "watching %s for edits", counted(number, "source file"))
            self._policy.watching()
        self._reload(edited)

    def _look(self, watcher: Watcher) -> None:
        """Look for edits; a new file may also be what an import was missing."""
        edits = watcher.read()
        self._reload(edits.edited or (edits.others if self._policy.awaits_edit else []))

    def _reload(self, edited: list[str]) -> None:
        if edited:
            from workkit.tools.supervisor.watcher import forget_compiled

            forget_compiled(edited)
            first, *more = [os.path.relpath(path) for path in edited]
            what = f"{first} and {counted(len(more), 'other file')}" if more else first
            verb = "have" if more else "has"
            self._carry_out(self._policy.edited(f"{what} {verb} changed", self._now_s()))

    def _stop_listening(self, child: int) -> None:
        with suppress(KeyError):  # it was unregistered before
            self._selector.unregister(self._processes[child].channel)

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Start(child, slot):
                    self._start(child, slot)
                case SendSignal(child, what):
                    self._processes[child].send(what)
                case Say(level, text):
                    _log.log(level, text)
                case End(code):
                    self._code = code

    def _start(self, child: int, slot: int) -> None:
        try:
            process = _Process(self._command, slot, self._clock.read().epoch_ms)
        except OSError as error:
            _log.error("the system refuses to start a process: %s", error)
            self._carry_out(self._policy.exited(child, _NOT_STARTED, self._now_s()))
            return
        self._processes[child] = process
        self._selector.register(process.channel, selectors.EVENT_READ)
        self._policy.spawned(child, process.pid)
        if self._fleet is not None:
            self._fleet.started(child, slot, process.pid)

    def _close_channels(self) -> None:
        for process in self._processes.values():
            process.channel.close()

    def _now_s(self) -> float:
        return self._clock.read().monotonic_s


def _has_terminal() -> bool:
    """Tell whether we have a controlling terminal, which sends SIGHUP when it closes."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
