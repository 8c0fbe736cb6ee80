"""Files that the console writes: nothing in them is computed, obeyed or open to others."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

import pytest

from workkit.core.job import Job
from workkit.core.masks import Masks
from workkit.core.records import DeadJob
from workkit.errors import WorkkitError
from workkit_tui.export import FORMATS, write
from workkit_tui.settings import DEFAULT_MASKS

MASKS = Masks(DEFAULT_MASKS)
RAW = "\x1b[2J\x9b31m\u202eevil\u202c\u2066\r"


def dead(text: str) -> DeadJob:
    return DeadJob(5, Job(text, text, 1, {text: text}, last_err=f"{text}\nat line 3"))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_holds_nothing_that_a_terminal_obeys(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, [dead(f"x{RAW}")], MASKS)
    text = path.read_bytes().decode().replace("\r\n", "\n")  # CSV ends its lines so
    found = [c for c in text if c != "\n" and category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    assert not found
    if suffix != ".csv":
        read = json.loads(text.splitlines()[0] if suffix == ".jsonl" else text)
        record = read if suffix == ".jsonl" else read[0]["job"]
        assert record["name"] == f"x{RAW}", "JSON keeps the text, written as escapes"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])  # noqa: RUF001
def test_a_spreadsheet_computes_no_cell(tmp_path: Path, first: str) -> None:
    path = tmp_path / "out.csv"
    write(path, [dead(f"{first}1+1")], MASKS)
    with path.open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    for name in ("name", "id", "last_err"):
        assert row[name].startswith("'"), name


@pytest.mark.parametrize("suffix", FORMATS)
def test_only_its_owner_can_read_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, [dead("mail")], MASKS)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_exists_or_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    with pytest.raises(ValueError, match="exists"):
        write(path, [dead("mail")], MASKS)
    assert path.read_text() == "mine"


def test_records_that_cannot_be_read_leave_no_file(tmp_path: Path) -> None:
    def records() -> Iterator[DeadJob]:
        yield dead("mail")
        raise WorkkitError("gone")

    with pytest.raises(WorkkitError):
        write(tmp_path / "out.csv", records(), MASKS)
    assert not list(tmp_path.iterdir())
