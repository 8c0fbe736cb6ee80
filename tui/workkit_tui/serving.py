"""The console in a browser: textual-serve with a page of our own, and a guard in front."""

from __future__ import annotations

import hmac
import json
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from aiohttp_jinja2 import render_template
from textual_serve.app_service import AppService
from textual_serve.server import Server

from workkit.core.actor import ACTOR_VARIABLE, who_am_i
from workkit.core.entropy import Entropy
from workkit.core.served import SERVED_PLACE, SERVED_PLACES

__all__ = ["MOST_SESSIONS", "ConsoleServer", "ServedPlace"]

_COOKIE: Final = "workkit_token"
_TEMPLATES: Final = Path(__file__).parent / "templates"
#: Addresses that mean all interfaces of this machine.
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_DIGITS: Final = 4
#: The user whose request is being answered.
_USER: Final = ContextVar("workkit_user", default="")
#: The number of the place that it asks for; "" for the list of places.
_PLACE: Final = ContextVar("workkit_place", default="")
#: The most consoles at once, and the most columns and lines of one.
MOST_SESSIONS: Final = 16
_MOST_CELLS: Final = 1_000
#: The page may load nothing from other hosts.
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self' ws: wss:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class ServedPlace(NamedTuple):
    """A namespace that browsers may see.

    Attributes:
        title: Its name for people.
        redis: Its server's URL.
        namespace: The prefix of its keys.
    """

    title: str
    redis: str
    namespace: str


