"""No secret of a Redis URL is shown by any command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from redis import Redis

from tests.conftest import PrivateServer

ROOT: Final = Path(__file__).parents[3]
PASSWORD: Final = "hunter2-do-not-show"  # noqa: S105 -- to be looked for
POOL: Final = """
from workkit import WorkerPool
import os
pool = WorkerPool("work", os.environ["WORKKIT_REDIS_URL"])
pool.job("a", lambda job: None)
"""
COMMANDS: Final = (
    ["queues"], ["pools"], ["pools", "--json"], ["jobs", "dead"], ["history"], ["doctor"],
    ["enqueue", "a", "{}"], ["enqueue", "a", "no json"], ["retry", "--all", "--yes"],
    ["worker", "secret_pool:pool"], ["jobs", "find", "nobody"],
)  # fmt: skip


def said(url: str, directory: Path, *command: str) -> str:
    """Run a command and return all that it says; a worker is told to stop soon after it spoke."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workkit", *command],
        env=os.environ | {"WORKKIT_REDIS_URL": url, "PYTHONPATH": str(ROOT)},
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if command[0] != "worker":
        return process.communicate(timeout=60)[0]
    assert process.stdout is not None
    first = process.stdout.readline()
    try:
        return first + process.communicate(timeout=3)[0]
    except subprocess.TimeoutExpired:
        process.terminate()
        return first + process.communicate(timeout=30)[0]


@pytest.mark.slow
@pytest.mark.parametrize("state", ["right", "wrong password", "nobody there"])
def test_commands_show_no_secret_whatever_goes_wrong(
    private_server: PrivateServer, tmp_path: Path, state: str
) -> None:
    (tmp_path / "secret_pool.py").write_text(POOL)
    server = private_server(port="any", config={"requirepass": PASSWORD})
    if state == "wrong password":
        with Redis.from_url(f"redis://:{PASSWORD}@127.0.0.1:{server.port}") as admin:
            admin.config_set("requirepass", "another")
    if state == "nobody there":
        server.kill()
    url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0"
    for command in COMMANDS:
        text = said(url, tmp_path, *command)
        assert text
        assert PASSWORD not in text, command
