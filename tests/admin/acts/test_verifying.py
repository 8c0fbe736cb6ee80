"""The record of acts shows which of its entries were changed, removed or added by others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.client.stage import ClientStage
from workkit import InvalidOption
from workkit.admin.acts.verifying import ActsVerdict
from workkit.store.calls import acts


def filled(stage: ClientStage, count: int = 8) -> list[bytes]:
    """Record acts; return the ids of their entries."""
    for _ in range(count):
        stage.client.pause("mail")
    return [entry_id for entry_id, _ in stage.redis.xrange(stage.keys.acts)]


def verdict(stage: ClientStage) -> ActsVerdict:
    return stage.client.verify_acts()


def put(stage: ClientStage, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
    """Write the stream again, as somebody with a text editor would."""
    stage.redis.delete(stage.keys.acts)
    for entry_id, fields in entries:
        stage.redis.xadd(stage.keys.acts, fields, id=entry_id)


def relinked(entry: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Give an entry the digest of its content."""
    row = acts.ActRow("", int(entry[b"n"]), entry[b"p"], b"", entry[b"r"], entry[b"b"])
    return entry | {b"l": row.own()}


def test_a_record_that_nobody_has_touched_is_whole(stage: ClientStage) -> None:
    assert verdict(stage) == ActsVerdict(0, 0, 0, 0)
    filled(stage)
    assert verdict(stage) == ActsVerdict(8, 1, 8, 0)
    assert verdict(stage).whole


def test_trimming_is_told_from_deletion(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "ACTS_KEPT", 5)
    filled(stage, 12)
    assert verdict(stage) == ActsVerdict(5, 8, 12, 7)
    stage.redis.xtrim(stage.keys.acts, maxlen=3, approximate=False)
    assert verdict(stage).missing == ((8, 9),)


Edit = Callable[[dict[bytes, bytes]], dict[bytes, bytes]]


def with_other_body(entry: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return entry | {b"b": json.dumps({**json.loads(entry[b"b"]), "by": "somebody@else"}).encode()}


EDITS: Final[dict[str, Edit]] = {
    "the act": with_other_body,
    "the act and its digest": lambda entry: relinked(with_other_body(entry)),
    "what the script found": lambda entry: entry | {b"r": b"7"},
    "the digest": lambda entry: entry | {b"l": b"0" * 40},
    "the digest before": lambda entry: entry | {b"p": b"0" * 40},
    "both digests": lambda entry: relinked(entry | {b"p": b"0" * 40}),
    "a byte": lambda entry: entry | {b"b": entry[b"b"].replace(b"mail", b"maiL")},
}


@pytest.mark.parametrize("at", [0, 1, 4, 7])
@pytest.mark.parametrize("edit", EDITS)
def test_a_changed_entry_is_named_and_no_other(stage: ClientStage, edit: str, at: int) -> None:
    filled(stage)
    entries = stage.redis.xrange(stage.keys.acts)
    entries[at] = (entries[at][0], EDITS[edit](entries[at][1]))
    put(stage, entries)
    found = verdict(stage)
    assert (found.changed, found.missing) == ((at + 1,), ())
    assert found.sentences() == [f"changed after it was written: entry {at + 1}"]


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        ([0], ((1, 1),)),
        ([0, 1, 2], ((1, 3),)),
        ([3], ((4, 4),)),
        ([2, 3, 5], ((3, 4), (6, 6))),
        ([7], ((8, 8),)),
        ([6, 7], ((7, 8),)),
        (list(range(8)), ((1, 8),)),
    ],
)
def test_missing_entries_are_named(
    stage: ClientStage, gone: list[int], missing: tuple[tuple[int, int], ...]
) -> None:
    ids = filled(stage)
    stage.redis.xdel(stage.keys.acts, *(ids[at] for at in gone))
    found = verdict(stage)
    assert (found.missing, found.changed) == (missing, ())
    assert found.sentences()[0].startswith("missing, and not trimmed: entr")


def test_missing_entries_are_remembered_when_the_others_are_trimmed(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "ACTS_KEPT", 8)
    ids = filled(stage)
    stage.redis.xdel(stage.keys.acts, ids[2], ids[3])
    filled(stage, 12)
    found = verdict(stage)
    assert (found.missing, found.lost, found.trimmed) == ((), 2, 10)
    assert found.sentences() == ["2 entries were missing when the entries around were trimmed"]


@pytest.mark.parametrize(
    "fields",
    [
        {"junk": "1"},
        {"v": "1", "n": "x"},
        {"v": "2", "n": "9", "b": "{}"},
        {"v": "1", "n": "-4"},
        {"v": "1", "n": "0"},
        {b"\xff": b"\xfe"},
    ],
)
def test_entries_of_others_are_named_and_change_no_list(
    stage: ClientStage, fields: dict[Any, Any]
) -> None:
    filled(stage, 3)
    added = stage.redis.xadd(stage.keys.acts, fields)
    filled(stage, 2)
    found = verdict(stage)
    assert (found.foreign, found.kept, found.changed) == ((added.decode(),), 5, ())
    assert len(list(stage.client.acts())) == 5


def test_an_entry_that_was_copied_is_named(stage: ClientStage) -> None:
    filled(stage, 4)
    entries = stage.redis.xrange(stage.keys.acts)
    stage.redis.xadd(stage.keys.acts, entries[1][1])
    assert verdict(stage).changed == (2,)


def test_a_chain_without_its_ends_goes_on_and_says_so(stage: ClientStage) -> None:
    filled(stage, 3)
    stage.redis.delete(stage.keys.acts_head)
    assert verdict(stage).headless
    assert "the ends of the chain were removed" in verdict(stage).sentences()[0]
    filled(stage, 2)
    found = verdict(stage)
    assert (found.resumed, found.changed, found.missing) == (4, (), ())
    assert [act.number for act in stage.client.acts()] == [5, 4, 3, 2, 1]
    assert "before entry 4" in found.sentences()[0]


