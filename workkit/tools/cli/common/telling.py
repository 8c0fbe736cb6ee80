"""Tells notices to programs and webhooks, on a thread, so that a slow one does not stop the watch.

No shell is involved. Text from Redis reaches a program only as JSON on its standard input and as
values of environment variables.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import select
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final, Protocol, TextIO
from urllib.parse import urlsplit

import click

from workkit._version import __version__
from workkit.core.text import clean, counted

__all__ = ["Channel", "Program", "Teller", "Told", "Webhook", "can_take", "document"]

#: A program that runs longer is killed; a request to a webhook that takes longer has failed.
_PROGRAM_S: Final = 30.0
_WEBHOOK_S: Final = 10.0
#: Waits before a webhook is tried again, seconds.
_WAITS_S: Final = (1.0, 2.0, 4.0)
_STDERR: Final = 2
#: Answers after which another try may help.
_PASSING: Final = frozenset({408, 425, 429, *range(500, 600)})
#: So many notices wait for slow channels; further ones are dropped, and the watch says so.
_MOST: Final = 1_000
_SHOWN: Final = 200
#: The longest name in DNS, characters.
_HOST_CHARS: Final = 253


@dataclass(frozen=True, slots=True)
class Told:
    """One notice as it leaves.

    Attributes:
        text: One line for people, without control characters.
        document: One JSON object.
        variables: Environment variables for programs.
    """

    text: str
    document: str
    variables: Mapping[str, str]


class Channel(Protocol):
    """A way that notices leave."""

    def tell(self, told: Told, stop: threading.Event) -> str:
        """Tell one notice. Returns why that failed; "" if it did not."""
        ...


class Program:
    """Runs a program for each notice, without a shell.

    Args:
        command: The program and its arguments, quoted as for a shell.

    Raises:
        click.BadParameter: There is no such program.
    """

    def __init__(self, command: str) -> None:
        try:
            self._args = shlex.split(command)
        except ValueError as error:
            raise click.BadParameter(f"{command!r}: {error}") from None
        if not self._args:
            raise click.BadParameter("the command is empty")
        path = shutil.which(self._args[0])
        if path is None:
            raise click.BadParameter(
                f"there is no program {self._args[0]!r}; no shell runs the command, so for pipes "
                "and variables write sh -c '...'"
            )
        self._args[0] = path

    def tell(self, told: Told, stop: threading.Event) -> str:
        """Run the program with the notice, and wait for its end."""
        del stop
        name = os.path.basename(self._args[0])  # noqa: PTH119 - a name is enough
        try:
            program = subprocess.Popen(  # noqa: S603 - the user's own program, and no shell
                self._args,
                env={**os.environ, **told.variables},
                stdin=subprocess.PIPE,
                stdout=_STDERR if _is_open(_STDERR) else subprocess.DEVNULL,  # not our stdout
                start_new_session=True,  # so that what it starts is killed with it
            )
        except (OSError, ValueError) as error:
            return f"the program {name} was not started: {getattr(error, 'strerror', 0) or error}"
        with program:
            try:
                program.communicate(told.document.encode() + b"\n", timeout=_PROGRAM_S)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGKILL)
                return f"the program {name} ran longer than {_PROGRAM_S:g} s and was killed"
        return f"the program {name} ended with {program.returncode}" if program.returncode else ""


class Webhook:
    """Posts each notice as JSON, and tries again a few times. It follows no redirection.

    Args:
        url: An http or https URL. A user and password in it are sent as basic authentication.

    Raises:
        click.BadParameter: The URL is not valid.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError:
            raise click.BadParameter("the URL is not valid; write https://HOST/PATH") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise click.BadParameter("the URL must begin with http:// or https:// and name a host")
        if self._port == 0:
            raise click.BadParameter("the URL has port 0; write a port from 1 to 65535, or none")
        _check_host(parts.hostname)
        if not url.isascii() or not url.isprintable() or " " in url:
            raise click.BadParameter("the URL holds a character that must be written as %XX")
        self._safe = parts.scheme == "https"
        self._host = parts.hostname
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"workkit/{__version__}",
        }
        if parts.username is not None:
            from base64 import b64encode
            from urllib.parse import unquote

            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"

    def tell(self, told: Told, stop: threading.Event) -> str:
        """Post the notice. A path may hold a secret, so messages name only the host."""
        failure, may_help = "", True
        for tries, wait_s in enumerate((0.0, *_WAITS_S)):
            if not may_help or (tries and stop.wait(wait_s)):
                break
            failure, may_help = self._post(told.document.encode())
            if not failure:
                return ""
        return f"the webhook at {clean(self._host)} {failure}"

    def _post(self, body: bytes) -> tuple[str, bool]:
        """Post once. Returns why it failed, or "", and whether another try may help.

        A time limit of a socket is one of each read, and a look-up of a name has none. So the
        exchange is on a thread of its own, which is left alone after its time.
        """
        found: list[tuple[str, bool]] = []
        over = threading.Event()

        def exchange() -> None:
            try:
                found.append(self._exchange(body))
            except BaseException as error:  # noqa: BLE001 - whatever it is, the notice is not told
                found.append((f"failed: {_short(error)}", False))
            finally:
                over.set()

        try:
            threading.Thread(target=exchange, name="workkit-webhook", daemon=True).start()
        except RuntimeError as error:
            return f"was not asked: {_short(error)}", True
        if over.wait(_WEBHOOK_S):
            return found[0]
        return f"does not answer: the request took longer than {_WEBHOOK_S:g} s", True

    def _exchange(self, body: bytes) -> tuple[str, bool]:
        line: http.client.HTTPConnection
        try:
            if self._safe:
                line = http.client.HTTPSConnection(
                    self._host, self._port, timeout=_WEBHOOK_S, context=ssl.create_default_context()
                )
            else:
                line = http.client.HTTPConnection(self._host, self._port, timeout=_WEBHOOK_S)
            with closing(line):
                line.request("POST", self._path, body, self._headers)
                status = line.getresponse().status
        except ssl.SSLCertVerificationError as error:
            return f"has a certificate that is not valid: {error.verify_message}", False
        except (OSError, http.client.HTTPException) as error:
            return f"does not answer: {_short(error)}", True
        if 200 <= status < 300:  # noqa: PLR2004 - success in HTTP
            return "", False
        return f"answered {status}", status in _PASSING


