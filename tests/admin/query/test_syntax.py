"""Valid and invalid queries, and the places of errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workkit import InvalidQuery, Query
from workkit.admin.query.fields import FIELDS
from workkit.admin.query.syntax import AllOf, AnyOf, Node, Not, Term, Value, read

WORDS = st.text("abcXYZ019_*.@/=<>:-", min_size=1, max_size=8)
TEXTS = st.text(max_size=12)


def shape(node: Node) -> object:
    """A tree without positions, to compare it with the tree that it was written from."""
    if isinstance(node, Term):
        return (node.field, [(value.text, value.quoted) for value in node.values])
    if isinstance(node, Not):
        return ("not", shape(node.part))
    return (type(node).__name__, [shape(part) for part in node.parts])


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(node: Node) -> str:
    """Write a tree as a query with many parentheses."""
    if isinstance(node, Term):
        values = ",".join(quoted(v.text) if v.quoted else v.text for v in node.values)
        return f"{node.field}:{values}" if node.field else values
    if isinstance(node, Not):
        return f"not {written(node.part)}"
    joint = " or " if isinstance(node, AnyOf) else " "
    return "(" + joint.join(written(part) for part in node.parts) + ")"


values = st.one_of(
    st.builds(Value, TEXTS, st.just(0), st.just(True)),
    st.builds(Value, st.text("abc019", min_size=1, max_size=6), st.just(0), st.just(False)),
)
terms = st.builds(
    Term,
    st.sampled_from(["", "queue", "error", "args.tenant"]),
    st.lists(values, min_size=1, max_size=3).map(tuple),
    st.just(0),
)
trees = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@given(trees)
def test_a_written_query_reads_back_as_the_same_tree(tree: Node) -> None:
    assert shape(read(written(tree))) == shape(tree)


@given(st.one_of(st.text(), st.text('abc:,()"\\- ornt<>*.')))
def test_any_text_is_a_query_or_an_error_that_points_into_it(text: str) -> None:
    complaint = None
    try:
        Query(text)
    except InvalidQuery as error:
        complaint = error
    if complaint is not None:
        assert 0 <= complaint.at <= len(text)
        assert complaint.query == text
        assert complaint.reason in str(complaint)


@given(WORDS)
def test_a_bare_word_is_one_value(word: str) -> None:
    if ":" in word or word.startswith("-"):
        return
    assert shape(read(word)) == ("", [(word, False)])


def test_not_binds_before_and_which_binds_before_or() -> None:
    assert shape(read("not a b or c and d")) == (
        "AnyOf",
        [
            ("AllOf", [("not", ("", [("a", False)])), ("", [("b", False)])]),
            ("AllOf", [("", [("c", False)]), ("", [("d", False)])]),
        ],
    )


def test_operators_are_only_whole_words() -> None:
    assert shape(read("order notes android")) == (
        "AllOf",
        [("", [("order", False)]), ("", [("notes", False)]), ("", [("android", False)])],
    )


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_query_picks_every_job(text: str) -> None:
    assert not Query(text)
    assert Query("a")


def test_queries_with_the_same_tree_are_equal() -> None:
    assert Query("queue:mail  ") == Query("queue:mail")
    assert hash(Query("queue:mail")) == hash(Query("queue:mail  "))
    assert Query("queue:mail") != Query("queue:letter")
    assert str(Query(" queue:mail ")) == "queue:mail"
    assert repr(Query("a")) == "Query('a')"


@pytest.mark.parametrize(
    ("text", "at", "reason"),
    [
        ("a or", 4, "'or' needs something on both sides"),
        ("or a", 0, "'or' needs something on both sides"),
        ("and a", 0, "'and' needs something before it"),
        ("a and", 5, "'and' needs something after it"),
        ("a and or b", 6, "'and' needs something after it"),
        ("a not", 2, "'not' needs something after it"),
        ("not or a", 4, "'not' needs something after it"),
        ("(a", 0, "this '(' has no ')'"),
        ("a)", 1, "this ')' has no '('"),
        ("a ()", 2, "there is nothing in these parentheses"),
        ('error:"a', 6, "this quote has no end"),
        ("error:f(x)", 7, "put the whole value into quotes"),
        ("queue:", 6, "queue: needs a value right after the colon"),
        ("queue: mail", 6, "queue: needs a value right after the colon"),
        ("queue:a,", 8, "a value is missing here"),
        (":mail", 0, "a field's name is missing before the colon"),
        ("a erorr:x", 2, "unknown field 'erorr'; did you mean error?"),
        ("zzz:x", 0, "known: queue, id, error"),
        ("args.:x", 0, "name the arg after the dot"),
        ("args.a..b:x", 0, "name the arg after the dot"),
        ("fails:many", 6, "'many' is not a number such as 3"),
        ("fails:1..", 6, "'1..' is not a number"),
        ("age:<soon", 4, "'<soon' is not a span of time such as >1h"),
        ("is:odd", 3, "is: takes unique, failed, cron, junk"),
        ("place:limbo", 6, "place: takes queued, running, scheduled, retry, dead"),
        ("args.n:>x", 7, "'>x' is not a number"),
        ("(" * 60 + "a" + ")" * 60, 51, "this is nested too deeply"),
        ("not " * 60 + "a", 204, "this is nested too deeply"),
    ],
)
def test_an_error_points_at_its_place(text: str, at: int, reason: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        Query(text)
    assert reason in caught.value.reason
    assert caught.value.at == at
    assert str(caught.value).splitlines()[-1] == "  " + " " * at + "^"


def test_every_field_has_an_example_that_is_a_query() -> None:
    for field in FIELDS.values():
        assert field.example.startswith(f"{field.name}:")
        Query(field.example)
