"""Frames come back from files unchanged."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.client.stage import ClientStage
from tests.frames.test_schema import DTYPES, MAKE
from workkit import InvalidOption, frames
from workkit.frames.schema import empty
from workkit.snapshot import Redaction, write_snapshot

pytestmark = pytest.mark.one_server

FORMATS = ("parquet", "arrow", "csv", "jsonl")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", DTYPES)
def test_a_frame_comes_back_from_a_file_as_it_was(
    past: ClientStage, tmp_path: Path, name: str, kind: str
) -> None:
    frame = MAKE[name](past.client)
    path = tmp_path / f"frame.{kind}"
    frames.write(frame, path, name)
    pd.testing.assert_frame_equal(frames.read(path, name), frame)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", DTYPES)
def test_an_empty_frame_comes_back_from_a_file_as_it_was(
    tmp_path: Path, name: str, kind: str
) -> None:
    path = tmp_path / f"frame.{kind}"
    frames.write(empty(name), path, name)
    pd.testing.assert_frame_equal(frames.read(path, name), empty(name))


@pytest.mark.parametrize("name", sorted(DTYPES.keys() - {"acts"}))  # a snapshot has none
def test_a_snapshot_gives_the_same_frame_as_the_server(
    past: ClientStage, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "state.workkit"
    write_snapshot(past.client, path, redaction=Redaction(()))
    pd.testing.assert_frame_equal(MAKE[name](path), MAKE[name](past.client))


@pytest.mark.parametrize("kind", FORMATS)
def test_unusual_texts_come_back_unchanged(tmp_path: Path, stage: ClientStage, kind: str) -> None:
    odd = 'a,"b"\n\tc\r\nNA null é\u2028'
    frame = _one_row(stage, odd)
    frames.write(frame, tmp_path / "x", "retry", kind)
    back = frames.read(tmp_path / "x", "retry", kind)
    pd.testing.assert_frame_equal(back, frame)
    assert back["error"].to_list() == ['a,"b"']


@pytest.mark.parametrize("kind", FORMATS)
def test_columns_of_args_come_back_too(tmp_path: Path, past: ClientStage, kind: str) -> None:
    frame = frames.flatten_args(frames.dead_jobs(past.client))
    assert any(column.startswith("args.") for column in frame)
    frames.write(frame, tmp_path / f"x.{kind}", "dead")
    pd.testing.assert_frame_equal(frames.read(tmp_path / f"x.{kind}", "dead"), frame)


@pytest.mark.parametrize(
    ("frame", "name", "kind"),
    [
        (empty("queues"), "dead", "csv"),
        (empty("queues"), "nothing", "csv"),
        (empty("queues"), "queues", "xls"),
        (empty("queues")[["count"]], "queues", "parquet"),
        (empty("queues").reindex([0]).assign(count="x"), "queues", "parquet"),
        (empty("queues").reindex([0]).assign(more=[object()]), "queues", "parquet"),
        (empty("queues").reindex([0]).assign(more=[[1, 2]]), "queues", "csv"),
    ],
    ids=["name", "unknown", "format", "column", "type", "further", "list in csv"],
)
def test_a_frame_that_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, frame: Any, name: str, kind: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"the old file")
    with pytest.raises(InvalidOption):
        frames.write(frame, path, name, kind)
    assert path.read_bytes() == b"the old file"
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_a_wrong_suffix_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="does not end in"):
        frames.write(empty("queues"), tmp_path / "x.xlsx", "queues")
    assert not list(tmp_path.iterdir())


def _one_row(stage: ClientStage, text: str) -> Any:
    from tests.client.stage import raw_job

    stage.lay("retry", {raw_job("NA", name="null", err=text, fails=1, args={"k": text}): 1e9})
    return frames.retry_jobs(stage.client)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''@", "'quoted"]
)
def test_no_cell_of_a_csv_file_is_a_formula_and_texts_come_back(
    stage: ClientStage, tmp_path: Path, text: str
) -> None:
    frame = frames.flatten_args(_one_row(stage, text))
    frames.write(frame, tmp_path / "x.csv", "retry")
    with (tmp_path / "x.csv").open(newline="") as file:
        _, row = csv.reader(file)
    assert not [cell for cell in row if cell[:1] in set("=+-@\t\r\n")]
    pd.testing.assert_frame_equal(frames.read(tmp_path / "x.csv", "retry"), frame)


def test_a_file_without_the_frame_is_refused(tmp_path: Path) -> None:
    frames.write(empty("queues"), tmp_path / "x.parquet", "queues")
    frames.write(empty("queues"), tmp_path / "x.csv", "queues")
    (tmp_path / "y.parquet").write_bytes(b"junk")
    for name in ("x.parquet", "x.csv"):
        with pytest.raises(InvalidOption, match="is not a frame of dead: column missing: died_at"):
            frames.read(tmp_path / name, "dead")
    with pytest.raises(InvalidOption, match="cannot be read as parquet"):
        frames.read(tmp_path / "y.parquet", "dead")
    with pytest.raises(InvalidOption, match="unknown format 'xls'"):
        frames.read(tmp_path / "y.parquet", "dead", "xls")
    with pytest.raises(InvalidOption, match="does not end in"):
        frames.write(empty("queues"), tmp_path / "x.xls", "queues")
    with pytest.raises(InvalidOption, match="it has no name"):
        frames.write(empty("queues")[["count"]], tmp_path / "x.csv", "queues")


@pytest.mark.parametrize(
    ("name", "columns", "kind"),
    [
        ("queue", None, "csv"),
        ("queues", ["count"], "csv"),
        ("queues", None, "xls"),
    ],
)
def test_a_file_stays_as_it_was_if_a_frame_cannot_be_written(
    tmp_path: Path, name: str, columns: list[str] | None, kind: str
) -> None:
    frame = empty("queues")
    kept, other = tmp_path / "kept.csv", tmp_path / "other.csv"
    kept.write_text("of yesterday")
    for path in (kept, other):
        with pytest.raises(InvalidOption):
            frames.write(frame if columns is None else frame[columns], path, name, kind)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.csv"]
    assert kept.read_text() == "of yesterday"


def test_a_frame_replaces_neither_a_device_nor_a_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(InvalidOption, match="is not a regular file"):
            frames.write(empty("queues"), path, "queues", "csv")
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(InvalidOption, match="cannot be written: No such file"):
        frames.write(empty("queues"), tmp_path / "none" / "x.csv", "queues")
