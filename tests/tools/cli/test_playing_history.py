"""`workkit simulate --from`: recorded history on another fleet."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.simulation.replay.pasts import START_MS, past_of
from tests.tools.cli.shell import Shell, run_some
from workkit import frames

pytestmark = pytest.mark.one_server


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Ten jobs that came together, of 1 s each, and two more of another name."""
    rows = [{"at": 0.0, "start": float(n), "run": 1.0, "name": "mail"} for n in range(10)]
    rows += [{"at": 60.0 + n, "run": 2.0, "name": "x\x1b[2Jy[red]"} for n in range(2)]
    path = tmp_path / "history.parquet"
    frames.write(past_of(rows), path, "history")
    return str(path)


def test_waits_are_compared_name_by_name(shell: Shell, file: str) -> None:
    lines = shell.lines("simulate", "--from", file, "--what-if", "concurrency=5")
    assert lines[0].startswith(f"{file}: 1 pool with 5 workers, 1m ")
    assert lines[1] == "what if: concurrency=5"
    table = [line.split() for line in lines[3:]]
    assert table[0] == ["NAME", "RUNS", "COUNT", "WAIT", "P50", "P95", "MAX", "RUN", "P50", "P95"]
    assert table[1][:3] == ["mail", "recorded", "10"]
    assert table[2][:4] == ["predicted", "10", "500", "ms"]
    assert lines[6].startswith(r"x\x1b[2Jy[red]  recorded")
    assert table[5][0] == "(all)"


def test_json_has_seconds_and_what_was_asked(shell: Shell, file: str) -> None:
    found = shell.json(
        "simulate", "--from", file, "--what-if", "limits.mail=2", "--what-if", "concurrency=5",
        "--since", str(START_MS / 1_000), "--before", str(START_MS / 1_000 + 30), "--seed", "3",
    )  # fmt: skip
    assert found["what_if"] == ["limits.mail=2", "concurrency=5"]
    assert found["pools"] == [{"name": "pool-1", "concurrency": 5}]
    assert list(found["recorded"]) == list(found["predicted"]) == ["mail"]
    assert found["recorded"]["mail"]["wait_max_s"] == 9
    assert found["predicted"]["mail"]["wait_max_s"] == pytest.approx(4, abs=0.2)
    assert (found["seed"], found["unfinished"], found["left_out"]) == (3, 0, 0)


def test_a_server_is_a_source(shell: Shell) -> None:
    run_some(shell, 5)
    found = shell.json("simulate", "--from", shell.url, "--namespace", shell.namespace)
    assert {name: each["runs"] for name, each in found["predicted"].items()} == {
        "": 6, "charge": 1, "send": 5,
    }  # fmt: skip


def test_the_predicted_history_is_a_file_and_its_events_are_shown(
    shell: Shell, file: str, tmp_path: Path
) -> None:
    out, trace = tmp_path / "predicted.csv", tmp_path / "trace.jsonl"
    text = shell.run(
        "simulate", "--from", file, "--out", str(out), "--trace", str(trace), "--plot",
        "--timeline",
    ).stdout  # fmt: skip
    assert len(frames.read(out, "history")) == 12
    kinds = {json.loads(line)["kind"] for line in trace.read_text().splitlines()}
    assert {"enqueued", "started", "done"} <= kinds
    assert "started    |" in text
    assert re.search(r"00:00:05.\d+  pool-1   started    mail 000000 ", text)
    assert r"succeeded  x\x1b[2Jy[red] 00000b" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--what-if", "concurency=5"], "cannot change 'concurency'; did you mean concurrency?"),
        (["--what-if", "concurrency"], "'concurrency' must be NAME=VALUE; there are concurrency,"),
        (["--what-if", "concurrency=many"], "concurrency must be a whole number, not 'many'"),
        (["--what-if", "limits.mial=2"], "limits names 'mial', and history has no such job; did"),
        (["--what-if", "limits=2"], "limits needs the name of a job, such as limits.mail=2"),
        (["--what-if", "outage=3h"], "outage=3h must be TIME+DURATION, such as outage=3h+10m"),
        (["--what-if", "backoff=soon"], "backoff must be seconds above 0, or like 10m"),
        (["--out", "predicted.txt"], "'predicted.txt' does not end in .parquet"),
        (["--out", "/nowhere/predicted.csv"], "/nowhere/predicted.csv cannot be written"),
        (["--seeds", "5"], "--seeds plays a scenario and does not go with --from"),
        (["scenario.py"], "give either FILE, a scenario, or --from SOURCE, a history"),
        (["--before", "1"], "history has no run to replay"),
    ],
)
def test_a_mistake_is_named_in_one_line(
    shell: Shell, file: str, args: list[str], message: str
) -> None:
    said = shell.complaint("simulate", "--from", file, *args, code=2)
    assert message in said
    assert "Traceback" not in said


def test_what_only_a_history_has_needs_one(shell: Shell) -> None:
    said = shell.complaint("simulate", "scenario.py", "--what-if", "concurrency=5", code=2)
    assert said.startswith("workkit: --what-if needs --from")
    assert "give either FILE" in shell.complaint("simulate", code=2)
    said = shell.complaint("simulate", "--from", "nowhere", code=2)
    assert "there is no file or directory 'nowhere'; give an archive, a snapshot" in said


def test_a_wait_is_counted_where_the_time_of_a_zone_has_a_plus(shell: Shell, file: str) -> None:
    outage = "outage=2027-01-15T09:00:30+01:00+10s"
    found = shell.json("simulate", "--from", file, "--what-if", outage)
    assert found["what_if"] == [outage]
