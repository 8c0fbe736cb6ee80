"""The supervisor's own process: starts, signals and reaps what the policy asks for.

It never loads the application and holds no connection. One thread waits for everything at once:
signals, the processes' channels, and what is due.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import Final

from workkit.core.clock import Clock, SystemClock
from workkit.core.entropy import Entropy
from workkit.engine.process.signals import STOPPING, signals_to
from workkit.tools.supervisor.channel import ALIVE, READY, ChildReport, Lines, announce
from workkit.tools.supervisor.policy import Action, End, Limits, Policy, Say, SendSignal, Start

__all__ = ["supervise"]

_log = logging.getLogger("workkit")

#: The exit code of a process that the system did not start (EX_OSERR).
_NOT_STARTED: Final = 71
_CHUNK: Final = 4096


def supervise(limits: Limits) -> int:
    """Run processes of this program's own command line until they are told to stop.

    Args:
        limits: How many, and when they are replaced.

    Returns:
        The exit code: 0 after a stop; the first process's own, if it did not start.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    return _Supervisor(command, Policy(limits, Entropy()), SystemClock()).run()


class _Process:
    """One process and our end of its channel."""

    def __init__(self, command: list[str], slot: int) -> None:
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self.lines = Lines()
        try:
            with theirs:
                # In a session of its own, Ctrl-C in the terminal reaches it through us alone.
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
        """Give an order; one that has just ended needs none."""
        if what == "stop":
            os.kill(self.pid, signal.SIGTERM)
        elif what == "kill":
            os.kill(self.pid, signal.SIGKILL)
        else:
            with suppress(OSError):
                self.channel.send(f"{what}\n".encode())

    def reaped(self, code: int) -> None:
        """Let go of a process whose exit code was collected."""
        self._popen.returncode = code  # else it would be waited for once more
        self.channel.close()


class _Supervisor:
    def __init__(self, command: list[str], policy: Policy, clock: Clock) -> None:
        self._command = command
        self._policy = policy
        self._clock = clock
        self._processes: dict[int, _Process] = {}
        self._selector = selectors.DefaultSelector()
        self._hangup_stops = _has_terminal()
        self._code: int | None = None

    def run(self) -> int:
        """Supervise until nothing is left; returns the exit code."""
        with ExitStack() as stack:
            stack.enter_context(self._selector)
            signals = self._listen(stack)
            # Processes whose channel is closed stop by themselves, should anything fail here.
            stack.callback(self._let_go)
            while self._code is None:
                self._carry_out(self._policy.tick(self._now_s()))
                if self._code is None:
                    self._wait(signals)
            return self._code

    def _listen(self, stack: ExitStack) -> socket.socket:
        """Have signals written to a socket."""
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
        ready = {key.fileobj for key, _ in self._selector.select(timeout_s)}
        for child in [c for c, process in self._processes.items() if process.channel in ready]:
            self._hear(child)
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
        """Collect all that have ended; also those that we inherit as the first in a container."""
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
        while self._hear(child):
            pass
        self._deafen(child)
        self._processes.pop(child).reaped(code)
        self._carry_out(self._policy.exited(child, code, self._now_s()))

    def _hear(self, child: int) -> bool:
        """Take what a process says; returns whether there was anything."""
        process = self._processes[child]
        try:
            lines = process.lines.read(process.channel)
        except BlockingIOError:
            return False
        if lines is None:
            self._deafen(child)
            return False
        for line in lines:
            if line == READY:
                self._carry_out(self._policy.ready(child, self._now_s()))
            elif line == ALIVE:
                self._policy.heard(child, self._now_s())
            else:
                report = ChildReport.read(line)
                self._carry_out(self._policy.reported(child, *report, self._now_s()))
        return True

    def _deafen(self, child: int) -> None:
        with suppress(KeyError):  # it was done before
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
            process = _Process(self._command, slot)
        except OSError as error:
            _log.error("the system does not start a process: %s", error)
            self._carry_out(self._policy.exited(child, _NOT_STARTED, self._now_s()))
            return
        self._processes[child] = process
        self._selector.register(process.channel, selectors.EVENT_READ)
        self._policy.spawned(child, process.pid)

    def _let_go(self) -> None:
        for process in self._processes.values():
            process.channel.close()

    def _now_s(self) -> float:
        return self._clock.read().monotonic_s


def _has_terminal() -> bool:
    """Tell whether a terminal controls us, whose end is a SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
