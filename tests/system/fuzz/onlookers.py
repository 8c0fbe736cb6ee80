"""Observers of a server under fuzzing: a client, and a console whose keys are pressed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from textual.widgets import Input

from workkit import Client, ServerRefused
from workkit.core.entropy import Entropy
from workkit_tui.app import Console
from workkit_tui.settings import Settings
from workkit_tui.tabs import TABS

__all__ = ["look_on", "pressing"]

ROOT: Final = Path(__file__).resolve().parents[3]

#: Keys that open, move, sort, mark, ask and close; no key that changes data or quits.
_KEYS: Final = (
    "enter", "enter", "enter", "escape", "j", "k", "G", "g", "ctrl+d", "ctrl+u", "s", "i", "o", "w",
    "f", "space", "a", "u", "c", "slash", "colon", "question_mark", "tab", "ctrl+r", "y", "n",
    "equals_sign", "vertical_line", "left_square_bracket", "right_square_bracket",
)  # fmt: skip
_WORDS: Final = (
    "good",
    "name:good",
    "error:no",
    "fails>0",
    "unique",
    "nonsense:",
    "(",
    "dead",
    "99",
)
#: How many keys are pressed on a screen before the next one.
_KEYS_A_TAB: Final = 12
#: A console that needs longer than this for all its screens is stuck, seconds.
_ROUND_S: Final = 120.0
#: From each screen, this many presses lead back.
_ESCAPES: Final = 50
#: A console that does not read for this long is stuck too.
_LOOK_S: Final = 20.0


def look_on(url: str, namespace: str, over: threading.Event, crashes: list[str]) -> None:
    """Read everything that tools read, repeatedly.

    Args:
        url: The server.
        namespace: Prefix of all keys.
        over: Set when it is to end.
        crashes: Takes errors that nobody should see.
    """
    client = Client(namespace, url)
    looks: tuple[Callable[[], Any], ...] = (
        client.overview, client.queues, client.worker_pool_heartbeats, client.worker_observations,
        client.scheduled_jobs, client.retry_jobs, client.dead_jobs, client.history_extent,
        lambda: list(client.history(limit=50)), lambda: client.find("nobody"),
    )  # fmt: skip
    while not over.wait(0.02):
        for look in looks:
            try:
                look()
            except ServerRefused as error:
                if error.code != "WRONGTYPE":
                    crashes.append(f"client: {error}")
            except Exception as error:  # noqa: BLE001 -- that there is none is what is tested
                crashes.append(f"client: {type(error).__name__}: {error}")
    client.close()


@contextmanager
def pressing(url: str, namespace: str, crashes: list[str], seen: Counter[str]) -> Iterator[None]:
    """Press keys in a console, in a separate process, on all its screens.

    Args:
        url: The server.
        namespace: Prefix of all keys.
        crashes: Takes the error that ended the console.
        seen: Counts the keys pressed on each kind of screen.
    """
    command = [sys.executable, "-m", "tests.system.fuzz.onlookers", url, namespace]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield
        finally:
            stuck = threading.Timer(_ROUND_S, process.kill)
            stuck.start()
            told, trouble = process.communicate()
            stuck.cancel()
        if process.returncode:
            said = trouble.decode(errors="replace")
            crashes.append(f"console ended with {process.returncode}: {said}")
        else:
            seen.update(json.loads(told))


async def _press(url: str, namespace: str, over: threading.Event, seen: Counter[str]) -> None:
    entropy = Entropy("keys")
    client = Client(namespace, url)
    app = Console(client, settings=Settings(refresh_s=0.2, read_only=True))
    async with app.run_test(size=(120, 30)) as pilot:
        tab = 0
        while not over.is_set() or tab < len(TABS):
            app.action_tab(TABS[tab % len(TABS)].name)
            tab += 1
            async with asyncio.timeout(_LOOK_S):
                for _ in range(2):  # one may have begun on the screen before
                    looks = app.looks
                    app.action_refresh_now()
                    while app.looks == looks:
                        await pilot.pause(0.02)
            for _ in range(_KEYS_A_TAB):
                key = _KEYS[entropy.below(len(_KEYS))]
                seen[type(app.screen).__name__] += 1
                await pilot.press(key)
                if isinstance(app.focused, Input):  # a screen asks for words
                    await pilot.press(*_WORDS[entropy.below(len(_WORDS))], "enter")
            for _ in range(_ESCAPES):
                if len(app.screen_stack) <= 2:  # Textual's own, and the tab
                    break
                await pilot.press("escape")
            else:
                raise RuntimeError(f"{app.screen} stays, with {app.focused} in focus")
    client.close()


def main() -> None:
    """Press keys until stdin ends, then tell how many on which screen."""
    url, namespace = sys.argv[1:]
    over, seen = threading.Event(), Counter[str]()

    def await_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=await_end, daemon=True).start()
    asyncio.run(_press(url, namespace, over, seen))
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
