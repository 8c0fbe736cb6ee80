"""Servers, namespaces and waiting, for every test.

Each test process has its own Valkey and its own Redis, started when a test first asks for one. The
tests of a process share them: every test has a namespace, whose keys are deleted after it.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import shutil
import signal
import threading
import time
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import hypothesis
import pytest
from redis import Redis

from workkit.embedded import EmbeddedServer, find_server
from workkit.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ServerKind: TypeAlias = Literal["valkey", "redis"]

SERVER_KINDS: Final[tuple[ServerKind, ...]] = ("valkey", "redis")
GOLDEN: Final = Path(__file__).parent / "parity" / "golden"
POLL_S: Final = 0.005
PATIENCE_S: Final = 30
DELETED_AT_ONCE: Final = 1000

_namespace_numbers = itertools.count(1)

# If `nohup` or a shell makes the tests ignore a signal, processes that they start would ignore it
# as well. They do not inherit a handler: they begin with the default.
with suppress(ValueError):  # not on the main thread
    for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        if signal.getsignal(_number) is signal.SIG_IGN:
            signal.signal(_number, lambda _number, _frame: None)

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("workkit", deadline=None)
hypothesis.settings.load_profile("workkit")


class PrivateServer(Protocol):
    """Start a server that belongs to one test, which may kill, restart and fill it."""

    def __call__(self, kind: ServerKind | None = None, **options: Any) -> EmbeddedServer:
        """Take the kind (by default the test's own) and what `EmbeddedServer` takes."""
        ...


class WaitUntil(Protocol):
    """Wait for a condition that no signal reports."""

    def __call__(self, condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> Any:
        """Return the first true value of the condition, or fail the test."""
        ...


@pytest.hookimpl(optionalhook=True)  # xdist may be off
def pytest_xdist_auto_num_workers() -> int:
    """Run more processes than cores: most tests wait for servers and for other processes."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return cores + max(cores // 2, 1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that need a server once for each kind of server."""
    if "server_kind" not in metafunc.fixturenames:
        return
    one = metafunc.definition.get_closest_marker("one_server") is not None
    metafunc.parametrize("server_kind", SERVER_KINDS[:1] if one else SERVER_KINDS, indirect=True)


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    """Restore the loggers that a test has changed; later tests wait for log lines."""
    loggers = [logging.getLogger(name) for name in ("", "workkit", "shop")]
    before = [(logger, logger.level, logger.propagate, logger.disabled) for logger in loggers]
    yield
    for logger, level, propagate, disabled in before:
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled


@pytest.fixture(autouse=True)
def _no_log_thread_left() -> Iterator[None]:
    """Fail a test whose pools leave the thread that delivers log records."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name == "workkit-log":
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a pool has left its log thread"


@pytest.fixture
def server_kind(request: pytest.FixtureRequest) -> ServerKind:
    """The kind of server for this run of the test; with "one_server" it is always Valkey."""
    kind: ServerKind = request.param
    _binary_or_skip(kind)
    return kind


@pytest.fixture(scope="session")
def _shared_servers() -> Iterator[dict[ServerKind, EmbeddedServer]]:
    """The servers of this test process, by kind."""
    servers: dict[ServerKind, EmbeddedServer] = {}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture
def server(
    server_kind: ServerKind, namespace: str, _shared_servers: dict[ServerKind, EmbeddedServer]
) -> Iterator[EmbeddedServer]:
    """The server that the tests of this process share; not to be stopped, filled or flushed."""
    shared = _shared_servers.get(server_kind)
    if shared is None:
        shared = EmbeddedServer(binary=_binary_or_skip(server_kind))
        shared.start()
        _shared_servers[server_kind] = shared
    yield shared
    _delete_keys(shared, namespace)


@pytest.fixture
def redis_url(server: EmbeddedServer) -> str:
    """URL of the shared server."""
    return server.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[Redis]:
    """A client of the shared server; replies are bytes."""
    with Redis.from_url(redis_url, decode_responses=False) as client:
        yield client


@pytest.fixture
def namespace(worker_id: str) -> str:
    """A namespace that no other test of this run has; its keys are deleted afterwards."""
    return f"t{next(_namespace_numbers)}-{worker_id}"


@pytest.fixture
def private_server(request: pytest.FixtureRequest) -> Iterator[PrivateServer]:
    """Starts private servers for the test, and removes them after it.

    A test that also asks for `server_kind` runs on both kinds; by default it is Valkey.
    """
    own: ServerKind = SERVER_KINDS[0]
    if "server_kind" in request.fixturenames:
        own = request.getfixturevalue("server_kind")

    with ExitStack() as stack:

        def start(kind: ServerKind | None = None, **options: Any) -> EmbeddedServer:
            binary = _binary_or_skip(kind or own)
            return stack.enter_context(EmbeddedServer(binary=binary, **options))

        yield start


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Any]:
    """Read recorded output of the original: `golden("vectors")`, a new copy each time."""
    texts = cache(lambda name: (GOLDEN / f"{name}.json").read_text("utf-8"))
    return lambda name: json.loads(texts(name))


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """Poll a condition: `wait_until(lambda: ..., timeout_s=10)`.

    Only for changes that give no signal, such as a key that another process writes.
    """

    def wait(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> Any:
        pause = threading.Event()
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"nothing came within {timeout_s} s; the last value was {value!r}")
            pause.wait(POLL_S)
        return value

    return wait


def _binary_or_skip(kind: ServerKind) -> Path:
    """Return the server of a kind; without it skip, or fail where all kinds are required."""
    binary = _binary(kind)
    if binary is not None:
        return binary
    trouble = f"there is no {kind} server here"
    if os.environ.get("CI") or os.environ.get("WORKKIT_REQUIRE_ALL_SERVERS"):
        pytest.fail(f"{trouble}, and CI or WORKKIT_REQUIRE_ALL_SERVERS wants all kinds")
    pytest.skip(trouble)


@cache
def _binary(kind: ServerKind) -> Path | None:
    found: list[Path] = []
    with suppress(MissingExtra):
        found.append(find_server())
    found += [Path(path) for path in map(shutil.which, ("valkey-server", "redis-server")) if path]
    for binary in found:
        # Some systems install Valkey under the name of Redis, so the name proves nothing.
        if EmbeddedServer(binary=binary).version.startswith(f"{kind} "):
            return binary
    return None


def _delete_keys(server: EmbeddedServer, prefix: str) -> None:
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
    with Redis.from_url(server.url) as client:
        keys = client.scan_iter(match=pattern, count=DELETED_AT_ONCE)
        while batch := list(itertools.islice(keys, DELETED_AT_ONCE)):
            client.unlink(*batch)
