"""Compare workkit with other libraries: `python -m benchmarks.peers [NAME ...]`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import report
from benchmarks.bench import FULL, QUICK, TINY, Bench
from benchmarks.machine import describe
from benchmarks.peers.contest import contest
from benchmarks.peers.settings import OURS, PEERS
from benchmarks.peers.standings import goals, section, table

__all__ = ["main"]

_EFFORTS = {"full": FULL, "quick": QUICK, "tiny": TINY}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = _parser().parse_args(arguments)
    known = {peer.name.lower(): peer for peer in PEERS}
    wanted = [name.lower() for name in options.names]
    if unknown := sorted(set(wanted) - set(known)):
        print(f"no such library: {', '.join(unknown)}; {', '.join(known)}", file=sys.stderr)
        return 2
    peers = [known[name] for name in wanted] if wanted else list(PEERS)
    effort = _EFFORTS[options.effort]
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    with Bench.on_own_server(effort) as bench:
        about = describe(bench.server, _command(options), effort.rounds)
        entries = contest(bench, [*OURS, *peers], options.original)
    if options.json:
        print(json.dumps([asdict(entry) for entry in entries], indent=1))
    else:
        print(table(entries, report.text_table))
        for row in goals(entries):
            print("  ".join(report.row_cells(row)))
    if options.write:
        report.write_section("Beside other libraries", f"{about}\n{section(entries)}")
    return 1 if any(entry.failure for entry in entries) else 0


def _command(options: argparse.Namespace) -> str:
    words = ["make bench"]
    if options.original:
        words.append("ORIGINAL=PROGRAM")
    more = [*options.names, *(["--effort", options.effort] if options.effort != "full" else [])]
    if options.rounds:
        more.append(f"--rounds {options.rounds}")
    return " ".join(words + ([f"ARGS='{' '.join(more)}'"] if more else []))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="libraries; all by default")
    parser.add_argument(
        "--original", type=Path, help="a program that runs the original, see benchmarks/README.md"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--effort", choices=_EFFORTS, default="full", help="how thorough to be")
    parser.add_argument(
        "--quick", dest="effort", action="store_const", const="quick", help="a fifth, one round"
    )
    parser.add_argument("--rounds", type=int, help="how often each figure is measured")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
