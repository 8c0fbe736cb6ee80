"""The user's pager is found, or an error names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workkit.core.pager import page, pager_command
from workkit.errors import InvalidOption


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def test_the_pager_of_the_user_gets_the_text_and_its_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    pager = script(tmp_path / "pager", f'echo "$1" > {seen}; cat >> {seen}')
    monkeypatch.setenv("PAGER", f"{pager} 'a b'")
    page("Zoë \ud800\n")
    assert seen.read_text() == "a b\nZoë \\ud800\n"


def test_a_pager_that_is_left_early_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", script(tmp_path / "pager", "exit 0"))
    page("x" * 1_000_000)


@pytest.mark.parametrize(
    ("named", "complaint"),
    [("no-such-pager -x", "there is no such program"), ("'", "PAGER is not a command")],
)
def test_what_is_not_a_program_is_named(
    named: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", named)
    with pytest.raises(InvalidOption, match=complaint):
        pager_command()


def test_a_pager_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", script(tmp_path / "pager", "exit 3"))
    with pytest.raises(InvalidOption, match="ended with 3"):
        page("x")
    (tmp_path / "pager").write_bytes(b"\x00")
    with pytest.raises(InvalidOption, match="was not started|ended with"):
        page("x")


def test_without_a_name_a_usual_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAGER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidOption, match="set PAGER, such as PAGER=less"):
        pager_command()
    less = script(tmp_path / "less", "exit 0")
    assert pager_command() == [less]
