"""Answers scrapes and health checks over HTTP, on one port.

| path | answer |
|---|---|
| `/metrics` | the metrics, in the format that the client asks for |
| `/livez` | 200 while the loops make progress, else 503 with the reason |
| `/readyz` | 200 while jobs can be claimed, else 503 with the reasons |
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy
from http import HTTPStatus
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from workkit.core.guarding import guarded
from workkit.engine.health import Health, asked
from workkit.errors import InvalidOption
from workkit.telemetry.prometheus import Collector, CollectorRegistry, Metric, make_wsgi_app

__all__ = ["DEFAULT_HOST", "TelemetryServer"]

_log = logging.getLogger("workkit")

#: Where servers listen by default: metrics name queues, so they are not for everybody.
DEFAULT_HOST: Final = "127.0.0.1"
#: How long a client may take to send its request, seconds.
_REQUEST_S: Final = 10.0
_JSON: Final = "application/json"

_StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_S

    def address_string(self) -> str:
        """Return the client's address; looking up its name may take long."""
        return str(self.client_address[0])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base class
        """Log requests only for debugging: they come every few seconds."""
        _log.debug("metrics: %s: " + format, self.address_string(), *args)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], family: socket.AddressFamily) -> None:
        self.address_family = family
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without the base class's look-up of the host's name, which may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Log an error of a request, unless the client has gone."""
        del request
        error = sys.exception()
        if not isinstance(error, (ConnectionError, TimeoutError)):
            _log.error("metrics: a request from %s failed", client_address, exc_info=error)


class TelemetryServer:
    """Serves metrics and health on a port, on threads of its own, until it is closed.

    Args:
        collectors: Yield the metrics.
        health: Returns the health.
        port: The TCP port; 0 for any free one.
        host: The address to listen on; "" or "0.0.0.0" for all.

    Raises:
        InvalidOption: The address cannot be used; the message names it and the reason.
    """

    def __init__(
        self,
        collectors: Iterable[Collector],
        health: Callable[[], Health],
        port: int,
        host: str = DEFAULT_HOST,
    ) -> None:
        registry = _Registry()
        for collector in collectors:
            registry.register(_Guarded(collector))
        self._metrics = make_wsgi_app(registry)
        self._health = health
        self._server = _bound(host, port)
        self._server.set_app(self._answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="workkit-metrics", daemon=True
        )
        try:
            self._thread.start()
        except BaseException:
            self._server.server_close()
            raise

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """The beginning of its URLs, such as ``http://127.0.0.1:9464``."""
        host = self._server.server_name
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1.0)

    def __enter__(self) -> Self:
        """Return the server; the end of the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _answer(self, environ: dict[str, Any], start: _StartResponse) -> Iterable[bytes]:
        try:
            if environ.get("REQUEST_METHOD") == "HEAD":
                return self._head(environ, start)
            return self._page(environ, start)
        except BaseException as error:  # noqa: BLE001 - a collector's samples may be anything
            _log.error("metrics: a request failed", exc_info=error)
            text = f"The answer cannot be made: {type(error).__name__}; see the log.\n"
            return _reply(start, HTTPStatus.INTERNAL_SERVER_ERROR, text)

    def _head(self, environ: dict[str, Any], start: _StartResponse) -> Iterable[bytes]:
        """Answer as to GET, without the body."""
        head: list[tuple[str, list[tuple[str, str]]]] = []
        body = self._page(
            environ | {"REQUEST_METHOD": "GET"},
            lambda *status_and_headers: head.append(status_and_headers),
        )
        ((status, headers),) = head
        length = [("Content-Length", str(sum(map(len, body))))]
        start(status, [each for each in headers if each[0] != "Content-Length"] + length)
        return []

    def _page(self, environ: dict[str, Any], start: _StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "").rstrip("/")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        if path not in {"/livez", "/readyz"}:
            text = "There are /metrics, /livez and /readyz.\n"
            return _reply(start, HTTPStatus.NOT_FOUND if path else HTTPStatus.OK, text)
        if environ.get("REQUEST_METHOD") != "GET":
            return _reply(start, HTTPStatus.METHOD_NOT_ALLOWED, "Use GET.\n")
        health = asked(self._health)
        is_well = health.live if path == "/livez" else health.ready
        reasons = health.faults if path == "/livez" else health.reasons
        if _wants_json(environ):
            text = json.dumps({"ok": is_well, "state": health.state, "reasons": list(reasons)})
            kind = _JSON
        else:
            text, kind = "; ".join(reasons) or "ok", "text/plain; charset=utf-8"
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        return _reply(start, status, f"{text}\n", kind)


class _Guarded(Collector):
    """Keeps what a collector raises from the metrics of the others."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> list[Metric]:
        """Return what the collector yields, up to its error."""
        found: list[Metric] = []
        guarded(self._collector, "collect", then=found.extend)
        return [each for each in found if isinstance(each, Metric)]


class _Registry(CollectorRegistry):
    """A registry that does not know before a scrape which metrics its collectors have."""

    def restricted_registry(self, names: Iterable[str]) -> Any:
        """Return what shows only some metrics, which a client asks for with ``name[]``."""
        return _Some(self, frozenset(names))


class _Some(Collector):
    """Shows the metrics and samples with some names."""

    def __init__(self, whole: CollectorRegistry, names: frozenset[str]) -> None:
        self._whole = whole
        self._names = names

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        for metric in self._whole.collect():
            some = copy(metric)
            if metric.name not in self._names:
                some.samples = [each for each in metric.samples if each.name in self._names]
            if some.samples:
                yield some


def _wants_json(environ: dict[str, Any]) -> bool:
    wanted = parse_qs(environ.get("QUERY_STRING", "")).get("format")
    if wanted is not None:
        return bool(wanted[-1] == "json")
    return _JSON in str(environ.get("HTTP_ACCEPT", ""))


def _reply(
    start: _StartResponse, status: HTTPStatus, text: str, kind: str = "text/plain; charset=utf-8"
) -> list[bytes]:
    body = text.encode("utf-8", "replace")
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start(f"{status.value} {status.phrase}", headers)
    return [body]


def _bound(host: str, port: int) -> _Server:
    """Return a server that listens on an address.

    Raises:
        InvalidOption: It cannot listen there.
    """
    error: OSError | OverflowError = OSError("no such address")
    with suppress(OSError, UnicodeError):  # the name of no host
        for family, *_, address in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            try:
                return _Server((str(address[0]), int(address[1])), family)
            except (OSError, OverflowError) as refused:
                error = refused
    why = getattr(error, "strerror", None) or error
    raise InvalidOption(
        f"metrics cannot be served on {host or '*'}:{port}: {str(why).lower()}; "
        "choose another port or address"
    )