def _short(error: BaseException) -> str:
    return clean(str(error) or type(error).__name__)[:_SHOWN]


def _check_host(host: str) -> None:
    """Check that DNS can carry the name of a host.

    Raises:
        click.BadParameter: It cannot.
    """
    if ":" in host:  # an address of IPv6
        return
    try:
        written = host.encode("idna").decode()
    except UnicodeError:
        raise click.BadParameter(
            f"no host can have the name {clean(host)[:_SHOWN]!r}: the parts between its dots must "
            "have 1 to 63 characters"
        ) from None
    if len(written) > _HOST_CHARS:
        raise click.BadParameter(
            f"the name of the host has {len(written)} characters; at most {_HOST_CHARS} are allowed"
        )
    if not host.isascii():
        raise click.BadParameter(f"write the host {clean(host)!r} as {written}")


class Teller:
    """Tells notices to channels, in their order, on a thread.

    Args:
        channels: The channels.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = channels
        self._waiting: queue.Queue[Told | None] = queue.Queue()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workkit-tell", daemon=True)
        if channels:
            self._thread.start()

    def tell(self, told: Told) -> None:
        """Tell a notice soon."""
        if not self._channels:
            return
        if self._waiting.qsize() >= _MOST:
            _complain(f"{_MOST:,} notices wait for --exec or --webhook", told)
            return
        self._waiting.put(told)

    @property
    def has_channels(self) -> bool:
        """Whether notices leave in another way than stdout."""
        return bool(self._channels)

    def close(self, within_s: float | None) -> None:
        """Tell what waits, and end.

        Args:
            within_s: How long that may take at most, seconds. Within this time, webhooks are not
                tried again. None for as long as it takes.
        """
        if not self._channels:
            return
        if within_s is not None:
            self._hurry.set()
        self._waiting.put(None)
        self._thread.join(within_s)
        if self._thread.is_alive():
            left = max(self._waiting.qsize() - 1, 0) + 1
            said = counted(left, "notice was", "notices were")
            _say(f"workkit: {said} not told before the end")

    def _run(self) -> None:
        while (told := self._waiting.get()) is not None:
            for channel in self._channels:
                try:
                    failure = channel.tell(told, self._hurry)
                except BaseException as error:  # noqa: BLE001 - the next notice must be told
                    failure = f"{type(channel).__name__.lower()}: {_short(error)}"
                if failure:
                    _complain(failure, told)


def _complain(failure: str, told: Told) -> None:
    _say(f"workkit: {failure}; it was not told: {told.text}")


def _say(line: str) -> None:
    """Write a line to stderr, unless that is closed, or a pipe that nobody reads."""
    with suppress(OSError, ValueError):
        if can_take(sys.stderr):
            click.echo(line, err=True)


def can_take(stream: TextIO | None) -> bool:
    """Tell whether a stream takes a line now, rather than block its writer."""
    try:
        number = stream.fileno() if stream is not None else None
    except (OSError, ValueError):  # no file, as in tests
        return True
    return number is None or number in select.select([], [number], [], 0)[1]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def document(fields: Mapping[str, object]) -> str:
    """Return JSON in ASCII, since text from Redis may hold lone surrogates."""
    return json.dumps(fields)
