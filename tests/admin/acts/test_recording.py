"""Every act is recorded before it happens: who, when, what, on which jobs, and what came of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from redis import Redis

from tests.client.stage import BusyLink, ClientStage, raw_job
from workkit import AsyncClient, Client, Place, ServerRefused, ServerUnavailable
from workkit.admin.acts.act import Act
from workkit.core.lifetimes import ACTS_KEPT
from workkit.doctor import Doctor
from workkit.errors import InvalidOption
from workkit.store import scripts
from workkit.store.connections.target import Target

DEAD: Final = Place("dead")


def only(stage: ClientStage) -> Act:
    (act,) = stage.client.acts()
    return act


def bodies(stage: ClientStage) -> list[dict[str, Any]]:
    return [json.loads(fields[b"b"]) for _, fields in stage.redis.xrange(stage.keys.acts)]


def server_ms(stage: ClientStage) -> int:
    seconds, micros = stage.redis.time()
    return int(seconds) * 1_000 + int(micros) // 1_000


# What is recorded.


def test_a_deletion_by_query_is_recorded_with_its_query_its_jobs_and_its_end(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKKIT_ACTOR", "deploy")
    stage.lay("dead", {raw_job(f"{n:05}"): 100 + n for n in range(60)})
    before_ms = server_ms(stage)
    plan = stage.client.actions.plan("delete", DEAD, "queue:mail")
    assert plan is not None
    outcome = stage.client.actions.apply(plan)
    act = only(stage)
    assert act.by == f"deploy@{socket.gethostname()}"
    assert before_ms <= act.at_ms <= act.ended_ms <= server_ms(stage)
    assert (act.verb, act.place, act.query) == ("delete", "dead", "queue:mail")
    assert (act.planned, act.done, act.operation_id) == (60, 60, outcome.operation_id)
    assert act.ids == tuple(f"{n:05}" for n in range(50))
    assert (act.before, act.after, act.note) == ("dead", "in the trash", "")
    assert len(act.digest) == 32


def test_the_user_of_the_process_acts_where_nobody_is_named(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKKIT_ACTOR", raising=False)
    monkeypatch.setenv("LOGNAME", "ann")
    stage.client.pause("mail")
    assert only(stage).by == f"ann@{socket.gethostname()}"


def test_a_client_may_name_who_acts(stage: ClientStage) -> None:
    with Client(stage.namespace, stage.url, actor="night shift@eu") as client:
        client.pause("mail")
        assert [act.by for act in client.acts()] == ["night shift@eu"]


@pytest.mark.parametrize("actor", ["", "  ", 7, b"x"])
def test_a_client_refuses_a_name_that_is_none(stage: ClientStage, actor: Any) -> None:
    with pytest.raises(InvalidOption, match="actor must be a name such as 'deploy'"):
        Client(stage.namespace, stage.url, actor=actor)


def test_an_undone_act_says_who_has_undone_it(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("a"): 5, raw_job("b"): 6})
    stage.client.delete_dead_job(5, "a")
    (operation,) = stage.client.actions.operations()
    with Client(stage.namespace, stage.url, actor="bob@web-2") as other:
        other.actions.undo(operation.operation_id)
    undo, deletion = stage.client.acts()
    assert (undo.verb, undo.undoes, undo.done, undo.planned) == (
        "undo", operation.operation_id, 1, 1,
    )  # fmt: skip
    assert (deletion.undone_by, deletion.undone_ms, deletion.undone) == (
        "bob@web-2", undo.at_ms, 1,
    )  # fmt: skip


def test_dropping_a_trash_is_recorded(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("a"): 5})
    stage.client.delete_dead_job(5, "a")
    (operation,) = stage.client.actions.operations()
    stage.client.actions.forget(operation.operation_id)
    dropped, _ = stage.client.acts()
    assert (dropped.verb, dropped.undoes, dropped.done) == ("forget", operation.operation_id, 1)


def test_a_pause_is_recorded_with_what_was_before(stage: ClientStage) -> None:
    stage.client.pause("mail")
    stage.client.pause("mail")
    stage.client.unpause("mail")
    stage.client.unpause("mail")
    said = [(act.verb, act.queue, act.before, act.after) for act in stage.client.acts()]
    assert said[::-1] == [
        ("pause", "mail", "running", "paused"),
        ("pause", "mail", "paused", "paused"),
        ("unpause", "mail", "paused", "running"),
        ("unpause", "mail", "running", "running"),
    ]


def retry_one(client: Client) -> None:
    client.retry_dead_job(5, "a")


ONE: Final[dict[str, Callable[[Client], object]]] = {
    "retry": retry_one,
    "retry all": lambda client: client.retry_all_dead_jobs(),
    "delete": lambda client: client.delete_dead_job(5, "a"),
    "delete all": lambda client: client.delete_all_dead_jobs(),
    "delete scheduled": lambda client: client.delete_scheduled_job(5, "s"),
    "delete retry": lambda client: client.delete_retry_job(5, "r"),
    "delete queued": lambda client: client.delete_queued_job("mail", "q"),
}


@pytest.mark.parametrize("what", ONE)
def test_each_method_of_a_client_that_acts_on_jobs_is_recorded(
    stage: ClientStage, what: str
) -> None:
    stage.lay("dead", {raw_job("a"): 5})
    stage.lay("scheduled", {raw_job("s"): 5})
    stage.lay("retry", {raw_job("r"): 5})
    stage.queue("mail", raw_job("q"))
    ONE[what](stage.client)
    assert (only(stage).verb, only(stage).done) == (what.split(maxsplit=1)[0], 1)


def test_the_acts_of_an_async_client_are_recorded(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("a"): 5})

    async def act() -> list[Act]:
        async with AsyncClient(stage.namespace, stage.url, actor="loop@x") as client:
            await client.retry_dead_job(5, "a")
            await client.pause("mail")
            assert (await client.verify_acts()).whole
            return [each async for each in client.acts()]

    assert [(each.by, each.verb) for each in asyncio.run(act())] == [
        ("loop@x", "pause"), ("loop@x", "retry"),
    ]  # fmt: skip


def test_a_repair_is_recorded_with_the_fault_and_what_was_done(stage: ClientStage) -> None:
    stage.redis.set(stage.keys.retry, "no set")
    doctor = Doctor(stage.namespace, stage.url, actor="ann@web-1")
    (finding,) = [each for each in doctor.examine() if each.check == "wrong-type"]
    doctor.repair(finding)
    doctor.close()
    act = only(stage)
    assert (act.by, act.verb, act.subject) == ("ann@web-1", "repair", "wrong-type")
    assert act.before == finding.says
    assert act.after.startswith("it was renamed to")


def test_a_look_records_nothing(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("a"): 5})
    stage.client.actions.plan("delete", DEAD)
    stage.client.dead_jobs()
    doctor = Doctor(stage.namespace, stage.url)
    doctor.examine()
    doctor.close()
    assert not stage.redis.exists(stage.keys.acts)


def test_an_act_that_finds_no_job_any_more_says_so(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("a"): 5, raw_job("b"): 6})
    plan = stage.client.actions.plan("delete", DEAD)
    assert plan is not None
    stage.redis.delete(stage.keys.dead)
    stage.client.actions.apply(plan)
    assert (only(stage).done, only(stage).note) == (0, "2 gone before")


# Secrets.


@pytest.mark.parametrize(
    "query",
    ["args.password:hunter22", 'args.api_token:"hunter22"', "error:password=hunter22"],
)
def test_no_secret_of_a_query_is_recorded(stage: ClientStage, query: str) -> None:
    stage.lay(
        "dead",
        {
            raw_job(
                "a", args={"password": "hunter22", "api_token": "hunter22"}, fails=1,
                err="E: password=hunter22",
            ): 5
        },
    )  # fmt: skip
    plan = stage.client.actions.plan("delete", DEAD, query)
    assert plan is not None
    assert plan.count == 1
    stage.client.actions.apply(plan)
    assert "hunter22" not in json.dumps(bodies(stage))
    assert "•••" in only(stage).query


def test_args_are_recorded_only_as_a_digest(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("a", args={"note": "personal"}): 5})
    stage.client.retry_dead_job(5, "a")
    assert "personal" not in json.dumps(bodies(stage))


def test_names_of_further_secrets_can_be_added(stage: ClientStage) -> None:
    stage.client.actions.logic.log.hide_also(["*passport*"])
    stage.lay("dead", {raw_job("a", args={"passport": "X1234567"}): 5})
    plan = stage.client.actions.plan("delete", DEAD, "args.passport:X1234567")
    assert plan is not None
    stage.client.actions.apply(plan)
    assert only(stage).query == "args.passport:•••"


@pytest.mark.parametrize("name", ["\udc80x", "\x1b[31mred", "=1+1", "a" * 9_000])
def test_any_name_can_act(stage: ClientStage, name: str) -> None:
    with Client(stage.namespace, stage.url, actor=f"{name}@x") as client:
        client.pause("mail")
    assert len(only(stage).by) <= 1_000


# Atomicity.


class LosingLink(BusyLink):
    """A connection that loses one exchange with a script, or its reply."""

    def __init__(self, stage: ClientStage, script: object, how: str) -> None:
        super().__init__(Target.of(stage.url), lambda _: None)
        self.script, self.how = script, how

    def send(self, commands: Sequence[Any], meanwhile: Any = None) -> list[Any]:
        if commands[0][0] is self.script and self.how:
            {"reply": self.lose_reply, "request": self.drop}[self.how]()
            self.how = ""
        return super().send(commands, meanwhile)


@pytest.mark.parametrize("how", ["reply", "request"])
@pytest.mark.parametrize("script", [scripts.NOTE, scripts.REMOVE, scripts.ACT])
def test_no_job_is_deleted_without_an_entry_wherever_the_connection_breaks(
    stage: ClientStage, script: object, how: str
) -> None:
    stage.lay("dead", {raw_job("a"): 5})
    link = LosingLink(stage, script, how)
    client = stage.client_on(link)
    if script is scripts.ACT:  # the end of the act, after it
        client.delete_dead_job(5, "a")
    else:
        with pytest.raises(ServerUnavailable):
            client.delete_dead_job(5, "a")
    link.close()
    acts = list(Client(stage.namespace, stage.url).acts())
    if not stage.members("dead"):
        assert [act.verb for act in acts] == ["delete"]
    if script is scripts.NOTE:
        assert stage.members("dead") == [raw_job("a")]
    if script is not scripts.ACT or how == "request":
        assert [act.done for act in acts] in ([None], [])


@pytest.mark.parametrize("how", ["reply", "request"])
def test_no_queue_is_paused_without_an_entry(stage: ClientStage, how: str) -> None:
    link = LosingLink(stage, scripts.PAUSE, how)
    with pytest.raises(ServerUnavailable):
        stage.client_on(link).pause("mail")
    link.close()
    paused = stage.redis.exists(stage.keys.paused("mail"))
    assert paused == (how == "reply")
    assert paused == stage.redis.xlen(stage.keys.acts)


def lasting(stage: ClientStage) -> dict[str, Any]:
    """Read every key, with whether it expires: a second may pass between two readings."""
    return {
        key: entry | {"ttl_s": entry["ttl_s"] >= 0} for key, entry in stage.scene.dump().items()
    }


@pytest.mark.parametrize("broken", ["acts", "acts_head"])
@pytest.mark.parametrize("what", [*ONE, "pause", "unpause", "undo", "forget"])
def test_nothing_is_done_where_the_record_has_a_wrong_type(
    stage: ClientStage, what: str, broken: str
) -> None:
    stage.lay("dead", {raw_job("a"): 5, raw_job("z"): 6})
    stage.lay("scheduled", {raw_job("s"): 5})
    stage.lay("retry", {raw_job("r"): 5})
    stage.queue("mail", raw_job("q"))
    stage.client.delete_dead_job(6, "z")
    (operation,) = stage.client.actions.operations()
    stage.redis.delete(stage.keys.acts, stage.keys.acts_head)
    stage.redis.set(getattr(stage.keys, broken), "a string")
    more: dict[str, Callable[[Client], object]] = {
        "pause": lambda client: client.pause("mail"),
        "unpause": lambda client: client.unpause("mail"),
        "undo": lambda client: client.actions.undo(operation.operation_id),
        "forget": lambda client: client.actions.forget(operation.operation_id),
    }
    before = lasting(stage)
    with pytest.raises(ServerRefused, match="nothing was done.*doctor --repair"):
        (ONE | more)[what](stage.client)
    assert lasting(stage) == before


@pytest.mark.parametrize("broken", ["acts", "acts_head"])
def test_the_doctor_repairs_a_record_of_a_wrong_type_and_records_that(
    stage: ClientStage, broken: str
) -> None:
    stage.redis.set(getattr(stage.keys, broken), "a string")
    doctor = Doctor(stage.namespace, stage.url)
    (finding,) = [each for each in doctor.examine() if each.check == "wrong-type"]
    doctor.repair(finding)
    doctor.close()
    assert only(stage).verb == "repair"


def test_a_user_who_may_not_write_the_record_can_do_nothing_and_is_told_why(
    stage: ClientStage,
) -> None:
    name, prefix = f"u-{stage.namespace}", stage.namespace
    keys = [f"~{prefix}:{each}" for each in ("dead", "trash*", "jobs:*", "begun", "known_jobs")]
    stage.redis.acl_setuser(name, enabled=True, passwords=["+pw"], commands=["+@all"])
    stage.redis.execute_command("ACL", "SETUSER", name, *keys)
    stage.lay("dead", {raw_job("a"): 5})
    try:
        with Client(stage.namespace, stage.url.replace("//", f"//{name}:pw@")) as client:
            for act in (retry_one, ONE["delete all"], lambda client: client.pause("mail")):
                with pytest.raises(ServerRefused, match=f"nothing was done.*{prefix}:acts"):
                    act(client)
    finally:
        stage.redis.acl_deluser(name)
    assert stage.members("dead") == [raw_job("a")]
    assert not stage.redis.exists(stage.keys.paused("mail"))


def test_jobs_can_be_deleted_and_queues_resumed_on_a_full_server(
    private_server: Any, namespace: str
) -> None:
    server = private_server()
    with Client(namespace, server.url) as client, Redis.from_url(server.url) as redis:
        redis.zadd(f"{namespace}:dead", {raw_job("a"): 5})
        redis.set(f"{namespace}:jobs:mail:paused", "1")
        redis.config_set("maxmemory", 1)
        client.delete_dead_job(5, "a")
        assert client.unpause("mail")
        assert [act.verb for act in client.acts()] == ["unpause", "delete"]


# The bound.


def test_the_record_has_a_bound(stage: ClientStage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ACTS_KEPT == 10_000
    monkeypatch.setattr("workkit.store.calls.acts.ACTS_KEPT", 5)
    for _ in range(9):
        stage.client.pause("mail")
    assert [act.number for act in stage.client.acts()] == [9, 8, 7, 6, 5]


def test_acts_are_recorded_behind_entries_from_the_future(stage: ClientStage) -> None:
    future = server_ms(stage) + 10**9
    stage.redis.xadd(stage.keys.acts, {"junk": "1"}, id=f"{future}-7")
    stage.client.pause("mail")
    stage.client.unpause("mail")
    assert [act.verb for act in stage.client.acts()] == ["unpause", "pause"]
    assert all(act.at_ms < future for act in stage.client.acts())
