"""A private server, an exporter, workers, a load and a real Prometheus that scrapes them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.workers import ROOT
from workkit import Client, Enqueuer
from workkit.embedded import EmbeddedServer

__all__ = ["NAMESPACE", "RULES", "Prometheus", "Stack", "observed"]

NAMESPACE: Final = "shop"
RULES: Final = ROOT / "docs" / "ops" / "prometheus" / "workkit.rules.yml"
_WAIT_S: Final = 60.0
_PAUSE_S: Final = 0.1
#: A process of the worker is replaced after this many jobs, so that there are replacements.
_JOBS: Final = 1_500
_CONFIG: Final = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: workkit
    static_configs: [{{targets: ["{exporter}"]}}]
  - job_name: workkit-worker
    static_configs: [{{targets: ["{worker}"]}}]
"""


class Prometheus:
    """The HTTP interface of a Prometheus.

    Args:
        address: Its host and port.
    """

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}"

    def ready(self) -> bool:
        """Tell whether it answers queries."""
        try:
            return self._get("/-/ready") != b""
        except OSError:
            return False

    def query(self, query: str) -> list[dict[str, Any]]:
        """Return the present series of a query."""
        return self._data("/api/v1/query", query=query)

    def query_range(
        self, query: str, start_s: float, end_s: float, step_s: float
    ) -> list[dict[str, Any]]:
        """Return the series of a query over a time, epoch seconds."""
        return self._data(
            "/api/v1/query_range", query=query, start=start_s, end=end_s, step=f"{step_s}s"
        )

    def targets(self) -> list[dict[str, Any]]:
        """Return the targets that it scrapes, with their health."""
        answer = json.loads(self._get("/api/v1/targets"))
        found: list[dict[str, Any]] = answer["data"]["activeTargets"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return its alert rules, with their health."""
        answer = json.loads(self._get("/api/v1/rules"))
        return [rule for group in answer["data"]["groups"] for rule in group["rules"]]

    def _data(self, path: str, **fields: object) -> list[dict[str, Any]]:
        answer = json.loads(self._get(f"{path}?{urllib.parse.urlencode(fields)}"))
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._url + path, timeout=30) as reply:  # noqa: S310 - ours
            answer: bytes = reply.read()
        return answer


class Stack:
    """What runs.

    Attributes:
        server: The server of the jobs.
        prometheus: The Prometheus that scrapes.
        exporter: The address of `workkit metrics`.
        worker: The address of the worker's metrics.
    """

    def __init__(
        self, server: EmbeddedServer, prometheus: Prometheus, exporter: str, worker: str
    ) -> None:
        self.server = server
        self.prometheus = prometheus
        self.exporter = exporter
        self.worker = worker


@contextmanager
def observed(folder: Path, per_s: int = 200) -> Iterator[Stack]:
    """Run a load and a Prometheus that scrapes its metrics every second.

    Args:
        folder: For the data of Prometheus and the logs.
        per_s: Jobs that are enqueued a second.

    Raises:
        FileNotFoundError: There is no `prometheus` on PATH.
        RuntimeError: A part did not start.
    """
    binary = shutil.which("prometheus")
    if binary is None:
        raise FileNotFoundError("prometheus is not on PATH; on Debian: apt install prometheus")
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer())
        ports = [str(port) for port in _free_ports(3)]
        exporter, worker, address = (f"127.0.0.1:{port}" for port in ports)
        common = ("--redis", server.url, "--namespace", NAMESPACE)
        workkit = (sys.executable, "-m", "workkit")
        _start(
            stack, folder / "exporter.log", (*workkit, "metrics", *common, "--port", exporter[10:])
        )
        _start(
            stack, folder / "worker.log",
            (
                *workkit, "worker", "benchmarks.observed.app:tasks", *common, "--concurrency", "8",
                "--processes", "2", "--max-jobs", str(_JOBS), "--metrics-port", ports[1],
            ),
        )  # fmt: skip
        config = folder / "prometheus.yml"
        config.write_text(_CONFIG.format(rules=RULES, exporter=exporter, worker=worker), "utf-8")
        _start(
            stack, folder / "prometheus.log",
            (
                binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}", "--log.level=warn",
            ),
        )  # fmt: skip
        prometheus = Prometheus(address)
        _await(prometheus.ready, "Prometheus", folder / "prometheus.log")
        _await(lambda: _answers(exporter), "the exporter", folder / "exporter.log")
        _await(lambda: _answers(worker), "the worker", folder / "worker.log")
        stack.enter_context(_load(server.url, per_s))
        yield Stack(server, prometheus, exporter, worker)


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.socket()) for _ in range(number)]
        for line in lines:
            line.bind(("127.0.0.1", 0))
        return [line.getsockname()[1] for line in lines]


def _start(stack: ExitStack, log: Path, command: Sequence[str]) -> None:
    """Start a process that ends with the stack."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=file, stderr=file, stdin=subprocess.DEVNULL,
            env=dict(os.environ),
        )  # fmt: skip

    def end() -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5):
            return True
    except OSError:
        return False


def _await(condition: Callable[[], bool], what: str, log: Path) -> None:
    deadline_s = time.monotonic() + _WAIT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{what} did not start: {log.read_text('utf-8')[-2_000:]}")
        time.sleep(_PAUSE_S)


@contextmanager
def _load(url: str, per_s: int) -> Iterator[None]:
    """Enqueue jobs of all kinds until the end."""
    over = threading.Event()

    def run() -> None:
        n = 0
        with Enqueuer(NAMESPACE, url) as enqueuer, Client(NAMESPACE, url) as client:
            client.pause("newsletter")
            while not over.wait(_PAUSE_S):
                # The load swells and ebbs, so that lines have a shape.
                share = 0.5 + (n // max(per_s, 1) // 5 % 3) * 0.5
                some = range(n, n + max(int(per_s * _PAUSE_S * share), 1))
                n = some.stop
                enqueuer.enqueue_many([("mail", {"n": k}) for k in some])
                enqueuer.enqueue_many([("charge", {"n": k}) for k in some if k % 5 == 0])
                enqueuer.enqueue_many([("render", {"n": k}) for k in some if k % 12 == 0])
                enqueuer.enqueue_in("receipt", 1, {"n": n})
                if n % 3 == 0:
                    enqueuer.enqueue("export", {"n": n})  # no pool takes it
                if n % 7 == 0:
                    enqueuer.enqueue("newsletter", {"n": n})

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)