def test_a_record_that_somebody_deletes_is_missing(stage: ClientStage) -> None:
    filled(stage, 3)
    stage.redis.delete(stage.keys.acts)
    filled(stage, 1)
    assert verdict(stage).missing == ((1, 3),)


def test_acts_while_it_is_verified_do_no_harm(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "ACTS_KEPT", 5)
    monkeypatch.setattr("workkit.admin.acts.verifying._PAGE", 2)
    filled(stage, 7)
    busy: list[int] = []
    read = acts.read

    def and_act(*args: Any, **options: Any) -> Any:
        if not busy:
            busy.append(1)
            filled(stage, 2)
        return read(*args, **options)

    monkeypatch.setattr("workkit.admin.acts.verifying.acts.read", and_act)
    assert verdict(stage).whole
    assert busy


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """A key that this process has."""
    key = "k" * 32
    monkeypatch.setenv("WORKKIT_AUDIT_KEY", key)
    return key


def new_chain(stage: ClientStage, entries: list[dict[bytes, bytes]]) -> None:
    """Write a chain of entries as somebody would who knows the source but not the key."""
    link, number = b"", 0
    stage.redis.delete(stage.keys.acts, stage.keys.acts_head)
    for entry in entries:
        number += 1
        linked = relinked(entry | {b"n": b"%d" % number, b"p": link})
        link = linked[b"l"]
        stage.redis.xadd(stage.keys.acts, linked, id=f"{number}-{number}")
    ends = {"n": number, "l": link, "ms": number}
    stage.redis.hset(stage.keys.acts_head, mapping=ends)


def entries(stage: ClientStage) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in stage.redis.xrange(stage.keys.acts)]


def test_with_a_key_entries_are_sealed(stage: ClientStage, key: str) -> None:
    del key
    filled(stage)
    assert verdict(stage) == ActsVerdict(8, 1, 8, 0, sealed=8)
    assert verdict(stage).whole
    assert [act.verb for act in stage.client.acts()] == ["pause"] * 8


def test_a_new_chain_of_the_same_entries_is_whole_and_a_shorter_one_is_not(
    stage: ClientStage, key: str
) -> None:
    del key
    filled(stage)
    known = entries(stage)
    new_chain(stage, known)
    assert verdict(stage).whole
    new_chain(stage, known[:3] + known[4:])
    assert not verdict(stage).changed
    assert verdict(stage).contradicted
    assert not verdict(stage).whole


@pytest.mark.parametrize("forge", [
    lambda body: body.replace(b'"queue":"mail"', b'"queue":"sms"'),
    lambda body: body.partition(b',"seen"')[0] + b"}",
])  # fmt: skip
def test_an_entry_that_somebody_without_the_key_has_written_shows(
    stage: ClientStage, key: str, forge: Callable[[bytes], bytes]
) -> None:
    del key
    filled(stage)
    known = entries(stage)
    known[4] = known[4] | {b"b": forge(known[4][b"b"])}
    new_chain(stage, known)
    found = verdict(stage)
    assert found.unsealed == (5,)
    assert 6 in found.contradicted
    assert "without a valid seal of WORKKIT_AUDIT_KEY: entry 5" in found.sentences()


def test_a_copied_entry_and_a_chain_without_seals_show(stage: ClientStage, key: str) -> None:
    del key
    filled(stage, 4)
    known = entries(stage)
    new_chain(stage, [*known, known[1]])
    assert verdict(stage).contradicted == (5,)
    new_chain(stage, [each | {b"b": each[b"b"].partition(b',"seen"')[0] + b"}"} for each in known])
    assert (verdict(stage).sealed, verdict(stage).unsealed) == (0, (1, 2, 3, 4))


def test_entries_from_before_the_key_are_vouched_for_by_the_first_seal(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(stage, 3)
    monkeypatch.setenv("WORKKIT_AUDIT_KEY", "k" * 32)
    stage.client.pause("mail")
    assert verdict(stage) == ActsVerdict(4, 1, 4, 0, sealed=1)
    assert verdict(stage).whole
    monkeypatch.setenv("WORKKIT_AUDIT_KEY", f"{'n' * 32} {'k' * 32}")
    stage.client.pause("mail")
    assert verdict(stage) == ActsVerdict(5, 1, 5, 0, sealed=2)
    monkeypatch.delenv("WORKKIT_AUDIT_KEY")
    stage.client.pause("mail")
    assert verdict(stage).whole
    monkeypatch.setenv("WORKKIT_AUDIT_KEY", "n" * 32)
    assert verdict(stage).unsealed == (6,)


def test_sealed_entries_may_be_trimmed(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    del key
    monkeypatch.setattr(acts, "ACTS_KEPT", 5)
    filled(stage, 12)
    assert verdict(stage) == ActsVerdict(5, 8, 12, 7, sealed=5)


def test_acts_of_two_entries_are_sealed_at_both_ends(stage: ClientStage, key: str) -> None:
    del key
    job = stage.client.actions.new_job("mail", "{}").job
    stage.client.actions.enqueue(job)
    (act,) = stage.client.acts()
    assert (act.verb, act.done) == ("enqueue", 1)
    assert verdict(stage) == ActsVerdict(2, 1, 2, 0, sealed=2)


def test_a_key_that_is_too_short_is_refused_before_anything_is_done(
    stage: ClientStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKKIT_AUDIT_KEY", "short")
    with pytest.raises(InvalidOption, match="openssl rand"):
        stage.client.pause("mail")
    assert not stage.redis.exists(stage.keys.paused("mail"))
