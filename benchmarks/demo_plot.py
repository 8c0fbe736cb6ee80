"""The plot of the README, made from the history of the demo: `python -m benchmarks.demo_plot`."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.workers import ROOT
from workkit import Client, frames
from workkit.embedded import EmbeddedServer

__all__ = ["draw", "main", "run_demo"]

_NAMESPACE: Final = "demo"
_OUT: Final = ROOT / "docs" / "demo.png"
_COLORS: Final = {
    "done": "#7cb342", "retry": "#fb8c00", "dead": "#e53935", "discarded": "#8e24aa",
    "returned": "#90a4ae", "fenced": "#546e7a", "recovered": "#00897b",
}  # fmt: skip
_QUANTILES: Final = (0.5, 0.9, 0.99)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo_plot", description=__doc__)
    parser.add_argument("--limit", type=int, default=2_500, help="files that the demo processes")
    parser.add_argument("--out", type=Path, default=_OUT, help="the picture")
    options = parser.parse_args(arguments)
    draw(run_demo(options.limit), options.out)
    print(options.out)
    return 0


def run_demo(limit: int) -> Any:
    """Run the demo on a private server; return its history as a frame.

    Args:
        limit: How many files it processes.

    Raises:
        RuntimeError: The demo failed.
    """
    with EmbeddedServer() as server:
        command = [
            sys.executable, "-m", "workkit", "demo", "--redis", server.url, "--keep", "--json",
            "--namespace", _NAMESPACE, "--limit", str(limit),
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as demo:
            assert demo.stdout is not None  # noqa: S101 - it is a pipe
            _await_report(demo)
            frame = frames.history(Client(_NAMESPACE, server.url))
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=60)
    return frame


def _await_report(demo: subprocess.Popen[str]) -> None:
    """Read until the report is complete; the demo then waits for Ctrl-C."""
    text = ""
    for line in demo.stdout or ():
        text += line
        try:
            json.loads(text)
        except ValueError:
            continue
        return
    raise RuntimeError("the demo ended without a report")


def draw(history: Any, path: Path) -> None:
    """Draw throughput by outcome, and how long jobs of each name ran."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 5.6), layout="constrained")
    step_s = 0.25
    counts = frames.throughput(history, "250ms", by="outcome") / step_s
    seconds = (counts.index - counts.index[0]).total_seconds()
    shown = [name for name in _COLORS if name in counts]
    colors = [_COLORS[name] for name in shown]
    lines = [counts[name].to_numpy() for name in shown]
    above.stackplot(seconds, *lines, labels=shown, colors=colors, step="post")
    above.set(title="workkit demo: executions", xlabel="seconds", ylabel="a second")
    above.legend(ncols=len(shown), fontsize=8, loc="upper left")
    above.set_ylim(0, max(sum(lines)) * 1.25)
    runs = frames.latency_quantiles(history, by="name", quantiles=_QUANTILES)["run"]
    runs = runs.apply(lambda column: column.dt.total_seconds() * 1e3).sort_values("p50")
    rows = range(len(runs))
    below.barh(rows, runs["p99"], color="#bbdefb", label="p99")
    below.barh(rows, runs["p90"], color="#64b5f6", label="p90")
    below.barh(rows, runs["p50"], color="#1976d2", label="p50")
    below.set_yticks(rows, [str(name) for name in runs.index])
    below.set(title="how long handlers ran", xlabel="milliseconds")
    below.set_xscale("symlog", linthresh=1)
    below.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    below.legend(fontsize=8, loc="lower right")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
