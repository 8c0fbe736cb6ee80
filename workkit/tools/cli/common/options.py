"""Options that commands share (server, namespace, JSON), and the examples in the help."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from workkit.core.secrets import SECRETS

if TYPE_CHECKING:
    from workkit.client import Client
    from workkit.enqueuer import Enqueuer

__all__ = [
    "HIGHEST_PORT",
    "Server",
    "examples",
    "json_option",
    "mask_options",
    "namespace_option",
    "now_s",
    "secret_options",
    "server_options",
]

R = TypeVar("R")

#: The highest TCP port.
HIGHEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Server:
    """The server and the namespace of a command.

    Attributes:
        redis: The server's URL.
        namespace: Prefix of all keys.
    """

    redis: str
    namespace: str

    @property
    def label(self) -> str:
        """The name of the server in messages, without user and password."""
        from workkit.store.connections.target import Target

        return Target.of(self.redis).label

    def client(self) -> Client:
        """Return a client, which connects when it is used."""
        from workkit.client import Client

        return Client(self.namespace, self.redis)

    def enqueuer(self) -> Enqueuer:
        """Return an enqueuer, which connects when it is used."""
        from workkit.enqueuer import Enqueuer

        return Enqueuer(self.namespace, self.redis)


def server_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add --redis and --namespace to a command, which gets them as its first argument."""

    @functools.wraps(command)
    def with_server(*args: Any, redis: str, namespace: str, **options: Any) -> R:
        return command(Server(redis, namespace), *args, **options)

    add_redis = click.option(
        "--redis",
        envvar="WORKKIT_REDIS_URL",
        default="redis://localhost:6379/0",
        show_default=True,
        show_envvar=True,
        metavar="URL",
        help="The server: redis://, rediss://, unix:// or redis+sentinel://.",
    )
    return add_redis(namespace_option("Prefix of all keys.")(with_server))


def namespace_option(meaning: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Return a decorator that adds --namespace to a command.

    Args:
        meaning: Its line in the help.
    """
    return click.option(
        "--namespace",
        envvar="WORKKIT_NAMESPACE",
        default="work",
        show_default=True,
        show_envvar=True,
        metavar="NS",
        help=meaning,
    )


def json_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add --json to a command, which gets it as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def mask_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add --mask and --mask-also to a command, which gets them as `masks` and `masks_also`."""
    add_also = click.option(
        "--mask-also",
        "masks_also",
        multiple=True,
        metavar="PATTERN",
        help="Also hide values whose names match, not only those that look like secrets; "
        "repeatable.",
    )
    return click.option(
        "--mask",
        "masks",
        multiple=True,
        metavar="PATTERN",
        help="Hide values whose names match, instead of those that look like secrets; repeatable.",
    )(add_also(command))


def secret_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add --redact and --keep-secrets; the command gets `redact`, the patterns to leave out."""

    @click.option(
        "--redact",
        "patterns",
        multiple=True,
        metavar="PATTERN",
        help="Also leave out the values of these keys of args (* and ?, any case).",
    )
    @click.option(
        "--keep-secrets",
        is_flag=True,
        help="Keep the values of keys such as *password* and *token*, which are left out by "
        "default.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, patterns: tuple[str, ...], keep_secrets: bool, **options: Any) -> R:
        redact = (*(() if keep_secrets else SECRETS), *patterns)
        return command(*args, redact=redact, **options)

    return wrapped


def examples(*lines: str) -> str:
    """Return the last part of a help text: examples, which click does not wrap.

    Args:
        *lines: Commands. A line that begins with a space continues the line above.
    """
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def now_s() -> int:
    """Return the current time in epoch seconds."""
    from workkit.core.clock import SystemClock

    return SystemClock().read().epoch_s
