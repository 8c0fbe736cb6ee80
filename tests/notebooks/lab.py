"""A private JupyterLab for a test, and a chromium that shows it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import nbformat
import pytest
from playwright.sync_api import Page, TimeoutError, sync_playwright  # noqa: A004 - its own

__all__ = ["CHROMIUM", "Lab", "find_chromium", "need_chromium"]

CHROMIUM: Final = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
_START_S: Final = 120
#: Machines that run tests are busy.
_PATIENCE_MS: Final = 240_000
_FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
#: JupyterLab shows no questions.
_SETTINGS: Final = {
    "notebook-extension/tracker": {"autoStartDefaultKernel": True},
    "apputils-extension/notification": {"fetchNews": "false"},
}


def find_chromium() -> str | None:
    """Return Debian's chromium, or another one on PATH."""
    return next((path for name in CHROMIUM if (path := shutil.which(name))), None)


def need_chromium() -> str:
    """Return the browser; skip the test without one, and fail it where all must be there."""
    if (found := find_chromium()) is not None:
        return found
    if os.environ.get("CI") or os.environ.get("WORKKIT_REQUIRE_ALL_SERVERS"):
        pytest.fail("there is no chromium on PATH, and CI wants one")
    pytest.skip("there is no chromium on PATH")


class Lab:
    """A page of a JupyterLab.

    Args:
        page: The browser's page.
        url: Where the lab is.
        token: The token that opens it.
        root: Its notebooks.
    """

    def __init__(self, page: Page, url: str, token: str, root: Path) -> None:
        self.page = page
        self._url = url
        self._token = token
        self._root = root

    def open(self, *cells: str, name: str = "test.ipynb") -> None:
        """Open a notebook with some cells, and run them all."""
        notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],  # type: ignore[no-untyped-call]
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(notebook, self._root / name)  # type: ignore[no-untyped-call]
        self.page.goto(f"{self._url}/lab/tree/{name}?token={self._token}&reset")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').first.wait_for(
            state="attached"
        )
        for number in range(len(cells)):
            self._run(number)

    def _run(self, number: int) -> None:
        """Run a cell. A page that is not ready loses keys, so check that it runs."""
        cell = self.page.locator(".jp-Notebook .jp-Cell").nth(number)
        for _ in range(20):
            cell.locator(".cm-content").first.click()
            self.page.keyboard.press("Control+Enter")
            with suppress(TimeoutError):
                fresh = cell.locator(".jp-InputPrompt", has_text="[ ]:")
                fresh.wait_for(state="hidden", timeout=30_000)
                return
        raise AssertionError(f"cell {number} does not run")

    def run_again(self, says: str) -> None:
        """Run a cell again."""
        cell = self.page.locator(".jp-CodeCell", has_text=says).first
        cell.locator(".cm-content").first.click()
        self.page.keyboard.press("Control+Enter")

    def screenshot(self, name: str) -> None:
        """Save a screenshot of the page in WORKKIT_SCREENSHOTS, if it is set."""
        if directory := os.environ.get("WORKKIT_SCREENSHOTS"):
            self.page.screenshot(path=f"{directory}/{name}.png", full_page=True)

    @classmethod
    @contextmanager
    def started(cls, home: Path) -> Iterator[Lab]:
        """Start a lab and a browser; both end with the block.

        Args:
            home: For notebooks, settings and the browser's profile.
        """
        chromium = find_chromium()
        assert chromium is not None, "no chromium"
        root, token = home / "root", "t" * 24
        root.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with _server(home, root, port, token) as url, sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                str(home / "profile"),
                executable_path=chromium,
                args=list(_FLAGS),
                headless=True,
                viewport={"width": 1300, "height": 1500},
            )
            context.set_default_timeout(_PATIENCE_MS)
            context.set_default_navigation_timeout(_PATIENCE_MS)
            try:
                yield cls(context.new_page(), url, token, root)
            finally:
                context.close()


@contextmanager
def _server(home: Path, root: Path, port: int, token: str) -> Iterator[str]:
    directories = {
        f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")
    }
    command: Sequence[str] = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}",
        "--ServerApp.port_retries=0", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    for name, values in _SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    directories["JUPYTERLAB_SETTINGS_DIR"] = str(home / "settings")
    here = Path(__file__).parents[2]
    environment = {**os.environ, **directories, "PYTHONPATH": f"{here}:{here / 'notebooks'}"}
    log = (home / "log").open("w+")
    process = subprocess.Popen(command, env=environment, cwd=root, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START_S
        while not _listens(port):
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline, (home / "log").read_text()
            threading.Event().wait(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
