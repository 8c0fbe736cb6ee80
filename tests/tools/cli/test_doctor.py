"""`workkit doctor`."""

from __future__ import annotations

import re

import pytest
from redis import Redis

from tests.conftest import PrivateServer
from tests.parity.gopeer import Clock, GoJob, Scene
from tests.tools.cli.shell import Shell
from workkit.core.clock import SystemClock


@pytest.fixture
def leaky(shell: Shell, redis_client: Redis) -> Shell:
    """A namespace in which a Go pool has left a zero field, and a key of a job it has deleted."""
    scene = Scene(redis_client, shell.namespace, Clock(SystemClock().read().epoch_s))
    peer = scene.peer(a=GoJob())
    peer.enqueue("a")
    peer.run_all()
    job = peer.enqueue_unique_in_by_key("a", 5, None, {"k": "<b>"})
    assert job is not None
    peer.delete_scheduled_job(job.run_at, job.job.id)
    peer.stop()
    return shell


def test_findings_are_listed_with_what_can_be_done(leaky: Shell) -> None:
    result = leaky.run("doctor", code=1)
    assert re.search(
        r"^broken unique-key: no job holds the unique key ", result.stdout, re.MULTILINE
    )
    assert re.search(r"^note lock-info: .* names 1 pool that is gone", result.stdout, re.MULTILINE)
    assert "  repair: deletes it" in result.stdout
    assert "3 findings, 2 of them can be repaired with --repair" in result.stderr


def test_without_repair_nothing_is_changed(leaky: Shell) -> None:
    assert leaky.json("doctor", code=1) == leaky.json("doctor", code=1)


def test_json_has_every_field_and_what_was_repaired(leaky: Shell) -> None:
    found = {item["check"]: item for item in leaky.json("doctor", "--repair", "--yes", code=1)}
    assert found["unique-key"]["repaired"] == "it was deleted"
    assert found["persistence"]["repaired"] is None
    fields = {"check", "severity", "subject", "says", "remedy", "repairable", "repaired"}
    assert set(found["lock-info"]) == fields
    assert [item["check"] for item in leaky.json("doctor", code=1)] == ["persistence"]


def test_repairs_are_told_and_the_next_look_is_clean(leaky: Shell) -> None:
    said = leaky.run("doctor", "--repair", "--yes", code=1).stdout
    assert "1 field was removed" in said
    assert "unique-key" not in leaky.run("doctor", code=1).stdout


def test_where_there_is_nobody_to_ask_yes_is_asked_for(leaky: Shell) -> None:
    said = leaky.run("doctor", "--repair", code=2)
    assert "pass --yes to repair 2 findings" in said.stderr


def test_yes_without_repair_is_a_mistake(shell: Shell) -> None:
    assert "--yes needs --repair" in shell.complaint("doctor", "--yes", code=2)


def test_a_sound_namespace_on_a_safe_server_is_praised(private_server: PrivateServer) -> None:
    server = private_server(appendonly=True)
    result = Shell(server.url, "work").run("doctor")
    assert result.stdout == ""
    assert "no findings in namespace 'work'" in result.stderr
