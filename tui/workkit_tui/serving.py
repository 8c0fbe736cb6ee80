"""The console in a browser: textual-serve with a page of our own and a token."""

from __future__ import annotations

import hmac
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from textual_serve.server import Server

__all__ = ["ConsoleServer"]

_COOKIE: Final = "workkit_token"
_TEMPLATES: Final = Path(__file__).parent / "templates"
#: What the page may load: nothing from other hosts.
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self' ws: wss:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class ConsoleServer(Server):
    """Serves a console of its own to each browser.

    Args:
        redis: The server's URL; handed on by the environment, where `ps` does not show it.
        namespace: Prefix of all keys.
        options: See `Settings`.
        host: The address to listen at.
        port: The port.
        token: What a browser has to show; None for nothing.
    """

    def __init__(
        self,
        redis: str,
        namespace: str,
        options: Mapping[str, Any],
        host: str,
        port: int,
        token: str | None,
    ) -> None:
        os.environ["WORKKIT_REDIS_URL"], os.environ["WORKKIT_NAMESPACE"] = redis, namespace
        super().__init__(
            _command(options), host=host, port=port, title="workkit", templates_path=_TEMPLATES
        )
        self._token = token

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let in who is allowed, and tell the browser what the page may load."""
        if not self._is_same_origin(request):
            raise web.HTTPForbidden(text="another site's page may not use this console")
        shown = request.query.get("token") or request.cookies.get(_COOKIE) or ""
        if self._token and not hmac.compare_digest(shown.encode(), self._token.encode()):
            raise web.HTTPForbidden(text="open this page with ?token=... in its address")
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"
            if self._token:
                response.set_cookie(_COOKIE, self._token, httponly=True, samesite="Strict")
        return response

    def _is_same_origin(self, request: web.Request) -> bool:
        """Tell whether a request comes from this page, or from no page at all."""
        origin = request.headers.get("Origin")
        return origin is None or origin.partition("://")[2] == request.host

    async def on_startup(self, app: web.Application) -> None:
        """Say where it is."""
        del app
        address = f"http://{self.host}:{self.port}/"
        token = "?token=..." if self._token else ""
        sys.stderr.write(f"the console is at {address}{token}; Ctrl-C ends it\n")
        sys.stderr.flush()

    def initialize_logging(self) -> None:
        """Log nothing: what goes wrong is raised."""


def _command(options: Mapping[str, Any]) -> str:
    """Return the command that runs a console for one browser."""
    words = [sys.executable, "-m", "workkit", "top", "--refresh", str(options["refresh_s"])]
    words += ["--theme", str(options["theme"])]
    if options["read_only"]:
        words.append("--read-only")
    for mask in options.get("masks", ()):
        words += ["--mask", mask]
    return shlex.join(words)
