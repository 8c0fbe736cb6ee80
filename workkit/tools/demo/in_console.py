"""A run that is watched in the console: it works on a thread, and goes on until one leaves."""

from __future__ import annotations

import threading

from workkit.client import Client
from workkit.engine.process.signals import SignalEvent
from workkit.tools.console import open_console
from workkit.tools.demo.report import Report
from workkit.tools.demo.session import Session

__all__ = ["run_in_console"]


def run_in_console(session: Session, stop: threading.Event | SignalEvent) -> Report | None:
    """Run a session while the console shows it; ends when the console is left.

    Args:
        session: What is to run; its display should be an `UnseenDisplay`.
        stop: What ends the session.

    Returns:
        The report, or None if the session did not come to one.

    Raises:
        WorkkitError: What ended the session.
    """
    reports: list[Report] = []
    troubles: list[BaseException] = []

    def work() -> None:
        try:
            reports.append(session.run())
            if not stop.wait(0):
                session.go_on()
        except BaseException as error:  # noqa: BLE001 - raised again on the thread that waits
            troubles.append(error)

    worker = threading.Thread(target=work, name="demo")
    worker.start()
    try:
        client = Client(session.namespace, session.redis)
        try:
            open_console(client, refresh_s=1.0)
        finally:
            client.close()
    finally:
        stop.set()
        worker.join()
    if troubles:
        raise troubles[0]
    return reports[0] if reports else None
