"""The text that a user's editor gets, and what is read of it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workkit.core.editor import EditedText, without_comments

JSON = st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)


@given(st.dictionaries(st.text(), JSON), st.text())
def test_what_a_task_takes_is_shown_and_not_read(args: dict[str, Any], takes: str) -> None:
    text = f"{json.dumps(args, ensure_ascii=False, indent=2)}\n"
    file = EditedText("mail", text, takes)
    try:
        assert file.read() == text.encode("utf-8", "surrogateescape")
        written = file.path.read_text("utf-8", "surrogateescape")
        assert written.endswith(text)
        head = written.removesuffix(text).splitlines()
        assert all(line.startswith("// ") and line.isprintable() for line in head)
        assert bool(head) == bool(takes)
    finally:
        file.drop()


@given(st.binary())
def test_a_text_without_comments_stays_as_it_is(text: bytes) -> None:
    if not text.lstrip().startswith(b"//"):
        assert without_comments(text) == text
    assert without_comments(b"// a\n  // b\n" + text) == without_comments(text)
