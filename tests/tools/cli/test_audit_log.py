"""`workkit audit-log`, and who the command line says has acted."""

from __future__ import annotations

import json
import re
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.tools.cli.shell import Shell, put, spawn
from workkit import Client

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.one_server

DIED_AT = 1_700_000_000


@pytest.fixture
def busy(shell: Shell, redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A namespace in which three things were done: a pause, a deletion, and its undoing."""
    monkeypatch.setattr(Shell, "env", {**shell.env, "WORKKIT_ACTOR": "deploy"})
    shell.run("pause", "mail")
    put(redis_client, shell.namespace, "dead", DIED_AT)
    told = shell.run("delete", "--from", "dead", "--all", "--yes").stderr
    operation = re.search(r"workkit undo (\w+)", told)
    assert operation
    shell.run("undo", operation[1])
    return shell


def test_it_shows_who_did_what_with_the_newest_last(busy: Shell) -> None:
    head, pause, deletion, undo = busy.lines("audit-log")
    assert head.split() == ["WHEN", "BY", "ACT", "JOBS", "ON", "DETAILS"]
    who = f"deploy@{socket.gethostname()}"
    assert re.search(rf"{who} +pause +queue mail +running -> paused$", pause)
    assert re.search(rf"{who} +delete +1 +dead +job (ab){{12}}; undone by {who} \(1\)$", deletion)
    assert re.search(rf"{who} +undo +1 +dead +operation \w{{12}}$", undo)


def test_filters_pick_acts(busy: Shell) -> None:
    assert len(busy.lines("audit-log", "--verb", "undo")) == 2
    assert len(busy.lines("audit-log", "--by", "deploy")) == 4
    assert busy.run("audit-log", "--by", "nobody").stderr == "no act matches\n"
    assert len(busy.lines("audit-log", "--since", "1h")) == 4
    assert busy.run("audit-log", "--until", "1h").stderr == "no act matches\n"
    few = busy.run("audit-log", "--limit", "1")
    assert "undo" in few.stdout
    assert few.stderr == "showing the newest 1; --limit N shows more\n"


def test_json_has_everything(busy: Shell) -> None:
    pause, deletion, undo = busy.json("audit-log")
    assert (pause["verb"], pause["before"], pause["after"]) == ("pause", "running", "paused")
    assert (deletion["planned"], deletion["done"], deletion["ids"]) == (1, 1, ["ab" * 12])
    assert undo["undoes"] == deletion["operation_id"]
    assert busy.json("audit-log", "--by", "nobody") == []


def test_an_empty_record_is_no_error(shell: Shell) -> None:
    shell.enqueuer.enqueue("mail")
    assert shell.run("audit-log").stderr == "no act has been recorded\n"
    assert shell.run("audit-log", "--verify").stderr == "no act has been recorded\n"
    assert shell.json("audit-log", "--verify")["whole"] is True


def test_a_whole_record_is_verified(busy: Shell) -> None:
    assert busy.lines("audit-log", "--verify") == ["the record is whole: 5 entries, 1 to 5"]


def test_verifying_names_what_is_wrong_and_exits_with_1(busy: Shell, redis_client: Redis) -> None:
    key = f"{busy.namespace}:acts"
    entries: Any = redis_client.xrange(key)
    redis_client.xdel(key, entries[1][0])
    redis_client.xadd(key, {"n": "x\x1b[2J"})
    result = busy.run("audit-log", "--verify", code=1)
    first, missing, foreign = result.stdout.splitlines()
    assert first == "the record is not whole: 4 entries, 1 to 5"
    assert missing == "missing, and not trimmed: entry 2"
    assert foreign.startswith("not written by workkit: entry ")
    verdict = busy.json("audit-log", "--verify", code=1)
    assert (verdict["whole"], verdict["missing"]) == (False, [[2, 2]])


@pytest.mark.parametrize("args", [("--since", "1h"), ("--follow",), ("--by", "x")])
def test_verifying_takes_no_filter(shell: Shell, args: tuple[str, ...]) -> None:
    told = shell.complaint("audit-log", "--verify", *args, code=2)
    assert "--verify is about all entries" in told


def test_a_key_of_a_wrong_type_is_named(shell: Shell, redis_client: Redis) -> None:
    redis_client.set(f"{shell.namespace}:acts", "a string")
    for args in (("audit-log",), ("audit-log", "--verify"), ("pause", "mail")):
        told = shell.run(*args, code=70).stderr
        assert f"{shell.namespace}:acts" in told
        assert "workkit doctor --repair" in told


def test_no_text_moves_the_cursor(shell: Shell) -> None:
    with Client(shell.namespace, shell.url, actor="\x1b[2J\u202egnp@x") as client:
        client.pause("a\x1b[31mb")
    for args in (("audit-log",), ("audit-log", "--json")):
        shown = shell.run(*args).stdout
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_it_follows_acts_when_they_begin_and_end(busy: Shell) -> None:
    with spawn("audit-log", "--follow", "--limit", "1", "--json", env=busy.env) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["verb"] == "undo"
        busy.run("unpause", "mail")
        told = json.loads(process.stdout.readline())
        assert (told["verb"], told["queue"]) == ("unpause", "mail")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_a_repair_of_the_doctor_is_recorded(shell: Shell, redis_client: Redis) -> None:
    redis_client.set(f"{shell.namespace}:retry", "no set")
    shell.run("doctor", "--repair", "--yes", code=1)  # a server that keeps nothing is a risk
    (act,) = shell.json("audit-log")
    assert (act["verb"], act["subject"]) == ("repair", "wrong-type")
