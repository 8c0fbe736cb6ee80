"""Measure workkit alone: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import traceback
from dataclasses import replace

from benchmarks import measures, report
from benchmarks.bench import FULL, QUICK, TINY, Bench
from benchmarks.machine import describe
from benchmarks.plots import draw, text_plot
from benchmarks.result import Result

__all__ = ["main", "names"]

_EFFORTS = {"full": FULL, "quick": QUICK, "tiny": TINY}


def names() -> list[str]:
    """Return the names of all measures."""
    return [module.name for module in pkgutil.iter_modules(measures.__path__)]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = _parser().parse_args(arguments)
    if options.list:
        for name in names():
            print(f"{name:<12} {_first_line(name)}")
        return 0
    chosen = options.names or names()
    if unknown := sorted(set(chosen) - set(names())):
        print(f"no such measure: {', '.join(unknown)}; --list shows all", file=sys.stderr)
        return 2
    effort = _EFFORTS[options.effort]
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    with Bench.on_own_server(effort) as bench:
        bench.records = options.records
        about = describe(bench.server, _command(options), effort.rounds)
        results, failures = _run(bench, chosen, show=not options.json)
    if options.json:
        print(json.dumps({name: result.plain() for name, result in results.items()}, indent=1))
    curves = [curve for result in results.values() for curve in result.curves]
    if not options.json:
        for curve in curves:
            print(f"\n{text_plot(curve)}")
    if options.write:
        plots = {draw(curve): text_plot(curve) for curve in curves}
        text = report.self_section(results, failures, plots)
        report.write_section("workkit alone", f"{about}\n{text}")
    for name, reason in failures.items():
        print(f"{name} failed: {reason}", file=sys.stderr)
    return 1 if failures else 0


def _run(
    bench: Bench, chosen: list[str], *, show: bool
) -> tuple[dict[str, Result], dict[str, str]]:
    """Run measures; return their results, and the reasons of failures."""
    results: dict[str, Result] = {}
    failures: dict[str, str] = {}
    for name in chosen:
        module = importlib.import_module(f"benchmarks.measures.{name}")
        try:
            results[name] = module.measure(bench)
        except Exception as error:  # noqa: BLE001 - one measure's failure leaves the others
            traceback.print_exc()
            failures[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            if show and results[name].rows:
                print(f"\n{name}\n{report.self_table(results[name])}", flush=True)
    return results, failures


def _command(options: argparse.Namespace) -> str:
    more = [*options.names, *(["--effort", options.effort] if options.effort != "full" else [])]
    if options.rounds:
        more.append(f"--rounds {options.rounds}")
    if options.records:
        more.append(f"--records {options.records}")
    return "make bench-self" + (f" ARGS='{' '.join(more)}'" if more else "")


def _first_line(name: str) -> str:
    text = importlib.import_module(f"benchmarks.measures.{name}").__doc__ or ""
    return text.splitlines()[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="measures; all by default")
    parser.add_argument("--list", action="store_true", help="show the measures")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--effort", choices=_EFFORTS, default="full", help="how thorough to be")
    parser.add_argument(
        "--quick", dest="effort", action="store_const", const="quick", help="a fifth, one round"
    )
    parser.add_argument("--rounds", type=int, help="how often each figure is measured")
    parser.add_argument("--records", type=int, help="records of history, for scan")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and the pictures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
