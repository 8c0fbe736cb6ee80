"""A wait for a signal ends, whenever and wherever the signal comes."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

_PATIENCE_S: Final = 30.0

#: The kernel delivers the signal to another, sleeping thread, so it interrupts no wait. The same
#: happens if the signal comes just before the main thread falls asleep.
_ELSEWHERE: Final = """
import os, signal, threading
from workkit.engine.process.signals import SignalEvent, signals_to

threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
asked = SignalEvent()
with signals_to(lambda *_: asked.set()):
    threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGTERM]).start()
    print(asked.wait())
"""


def test_a_signal_that_wakes_nobody_ends_a_wait_all_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE],
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=True,
    )
    assert done.stdout == "True\n"
