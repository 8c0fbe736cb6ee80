"""Takes the pictures of the console in the README, from the demo: `make screenshots`.

The demo's jobs run on a private server, and the script goes from screen to screen. The pictures
differ from run to run, as the work does.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
from pathlib import Path
from typing import Final

from workkit.client import Client
from workkit.embedded import EmbeddedServer
from workkit.tools.demo.display import DemoDisplay
from workkit.tools.demo.session import DemoSession
from workkit.tools.demo.workload import Workload, find_sources, source_roots
from workkit_tui.app import Console
from workkit_tui.settings import Settings

FOLDER: Final = Path(__file__).parent / "pictures"
SIZE: Final = (110, 36)
#: Files that are parsed; enough for half a minute.
_FILES: Final = 2_500
#: Pictures are taken when this many jobs are dead.
_DEAD: Final = 6
_LONGEST_S: Final = 120
#: After this long, the first series have a shape, and the demo still works.
_BUSY_S: Final = 12.0
#: Shown instead of the path of Python, with the same width.
_ELSEWHERE: Final = "/opt/python".ljust(200, "-")
#: Readers of a page should not have to ask another host for a font.
_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class ShopClient(Client):
    """A client whose server is called as users' servers are."""

    @property
    def label(self) -> str:
        """A name for the picture."""
        return "demo at localhost:6379/0"


async def take(url: str, namespace: str) -> None:
    """Go from screen to screen, and take pictures."""
    client = ShopClient(namespace, url)

    def pause(name: str, wanted: bool) -> None:
        client.pause(name) if wanted else client.unpause(name)

    app = Console(
        client, actions=client.actions, pause=pause, settings=Settings(refresh_s=0.5, by="demo")
    )
    async with app.run_test(size=SIZE) as pilot:

        async def picture(name: str, *keys: str, wait_s: float = 1.5) -> None:
            await pilot.press(*keys)
            await asyncio.sleep(wait_s)
            svg = _FONT.sub("", app.export_screenshot(title="workkit top"))
            svg = svg.replace(sys.base_prefix, _ELSEWHERE[: len(sys.base_prefix)])
            (FOLDER / f"console-{name}.svg").write_text(svg.replace("Fira Code", "monospace"))
            print(f"docs/pictures/console-{name}.svg", file=sys.stderr)

        await picture("overview", "1", wait_s=_BUSY_S)
        await picture("queues", "2")
        async with asyncio.timeout(_LONGEST_S):
            while client.overview().dead < _DEAD:  # noqa: ASYNC110 - the demo gives no signal
                await asyncio.sleep(0.5)
        await picture("errors", "7")
        await pilot.press("6")
        await asyncio.sleep(1)
        await picture("job", "enter")
        await picture("plan", "escape", "a", "r")
    client.close()


def main() -> None:
    """Run the demo, and take pictures of it."""
    FOLDER.mkdir(exist_ok=True)
    workload = Workload.choose(find_sources(source_roots()), _FILES)
    stop = threading.Event()
    with EmbeddedServer() as server:
        session = DemoSession(server.url, "demo", workload, 8, DemoDisplay(None), stop)

        def work() -> None:
            session.run()
            session.go_on()

        worker = threading.Thread(target=work)
        worker.start()
        time.sleep(1)
        try:
            asyncio.run(take(server.url, "demo"))
        finally:
            stop.set()
            worker.join()
            session.close()


if __name__ == "__main__":
    main()
