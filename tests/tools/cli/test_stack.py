"""`workkit stack`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.tools.cli.shell import Shell, busy_pool
from workkit.engine.duties import heartbeat

if TYPE_CHECKING:
    from tests.conftest import WaitUntil

pytestmark = pytest.mark.one_server


def test_the_stack_of_a_running_handler_is_shown(
    shell: Shell, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.1)
    with busy_pool(shell) as (_, job):
        wait_until(
            lambda: any(each.job_id == job.id for each in shell.client.worker_observations())
        )
        result = shell.run("stack", job.id)
        first, code, *_ = result.stdout.splitlines()
        assert first.startswith('  File "')
        assert first.endswith(", in hold")
        assert code == "    release.wait(60)"
        assert result.stderr.startswith("hold ran for ")
        told = json.loads(shell.run("stack", job.id, "--json").stdout)
        assert (told["job_id"], told["kind"]) == (job.id, "thread")
        assert told["frames"][0][2:] == ["hold", "release.wait(60)"]


def test_a_job_that_does_not_run_has_no_stack(shell: Shell) -> None:
    job = shell.enqueuer.enqueue("later")
    told = shell.run("stack", job.id, code=1).stderr
    assert f"no worker runs job {job.id}" in told
