"""The record of acts shows which of its entries were changed, removed or added by others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.client.stage import ClientStage
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
