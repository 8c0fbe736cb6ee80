"""The benchmarks run; their results are not judged here."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import __main__ as command
from benchmarks import demo_plot
from benchmarks.bench import TINY, Bench
from benchmarks.figures import Sample, rate
from benchmarks.peers import venvs
from benchmarks.peers.contest import contest
from benchmarks.peers.settings import ORIGINAL_CONCURRENCIES, OURS
from benchmarks.peers.standings import goals, section, table
from benchmarks.report import self_section, text_table, write_section
from benchmarks.result import Curve, Result, Row, at_least, at_most

if TYPE_CHECKING:
    from tests.conftest import PrivateServer

#: Stands in for the original: it prints its settings.
ORIGINAL = f"""#!{sys.executable}
import json, os
asked = [os.environ["BENCH_" + name] for name in ("NAMESPACE", "QUEUES", "JOBS", "CONCURRENCY")]
host, port = os.environ["BENCH_REDIS"].split(":")
rate = 10 + int(asked[3])
print(json.dumps({{"jobs_per_s": rate, "enqueued_per_s": 5, "about": " ".join(asked)}}))
"""


@pytest.fixture
def bench(private_server: PrivateServer) -> Bench:
    return Bench(private_server(port="any"), TINY, on_progress=lambda _line: None)


# Measures


@pytest.mark.slow
@pytest.mark.parametrize("name", command.names())
def test_each_measure_brings_back_figures(name: str, bench: Bench) -> None:
    result: Result = importlib.import_module(f"benchmarks.measures.{name}").measure(bench)
    assert result.includes.endswith(".")
    assert result.rows or result.curves
    samples = [row.sample for row in result.rows]
    samples += [
        s for curve in result.curves for line in curve.lines.values() for s in line.values()
    ]
    assert all(len(sample.values) == TINY.rounds for sample in samples)
    json.dumps(result.plain())


def test_each_measure_is_listed_with_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == command.names()
    assert all(line.endswith(".") for line in lines)


def test_an_unknown_measure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["nonsense"]) == 2
    assert "no such measure: nonsense" in capsys.readouterr().err


# Figures


def test_a_rate_leaves_the_first_tenth_out() -> None:
    slow_start = [float(i) for i in range(10)]
    steady = [10 + i / 100 for i in range(90)]
    assert rate(steady + slow_start) == pytest.approx(100)


def test_a_goal_is_about_the_median() -> None:
    sample = Sample.of([1, 5, 100])
    assert Row("speed", sample, "x", at_least(5)).met
    assert Row("size", sample, "MB", at_most(4)).met is False
    assert Row("anything", sample, "MB").met is None


# Other libraries


@pytest.mark.slow
def test_libraries_and_the_original_are_measured_on_the_same_server(
    bench: Bench, tmp_path: Path
) -> None:
    original = tmp_path / "original"
    original.write_text(ORIGINAL, "utf-8")
    original.chmod(0o700)
    entries = contest(bench, OURS, original)
    assert [entry.failure for entry in entries] == [""] * (len(OURS) + len(ORIGINAL_CONCURRENCIES))
    best = entries[-1]
    assert (best.jobs_per_s, best.versions) == ([110.0], "bench 10 120 100")
    assert [row.what for row in goals(entries)] == [
        "workkit over original, 100",
        "enqueuing one by one over the original",
    ]
    assert "workkit, async" in table(entries, text_table)


def test_a_library_that_cannot_be_had_or_fails_is_listed_with_the_reason(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise venvs.NotInstalled("ERROR: no matching distribution")

    absent = replace(OURS[0], name="absent", environment="absent")
    failing = replace(OURS[0], name="failing", app="benchmarks.no_such_app")
    provide = venvs.provide
    monkeypatch.setattr(
        venvs, "provide", lambda peer, say: (refuse if peer is absent else provide)(peer, say)
    )
    entries = contest(bench, [failing, absent], None)
    shown = section(entries)
    assert "absent: not installed: ERROR: no matching distribution" in shown
    assert "failing: failed in round 1/1: enqueuing" in shown
    assert "no_such_app" in shown


# The report


def test_a_section_of_the_report_is_replaced_and_the_other_kept(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    curve = Curve("Jobs by pools", "pools", {"sync": {1: Sample.of([1.0]), 2: Sample.of([2.0])}})
    result = Result("All of it.", [Row("speed", Sample.of([2.0]), "x", at_least(1))], [curve])
    write_section("workkit alone", self_section({"first": result}, {}, {}), path)
    write_section("Beside other libraries", "nobody", path)
    write_section("workkit alone", self_section({"second": result}, {"third": "broken"}, {}), path)
    text = path.read_text("utf-8")
    assert text.index("## Beside other libraries\n\nnobody") < text.index("## workkit alone")
    assert "### first" not in text
    assert "| speed | 2.00 x | 2.00 to 2.00 | ≥ 1.00 x | yes |" in text
    assert "### third\n\nFailed: broken" in text


# The plot of the README


@pytest.mark.slow
def test_the_plot_of_the_readme_is_drawn_from_the_history_of_a_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "demo.png"
    assert demo_plot.main(["--limit", "60", "--out", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{picture}\n"
