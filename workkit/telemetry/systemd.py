"""Tells systemd that a service is ready, is stopping, and is alive: sd_notify(3).

systemd names a datagram socket in NOTIFY_SOCKET, and in WATCHDOG_USEC the time after which it
restarts a service that sends no sign of life. Both are taken out of the environment, so that
programs that handlers start do not speak for the service.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Final, Self

from workkit.core.clock import monotonic_s
from workkit.engine.health import Health, asked

__all__ = ["Notifier"]

_log = logging.getLogger("workkit")

#: How often the health is looked at, seconds.
_LOOK_S: Final = 0.5
_MICROSECONDS: Final = 1_000_000


class Notifier:
    """Reports a health to systemd, on a thread of its own.

    Args:
        address: The socket's address; "@" begins an abstract one.
        watchdog_s: After this long without a sign of life the service is restarted, seconds; None
            without a watchdog.
        health: Returns the health.
    """

    def __init__(
        self, address: str, watchdog_s: float | None, health: Callable[[], Health]
    ) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_s = watchdog_s
        self._health = health
        self._over = threading.Event()
        self._alive_s = float("-inf")
        self._is_ready = self._is_stopping = False
        self._status = ""
        look_s = _LOOK_S if watchdog_s is None else min(_LOOK_S, watchdog_s / 4)
        self._thread = threading.Thread(
            target=self._watch, args=(look_s,), name="workkit-systemd", daemon=True
        )

    @classmethod
    def started(
        cls,
        health: Callable[[], Health],
        environment: MutableMapping[str, str] = os.environ,
    ) -> Self | None:
        """Take systemd's variables and begin to report; None if systemd has not asked for it."""
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        if not address.startswith(("/", "@")):
            return None
        watchdog_s = None
        if microseconds.isdecimal() and int(microseconds) and pid in {"", str(os.getpid())}:
            watchdog_s = int(microseconds) / _MICROSECONDS
        notifier = cls(address, watchdog_s, health)
        with suppress(RuntimeError):  # the system refuses threads; the pool will say so
            notifier._thread.start()
        return notifier

    def close(self) -> None:
        """Say that the service stops, and report nothing more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
        self._say_stopping()

    def _watch(self, look_s: float) -> None:
        while not self._over.wait(look_s):
            self._look()

    def _look(self) -> None:
        health = asked(self._health)
        if health.state == "stopping":
            self._say_stopping()
        elif health.ready and not self._is_ready:
            self._is_ready = True
            self._send("READY=1")
        status = "; ".join(health.reasons) or "processing jobs"
        if status != self._status:
            self._status = status
            self._send(f"STATUS={status.splitlines()[0]}")
        now_s = monotonic_s()
        if (
            self._watchdog_s is not None
            and health.live
            and now_s - self._alive_s >= self._watchdog_s / 4
        ):
            self._alive_s = now_s
            self._send("WATCHDOG=1")

    def _say_stopping(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            try:
                ours.settimeout(1.0)
                ours.connect(self._address)
                ours.sendall(text.encode("utf-8", "replace"))
            except OSError as error:
                _log.debug("systemd cannot be told %r: %s", text, error)
