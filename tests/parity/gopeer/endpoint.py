"""The parts that enqueuer, client and pool share: a connection, key names, a clock and dice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from tests.parity.gopeer.errors import GoReplyError
from tests.parity.gopeer.keys import GoKeys

if TYPE_CHECKING:
    import random  # noqa: TID251 -- a type: the test brings the dice
    from collections.abc import Callable, Iterable, Sequence

    from redis import Redis

    StartVerdict = str | bytes | int


class LoggedError(NamedTuple):
    """An error that the original only prints."""

    where: str
    error: Exception


class Wire:
    """How the parts of one process reach the world around them."""

    def __init__(
        self, redis: Redis, namespace: str, *, now: Callable[[], int], rng: random.Random
    ) -> None:
        """Take what ``GoEndpoint`` was given."""
        self._redis = redis
        self.keys = GoKeys(namespace)
        self.now = now
        self.rng = rng
        self.errors: list[LoggedError] = []

    def new_id(self) -> str:
        """Draw an identifier of 24 hexadecimal digits."""
        return f"{self.rng.getrandbits(96):024x}"

    def log(self, where: str, error: Exception) -> None:
        """Note an error that the original prints and forgets."""
        self.errors.append(LoggedError(where, error))

    def do(self, *words: StartVerdict) -> Any:
        """Run one command.

        Raises:
            RedisError: It was refused, or the connection failed.
        """
        execute: Callable[..., Any] = self._redis.execute_command
        return execute(*words)

    def script(self, text: str, keys: Iterable[str | bytes], args: Iterable[StartVerdict]) -> Any:
        """Run a script.

        Raises:
            RedisError: It failed; its writes until then stay.
        """
        return self._redis.register_script(text)(keys=list(keys), args=list(args))

    def transact(self, commands: Iterable[Sequence[StartVerdict]]) -> None:
        """Run commands between MULTI and EXEC.

        Raises:
            RedisError: One was refused on its way in, and none was run.
        """
        pipeline = self._redis.pipeline(transaction=True)
        queue: Callable[..., Any] = pipeline.execute_command
        for words in commands:
            queue(*words)
        pipeline.execute()

    def send(self, where: str, commands: Iterable[Sequence[StartVerdict]]) -> None:
        """Send commands without a look at the replies: a refusal goes unnoticed."""
        pipeline = self._redis.pipeline(transaction=False)
        queue: Callable[..., Any] = pipeline.execute_command
        for words in commands:
            queue(*words)
        try:
            pipeline.execute(raise_on_error=False)
        except RedisError as error:
            self.log(where, error)


class GoEndpoint:
    """A process of the original, seen from Redis.

    Attributes:
        namespace: Where its keys are.
        keys: Their names.
        errors: What the original would have printed, oldest first.
    """

    def __init__(
        self, redis: Redis, namespace: str, *, now: Callable[[], int], rng: random.Random
    ) -> None:
        """Connect nothing yet.

        Args:
            redis: A client that does not decode replies.
            namespace: May be empty; a colon at its end makes no difference.
            now: The wall clock, in whole epoch seconds.
            rng: The source of ids, of the order of queues and of retry delays.
        """
        self._wire = Wire(redis, namespace, now=now, rng=rng)
        self.namespace = namespace
        self.keys = self._wire.keys
        self.errors = self._wire.errors


def as_bytes(reply: object) -> bytes:
    """Take a reply that must be a string.

    Raises:
        GoReplyError: It has another type.
    """
    if isinstance(reply, bytes):
        return reply
    raise GoReplyError(f"wanted a string, got {reply!r}")


def as_count(reply: object) -> int:
    """Take a reply that must be an integer.

    Raises:
        GoReplyError: It has another type.
    """
    if isinstance(reply, int):
        return reply
    raise GoReplyError(f"wanted an integer, got {reply!r}")
