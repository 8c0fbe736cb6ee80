"""Seals vouch for a body, and for the chain that its writer saw."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit import InvalidOption
from workkit.core.seals import Seal, seal_here

KEY, OTHER = "k" * 32, "o" * 16
BODIES = st.dictionaries(st.text(max_size=5), st.text(max_size=9), min_size=1, max_size=4)


@given(BODIES, st.integers(0, 10**9), st.sampled_from([b"", b"0a" * 20]))
def test_a_sealed_body_is_read_again_and_stays_json(
    fields: dict[str, str], number: int, link: bytes
) -> None:
    body = json.dumps(fields).encode()
    sealed = Seal([KEY], "work").seal(body, number, link)
    told = json.loads(sealed)
    assert {name: told[name] for name in fields if name not in {"seen", "mac"}} == {
        name: text for name, text in fields.items() if name not in {"seen", "mac"}
    }
    found = Seal([OTHER, KEY], "work").read(sealed)
    assert found is not None
    assert found[:2] == (number, link)
    assert Seal([OTHER], "work").read(sealed) is None
    assert Seal([KEY], "play").read(sealed) is None


@given(st.data())
def test_no_changed_byte_keeps_its_seal(data: st.DataObject) -> None:
    sealed = Seal([KEY], "work").seal(b'{"by":"ann"}', 3, b"ab")
    at = data.draw(st.integers(0, len(sealed) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda each: each != sealed[at]))
    changed = sealed[:at] + bytes([byte]) + sealed[at + 1 :]
    assert Seal([KEY], "work").read(changed) is None


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"mac":"00"}'])
def test_what_has_no_seal_is_not_read(body: bytes) -> None:
    assert Seal([KEY], "work").read(body) is None


def test_the_key_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKKIT_AUDIT_KEY", raising=False)
    assert seal_here("work") is None
    monkeypatch.setenv("WORKKIT_AUDIT_KEY", f"{KEY} {OTHER}")
    seal = seal_here("work")
    assert seal is not None
    assert seal.read(Seal([OTHER], "work").seal(b"{}", 0, b"")) is not None
    monkeypatch.setenv("WORKKIT_AUDIT_KEY", "secret")
    with pytest.raises(InvalidOption, match="a key of 6 characters, and 16 are the least") as said:
        seal_here("work")
    assert "secret" not in str(said.value)
