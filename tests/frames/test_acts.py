"""The frame of acts, and its files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from tests.client.stage import ClientStage, raw_job
from workkit import Client, InvalidOption, frames
from workkit.snapshot import write_snapshot

pytestmark = pytest.mark.one_server


def test_acts_are_rows_with_their_end_and_their_undoing(stage: ClientStage) -> None:
    stage.lay("dead", {raw_job("a"): 5, raw_job("b"): 6})
    with Client(stage.namespace, stage.url, actor="ann@web-1") as client:
        client.delete_all_dead_jobs()
        (operation,) = client.actions.operations()
        client.actions.undo(operation.operation_id)
        client.pause("mail")
    frame = frames.acts(stage.client)
    assert frame["verb"].to_list() == ["delete", "undo", "pause"]
    deletion = frame.iloc[0]
    assert (deletion.by, deletion.place, deletion.planned, deletion.done) == (
        "ann@web-1", "dead", 2, 2,
    )  # fmt: skip
    assert json.loads(deletion.job_ids) == ["a", "b"]
    assert (deletion.operation_id, deletion.undone_by, deletion.undone) == (
        operation.operation_id, "ann@web-1", 2,
    )  # fmt: skip
    assert deletion.ended_at >= deletion["at"]
    assert pd.isna(frame.iloc[2].planned)
    assert frames.acts(stage.client, verb="undo")["verb"].to_list() == ["undo"]
    assert len(frames.acts(stage.client, by="ann")) == 3
    assert len(frames.acts(stage.client, by="bob", since="1h")) == 0


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "arrow"])
@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2", "@x", "'quoted", "\t=3", "plain"])
def test_a_file_gives_back_each_text(
    stage: ClientStage, tmp_path: Path, suffix: str, name: str
) -> None:
    with Client(stage.namespace, stage.url, actor=f"{name}@") as client:
        client.pause("mail")
    frame = frames.acts(stage.client)
    path = tmp_path / f"acts.{suffix}"
    frames.write(frame, path, "acts")
    pd.testing.assert_frame_equal(frames.read(path, "acts"), frame)


@pytest.mark.parametrize("sign", "=+-@\t\r\n")
def test_no_cell_of_a_csv_file_is_a_formula(stage: ClientStage, tmp_path: Path, sign: str) -> None:
    with Client(stage.namespace, stage.url, actor=f"x{sign}@y") as client:
        client.pause(f"{sign}1+1")
    path = tmp_path / "acts.csv"
    frames.write(frames.acts(stage.client), path, "acts")
    with path.open(newline="") as file:
        _, row = csv.reader(file)
    assert not [cell for cell in row if cell[:1] in set("=+-@\t\r\n")]
    assert f"'{sign}1+1" in row


def test_a_snapshot_has_no_acts(stage: ClientStage, tmp_path: Path) -> None:
    write_snapshot(stage.client, tmp_path / "now.wks")
    with pytest.raises(InvalidOption, match="a snapshot has no acts; give a Client"):
        frames.acts(tmp_path / "now.wks")
