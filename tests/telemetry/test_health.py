"""Whether a pool lives and can claim jobs, as probes see it."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from tests.conftest import PrivateServer, WaitUntil
from tests.telemetry.scraping import get, read, scrape
from tests.tools.cli.shell import Shell
from workkit import Enqueuer, Job, WorkerPool
from workkit.engine import health as pool_health
from workkit.engine.health import Health
from workkit.errors import InvalidOption
from workkit.store.connections.link import Link
from workkit.telemetry.checking import check_host
from workkit.telemetry.prometheus import gauge
from workkit.telemetry.server import TelemetryServer
from workkit.telemetry.systemd import Notifier

pytestmark = pytest.mark.one_server


def status(base: str, path: str) -> int:
    return get(f"{base}/{path}")[0]


def test_a_pool_is_ready_while_it_runs_and_unready_before_and_afterwards(
    make_pool: Callable[..., WorkerPool], serve: Callable[[WorkerPool], str], wait_until: WaitUntil
) -> None:
    pool = make_pool()
    pool.job("mail", lambda _job: None)
    base = serve(pool)
    assert get(f"{base}/readyz")[:2] == (503, "the pool has not started\n")
    assert status(base, "livez") == 200
    pool.start()
    wait_until(lambda: status(base, "readyz") == 200)
    assert get(f"{base}/livez")[:2] == (200, "ok\n")
    pool.stop()
    assert get(f"{base}/readyz")[:2] == (503, "the pool has stopped\n")
    assert status(base, "livez") == 200


def test_a_busy_pool_is_ready_and_a_stopping_one_is_not(
    make_pool: Callable[..., WorkerPool],
    serve: Callable[[WorkerPool], str],
    enqueuer: Enqueuer,
    wait_until: WaitUntil,
) -> None:
    pool, started, release = make_pool(concurrency=1), threading.Event(), threading.Event()

    @pool.job
    def hold(job: Job) -> None:
        started.set()
        release.wait(60)

    base = serve(pool)
    enqueuer.enqueue_many([("hold", None)] * 3)
    pool.start()
    try:
        assert started.wait(30)
        assert status(base, "readyz") == 200
        stopping = threading.Thread(target=pool.stop)
        stopping.start()
        wait_until(lambda: status(base, "readyz") == 503)
        assert get(f"{base}/readyz")[1] == "the pool is stopping and claims no jobs\n"
        assert status(base, "livez") == 200
    finally:
        release.set()
        stopping.join(30)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "hung"])
def test_without_redis_a_pool_is_unready_and_lives_and_then_is_ready_again(
    private_server: PrivateServer,
    make_pool: Callable[..., WorkerPool],
    serve: Callable[[WorkerPool], str],
    wait_until: WaitUntil,
    how: str,
) -> None:
    server = private_server()
    pool = make_pool(server.url)
    pool.job("mail", lambda _job: None)
    base = serve(pool)
    with pool:
        wait_until(lambda: status(base, "readyz") == 200)
        if how == "killed":
            server.kill()
        else:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: status(base, "readyz") == 503, 15)
            assert status(base, "livez") == 200
            reasons = json.loads(get(f"{base}/readyz", Accept="application/json")[1])["reasons"]
            assert any("heartbeat" in why or "does not answer" in why for why in reasons)
        finally:
            if how == "killed":
                server.restart()
            else:
                os.kill(server.pid or 0, signal.SIGCONT)
        wait_until(lambda: status(base, "readyz") == 200)


def test_a_pool_whose_dispatcher_hangs_does_not_live(
    make_pool: Callable[..., WorkerPool],
    serve: Callable[[WorkerPool], str],
    enqueuer: Enqueuer,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_health, "STILL_S", 1.0)
    pool, release, hangs = make_pool(), threading.Event(), threading.Event()
    pool.job("mail", lambda _job: None)
    base, real = serve(pool), Link.send

    def send(link: Link, *args: Any) -> Any:
        if threading.current_thread().name == "workkit-dispatcher":
            hangs.set()
            release.wait(60)
        return real(link, *args)

    with pool:
        wait_until(lambda: status(base, "readyz") == 200)
        monkeypatch.setattr(Link, "send", send)
        enqueuer.enqueue("mail")
        assert hangs.wait(30)
        try:
            wait_until(lambda: status(base, "livez") == 503)
            text = get(f"{base}/livez")[1]
            assert text.startswith("the pool's dispatcher has made no progress for ")
            assert status(base, "readyz") == 503
        finally:
            release.set()
        wait_until(lambda: status(base, "livez") == 200)


@pytest.fixture
def serving() -> Callable[[Health], TelemetryServer]:
    return lambda health: TelemetryServer([], lambda: health, 0)


def test_probes_answer_text_or_json(serving: Callable[[Health], TelemetryServer]) -> None:
    ill = Health("running", ("it hangs",), ("it is \ud800 odd",))
    with serving(ill) as server:
        code, text, headers = get(f"{server.url}/readyz")
        assert (code, text) == (503, "it hangs; it is ? odd\n")
        assert headers["Content-Type"].startswith("text/plain")
        assert get(f"{server.url}/livez")[:2] == (503, "it hangs\n")
        code, text, headers = get(f"{server.url}/livez", Accept="application/json")
        assert json.loads(text) == {"ok": False, "state": "running", "reasons": ["it hangs"]}
        assert headers["Content-Type"] == "application/json"
        assert json.loads(get(f"{server.url}/readyz/?format=json")[1])["ok"] is False
        assert get(f"{server.url}/readyz?format=text", Accept="application/json")[1][0] == "i"
        assert get(f"{server.url}/")[0] == 200
        assert get(f"{server.url}/nowhere")[0] == 404


@pytest.mark.parametrize("path", ["livez", "readyz", "metrics", "", "nowhere"])
def test_head_gets_the_status_and_the_length_of_get_without_the_body(path: str) -> None:
    with TelemetryServer([_One()], lambda: Health("running", ("it hangs",)), 0) as server:
        code, text, headers = get(f"{server.url}/{path}")
        head_code, head_text, head_headers = get(f"{server.url}/{path}", "HEAD")
        assert (head_code, head_text) == (code, "")
        assert int(head_headers["Content-Length"]) == len(text)
        assert head_headers["Content-Type"] == headers["Content-Type"]


def test_a_client_can_ask_for_some_metrics() -> None:
    with TelemetryServer([_One()], lambda: Health("running"), 0) as server:

        def asked(*names: str) -> set[str]:
            query = "&".join(f"name[]={name}" for name in names)
            return read(get(f"{server.url}/metrics?{query}")[1]).names()

        assert asked("one") == {"one"}
        assert asked("took_seconds_sum") == {"took_seconds_sum"}
        assert asked("took_seconds") > {"took_seconds_sum", "took_seconds_bucket"}
        assert asked("nothing") == set()
        assert asked("one", "took_seconds_count") == {"one", "took_seconds_count"}


class _One(Collector):
    """Shows a gauge and a histogram."""

    def collect(self) -> list[Metric]:
        took = HistogramMetricFamily("took_seconds", "How long.")
        took.add_metric((), [("1.0", 1), ("+Inf", 2)], 7)
        return [gauge("one", "One.", (), [((), 1.0)]), took]


def test_a_client_that_sends_nothing_does_not_delay_others(
    serving: Callable[[Health], TelemetryServer],
) -> None:
    with serving(Health("running")) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        assert get(f"{server.url}/livez")[0] == 200
        for connection in silent:
            connection.close()


def test_a_port_that_is_in_use_is_named(serving: Callable[[Health], TelemetryServer]) -> None:
    with (
        serving(Health("running")) as first,
        pytest.raises(InvalidOption, match=rf"127\.0\.0\.1:{first.port}: address already in use"),
    ):
        TelemetryServer([], lambda: Health("running"), first.port)


@pytest.mark.parametrize("host", ["a..b", "a" * 64, ".", "\ud800"])
def test_an_address_that_is_the_name_of_no_host_is_named(host: str) -> None:
    with pytest.raises(InvalidOption, match="cannot be served on .*: no such address; choose"):
        TelemetryServer([], lambda: Health("running"), 0, host)


def test_a_closed_server_frees_its_port(serving: Callable[[Health], TelemetryServer]) -> None:
    with serving(Health("running")) as first:
        port = first.port
    with TelemetryServer([], lambda: Health("running"), port) as second:
        assert get(f"{second.url}/livez")[0] == 200


# workkit check


def test_check_succeeds_with_a_pool_of_this_host(
    shell: Shell, make_pool: Callable[..., WorkerPool]
) -> None:
    pool = make_pool()
    pool.job("mail", lambda _job: None)
    with pool:
        assert shell.lines("check") == [f"1 pool of host {socket.gethostname()!r} well"]
        assert shell.json("check")["well"] == 1
        assert "2 wanted" in shell.run("check", "--pools", "2", code=1).stdout
        assert shell.json("check", "--host", "other", code=1)["ok"] is False
    assert "0 pools" in shell.run("check", code=1).stdout


def test_check_fails_if_the_heartbeat_is_old(shell: Shell, namespace: str) -> None:
    from redis import Redis

    with Redis.from_url(shell.url) as redis:
        redis.sadd(f"{namespace}:worker_pools", "old")
        now_s = int(redis.time()[0])
        beat = {"host": "h", "heartbeat_at": now_s - 60}
        redis.hset(f"{namespace}:worker_pools:old", mapping=beat)
        assert "without a fresh heartbeat" in shell.run("check", "--host", "h", code=1).stdout
        redis.hset(f"{namespace}:worker_pools:old", "heartbeat_at", now_s)
        assert shell.json("check", "--host", "h")["ok"] is True


def test_check_judges_by_the_clock_of_the_server_alone(
    private_server: PrivateServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redis import Redis

    server = private_server()
    with Redis.from_url(server.url) as redis:
        redis.sadd(f"{namespace}:worker_pools", "p")
        beat = {"host": "h", "heartbeat_at": int(redis.time()[0])}
        redis.hset(f"{namespace}:worker_pools:p", mapping=beat)
        monkeypatch.setattr("workkit.core.clock.time.time_ns", lambda: 0)
        assert check_host(namespace, server.url, "h").ok
        redis.acl_setuser(
            "blind", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-time"]
        )
        url = f"{server.url}{'&' if '?' in server.url else '?'}username=blind&password=secret"
        found = check_host(namespace, url, "h")
        assert not found.ok
        assert found.reason == (
            "Redis refused TIME, so the age of heartbeats is unknown; allow the user +time"
        )
        assert check_host(namespace, url, "h", live=True).ok


def test_check_says_that_the_server_is_away_and_with_live_blames_no_pool(shell: Shell) -> None:
    away = ("--redis", "redis://127.0.0.1:1")
    assert "no answer from Redis" in shell.run("check", *away, code=1).stdout
    found = shell.json("check", "--live", *away)
    assert found["ok"] is True
    assert "no answer" in found["reason"]


# A health or a collector that raises


class OwnBaseError(BaseException):
    """An error of a library that wants to be caught by nobody."""


RAISED = [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, OwnBaseError]


@pytest.mark.parametrize("error", RAISED)
def test_a_health_that_raises_anything_is_a_reason_and_no_proof_that_the_pool_hangs(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Health:
        raise error

    with TelemetryServer([], broken, 0) as server:
        for _ in range(2):
            found = get(f"{server.url}/readyz")[:2]
            assert found == (503, f"the health cannot be read: {error.__name__}\n")
            assert get(f"{server.url}/livez")[0] == 200
        assert get(f"{server.url}/metrics")[0] == 200
    assert caplog.text.count("the health cannot be read (logged once)") == 1


def test_what_is_no_health_is_a_reason() -> None:
    with TelemetryServer([], lambda: None, 0) as server:  # type: ignore[arg-type,return-value]
        assert json.loads(get(f"{server.url}/readyz?format=json")[1])["reasons"] == [
            "the health cannot be read: AttributeError"
        ]


@pytest.mark.parametrize("error", RAISED)
def test_a_collector_that_raises_anything_hides_no_other(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Collector):
        def collect(self) -> Iterator[Metric]:
            yield gauge("shop_before", "Before the error.", (), [((), 1.0)])
            raise error

    class Well(Collector):
        def collect(self) -> list[Metric]:
            return [gauge("shop_well", "Of another.", (), [((), 2.0)])]

    with TelemetryServer([Broken(), Well()], lambda: Health("running"), 0) as server:
        for _ in range(2):
            assert scrape(server.url) == {
                ("shop_before", frozenset()): 1, ("shop_well", frozenset()): 2,
            }  # fmt: skip
        assert get(f"{server.url}/readyz")[0] == 200
    assert caplog.text.count("Broken.collect has failed") == 1


@pytest.mark.parametrize("found", [None, 7, [None], ["text"], [object()]])
def test_a_collector_that_returns_no_metrics_hides_no_other(found: Any) -> None:
    class Broken(Collector):
        def collect(self) -> Any:
            return found

    class Well(Collector):
        def collect(self) -> list[Metric]:
            return [gauge("shop_well", "Of another.", (), [((), 2.0)])]

    with TelemetryServer([Broken(), Well()], lambda: Health("running"), 0) as server:
        assert scrape(server.url) == {("shop_well", frozenset()): 2}


def test_samples_that_cannot_be_written_are_an_error_of_that_scrape_alone() -> None:
    broken = gauge("shop_odd", "Odd.", (), [((), "seven")])  # type: ignore[list-item]

    class Odd(Collector):
        def collect(self) -> list[Metric]:
            return [broken]

    with TelemetryServer([Odd()], lambda: Health("running"), 0) as server:
        code, text, _ = get(f"{server.url}/metrics")
        assert code == 500
        assert "see the log" in text
        assert get(f"{server.url}/readyz")[0] == 200


@pytest.mark.parametrize("error", RAISED)
def test_systemd_still_hears_of_a_worker_whose_health_raises(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def broken() -> Health:
        raise error

    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(address)
        ours.settimeout(30)
        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}
        notifier = Notifier.started(broken, environment)
        assert notifier is not None
        try:
            heard = [ours.recv(1_000).decode() for _ in range(3)]
        finally:
            notifier.close()
    status = f"STATUS=the health cannot be read: {error.__name__}"
    assert heard == [status, "WATCHDOG=1", "WATCHDOG=1"]