class ConsoleServer(Server):
    """Serves a separate console to each browser.

    Args:
        places: The namespaces, at least one; of several, the page first shows what needs attention
            in all of them. They are passed on in the environment, where `ps` does not show them.
        options: See `Settings`.
        host: The address to listen at.
        port: The port.
        token: The secret that a browser has to send; None to make one, which is printed, unless
            there are users.
        public_url: The address that browsers use, if a proxy has another one.
        users: Token → the name of its user, who is recorded with what is done.
        more: Further arguments of the command that runs a console.
    """

    def __init__(
        self,
        places: Sequence[ServedPlace],
        options: Mapping[str, Any],
        host: str,
        port: int,
        token: str | None = None,
        public_url: str | None = None,
        users: Mapping[str, str] | None = None,
        more: Sequence[str] = (),
    ) -> None:
        os.environ[SERVED_PLACES] = json.dumps(places)
        self._places = list(places)
        super().__init__(
            _command(options, more), host=host, port=port, title="workkit",
            templates_path=_TEMPLATES, public_url=public_url,
        )  # fmt: skip
        self._said = "..." if token or users else ""
        known = dict(users or {})
        if token or not known:
            known[token or Entropy().identifier()] = f"{who_am_i()} in a browser"
        self._sessions = 0
        self._token, self._users = next(reversed(known)), known
        self._public_host = _host_of(public_url) if public_url else ""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        app.router.add_get("/ws/{place}", self.handle_websocket)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Refuse strangers, and restrict what the page may load."""
        if not self._is_own_host(request.host):
            raise web.HTTPForbidden(
                text="this name is not the address of the console; give it with --public-url"
            )
        if not self._is_same_origin(request):
            raise web.HTTPForbidden(text="another site's page may not use this console")
        cookie = f"{_COOKIE}_{self.port}"  # cookies are shared by all ports of a host
        shown = request.query.get("token") or request.cookies.get(cookie) or ""
        user = self._user_of(shown)
        if user is None:
            raise web.HTTPForbidden(text="open this page with ?token=... in its address")
        _USER.set(user)
        if request.path.startswith("/ws"):
            if not web.WebSocketResponse().can_prepare(request):
                raise web.HTTPBadRequest(text="only the page of the console connects here")
            asked = request.match_info.get("place", "")
            if asked and self._place(asked) is None:
                raise web.HTTPNotFound(text="there is no such namespace; open the first page")
            _PLACE.set(asked)
            return await self._serve_session(request, handler)
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = _POLICY
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"
            response.set_cookie(cookie, shown, httponly=True, samesite="Strict")
        return response

    def _user_of(self, token: str) -> str | None:
        """Return whose token that is; None if it is nobody's. All are compared, in equal time."""
        same = [
            user
            for known, user in self._users.items()
            if hmac.compare_digest(_encoded(token), _encoded(known))
        ]
        return same[0] if same else None

    @property
    def command(self) -> str:
        """The command that runs a console for the browser that asks."""
        place = f"{SERVED_PLACE}={shlex.quote(_PLACE.get())}"
        return f"{ACTOR_VARIABLE}={shlex.quote(_USER.get())} {place} {self._command}"

    @command.setter
    def command(self, command: str) -> None:
        self._command = command

    async def _serve_session(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Run a console for a page, unless there are too many: each is a process."""
        for name in ("width", "height"):
            asked = request.query.get(name, "80")
            digits = asked.isascii() and asked.isdigit() and len(asked) <= _DIGITS
            if not digits or not 0 < int(asked) <= _MOST_CELLS:
                raise web.HTTPBadRequest(text=f"{name} must be from 1 to {_MOST_CELLS:,}")
        if self._sessions >= MOST_SESSIONS:
            raise web.HTTPServiceUnavailable(
                text=f"{MOST_SESSIONS} consoles are open, which is the maximum; close one of them"
            )
        self._sessions += 1
        try:
            return await handler(request)
        finally:
            self._sessions -= 1

    async def _process_messages(
        self, websocket: web.WebSocketResponse, app_service: AppService
    ) -> None:
        """Pass the messages of a page on; those that are malformed are left out."""
        async for message in websocket:
            try:
                read = json.loads(message.data) if message.type == WSMsgType.TEXT else None
            except (ValueError, RecursionError):
                continue
            match read:
                case ["stdin", str(text)]:
                    await app_service.send_bytes(text.encode("utf-8", "replace"))
                case ["resize", {"width": int(width), "height": int(height)}]:
                    sides = (min(max(side, 1), _MOST_CELLS) for side in (width, height))
                    await app_service.set_terminal_size(*sides)
                case ["ping", data]:
                    await websocket.send_json(["pong", data])
                case ["blur", *_]:
                    await app_service.blur()
                case ["focus", *_]:
                    await app_service.focus()

    def _is_own_host(self, host: str) -> bool:
        """Tell whether a Host header names the served address, or this machine.

        A page of another site can point its own name at this machine; then the header has that
        name.
        """
        if self._public_host and host.lower() == self._public_host:
            return True
        if "@" in host:
            return False
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in {"localhost", self.host.lower().strip("[]")}:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self.host in _EVERYWHERE

    def _is_same_origin(self, request: web.Request) -> bool:
        """Tell whether a request comes from this page, or from outside any page."""
        origin = request.headers.get("Origin")
        if origin is None:
            return True
        asked_by = origin.partition("://")[2].lower()
        return asked_by in {request.host.lower(), self._public_host} - {""}

    async def handle_index(self, request: web.Request) -> web.Response:
        """Return the page; its addresses are relative, so it works under any name and path.

        Of several namespaces, the page without a place begins with their list.
        """
        place = self._place(request.query.get("place", ""))
        several = len(self._places) > 1
        size = request.query.get("fontsize", "")
        font_size = int(size) if size.isascii() and size.isdigit() and len(size) < _DIGITS else 16
        context = {
            "font_size": font_size,
            "application": {"name": self.title},
            "socket": "ws" if place is None else f"ws/{place + 1}",
            "place_name": self._places[place].title if several and place is not None else "",
        }
        return render_template("app_index.html", request, context)

    def _place(self, asked: str) -> int | None:
        """Return the index of a namespace by its number on the list; None if there is none."""
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < _DIGITS else 0
        return number - 1 if 0 < number <= len(self._places) else None

    async def on_startup(self, app: web.Application) -> None:
        """Print the address."""
        del app
        host = f"[{self.host}]" if ":" in self.host else self.host
        address = self.public_url if self._public_host else f"http://{host}:{self.port}"
        shown = f"{address.rstrip('/')}/?token={self._said or self._token}"
        sys.stderr.write(f"the console is at {shown}; Ctrl-C ends it\n")
        sys.stderr.flush()

    def initialize_logging(self) -> None:
        """Log nothing: errors are raised."""


def _host_of(url: str) -> str:
    """Return a URL's host and port as browsers send them: without the usual port."""
    parts = urlsplit(url)
    usual = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return parts.netloc.lower().removesuffix(usual)


def _encoded(token: str) -> bytes:
    return token.encode("utf-8", "backslashreplace")


def _command(options: Mapping[str, Any], more: Sequence[str]) -> str:
    """Return the command that runs a console for one browser."""
    words = [sys.executable, "-m", "workkit", "top", "--refresh", str(options["refresh_s"])]
    words += ["--theme", str(options["theme"])]
    if options["read_only"]:
        words.append("--read-only")
    look_back_s = options.get("look_back_s", 3_600.0)
    words += ["--look-back", f"{look_back_s:g}" if look_back_s else "none"]
    if file := options.get("file"):
        words += ["--settings", str(Path(file).absolute())]
    for mask in options.get("masks", ()):
        words += ["--mask", mask]
    for mask in options.get("masks_also", ()):
        words += ["--mask-also", mask]
    return shlex.join([*words, *more])
