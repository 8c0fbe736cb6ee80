"""Secret values are found in texts in every notation."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workkit.core import gojson
from workkit.core.job import MAX_CHECKIN_CHARS, bounded_error
from workkit.core.secrets import SECRETS, Hints, matcher, plain_name, without

NOTATIONS: dict[str, Callable[[str], str]] = {
    "repr": repr,
    "ascii": ascii,
    "list": lambda text: repr([text]),
    "json": json.dumps,
    "wide json": lambda text: json.dumps(text, ensure_ascii=False),
    "go": lambda text: gojson.encode_text(text).decode(),
    "url": lambda text: quote(text, safe=""),
    "path": quote,
    "form": quote_plus,
    "html": html.escape,
    "bytes": lambda text: repr(text.encode()),
}
LETTERS = st.characters(codec="utf-8", exclude_characters="\x00")


@example("000'", ["html", "go"])
@example("000 ", ["form", "form"])
@given(
    st.text(LETTERS, min_size=4, max_size=12),
    st.lists(st.sampled_from(sorted(NOTATIONS)), max_size=3),
)
def test_a_secret_is_found_in_any_nesting_of_notations(secret: str, names: Sequence[str]) -> None:
    text, expected = secret, "0000"
    for name in names:
        text, expected = NOTATIONS[name](text), NOTATIONS[name](expected)
    assert "[redacted]" in without(text, [secret])
    # Quotes choose those of a repr, and a backslash at the end takes the next one with it.
    if not set(secret) & set("'\"\\"):
        assert without(text, [secret]) == expected.replace("0000", "[redacted]")


@pytest.mark.parametrize("name", NOTATIONS)
@pytest.mark.parametrize(
    "secret", ["p@ss/w+rd=", "a\nb\tc\\d", "q\"u'o", "ünï\U0001f600cöde", "<&>;"]
)
def test_nothing_of_a_secret_is_left(secret: str, name: str) -> None:
    notation = NOTATIONS[name]
    text = f"before {notation(secret)} after"
    first = notation("0000")
    assert without(text, [secret]) == f"before {first.replace('0000', '[redacted]')} after"


def test_short_values_and_other_texts_stay() -> None:
    text = "a pin of 123 in abc, and nothing... else"
    assert without(text, ["123", "abc", ""]) == text
    assert without("plain", []) == "plain"


@pytest.mark.parametrize("cut", ["...", "…"])
def test_the_part_of_a_secret_before_a_cut_is_removed(cut: str) -> None:
    secret = "hunter22-and-more"  # noqa: S105 - the test's own
    for n in range(4, len(secret)):
        assert without(f"with {secret[:n]}{cut}", [secret]) == f"with [redacted]{cut}"
    assert without(f"with hun{cut}", [secret]) == f"with hun{cut}"


def test_the_parts_of_a_secret_around_the_cut_of_an_error_are_removed() -> None:
    secret = "k" + "0123456789" * 2_000
    assert "0123456789" not in without(bounded_error(f"no {secret} here"), [secret])[:200]
    clean = without(
        "no abcdefgh\n... 17 bytes left out ...\nmnopqrst here", ["abcdefghijklmnopqrst"]
    )
    assert clean == "no [redacted]\n... 17 bytes left out ...\n[redacted] here"


def test_a_long_text_with_many_cuts_is_cleaned() -> None:
    secret = "-----BEGIN KEY-----\n" + "QUJD/+" * 300
    text = "some words... " * 2_000 + json.dumps(secret)[: MAX_CHECKIN_CHARS - 1]
    assert without(text, [secret]).startswith("some words... ")


@given(st.binary(max_size=5), st.text(min_size=6, max_size=20), st.binary(max_size=5))
def test_nothing_of_a_secret_is_left_in_base64(before: bytes, secret: str, after: bytes) -> None:
    data = secret.encode("utf-8", "surrogatepass")
    for encode in (b64encode, urlsafe_b64encode):
        text = encode(before + data + after).decode()
        left = without(text, [secret])
        assert len(left.partition("[redacted]")[0]) <= len(before) * 8 // 6 + 1
    assert data.hex() not in without(data.hex(), [secret])


@given(
    st.one_of(
        st.sampled_from(["*", "", "**", "?", "[ab]*", "*ß*", "x*y", "*-*", "-"]),
        st.sampled_from(SECRETS),
        st.text("ab*?[]-", max_size=5),
    ),
    st.text("ab_-. ß=:[]", max_size=8) | st.sampled_from(["pin", "x-auth", "Auth Header", "SSN"]),
)
def test_a_name_that_matches_is_never_missed_by_the_cheap_test(pattern: str, name: str) -> None:
    if matcher([pattern]).match(plain_name(name)):
        json = f'{{"{name}": 1}}'.lower().encode()
        assert Hints([pattern]).may_have_key(json)
        assert "\n" in name or " " in name or Hints([pattern]).may_name(json)
