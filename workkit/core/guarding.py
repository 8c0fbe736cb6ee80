"""Calls code of others, such as exporters and observers, so that its errors harm nobody.

Such code may raise anything: a `SystemExit` of a library, or the `CancelledError` of a loop that it
uses inside. Its error is logged once. The caller goes on without a result.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Unwinding", "called", "guarded", "passes", "warn_once"]

_log = logging.getLogger("workkit")

#: What is logged already.
_told: Final[set[object]] = set()
_MOST_TOLD: Final = 1_000


class Unwinding(BaseException):
    """Ends a thread from outside, so nobody may stop it on its way."""


def passes(error: BaseException, through: type[BaseException] | None = None) -> bool:
    """Tell whether an exception is meant for the caller of the code that has raised it.

    Python runs signal handlers on the main thread, between any two steps. So what is not an
    `Exception` there may be the Ctrl-C of a user, or the `SystemExit` of a handler for SIGTERM.

    Args:
        error: The exception.
        through: One that others raise in the thread of that code; None for none.
    """
    if through is not None and isinstance(error, through):
        return True
    if isinstance(error, Exception):
        return False
    is_main = threading.current_thread() is threading.main_thread()
    return is_main or isinstance(error, Unwinding)


def guarded(
    owner: object,
    method: str,
    *args: Any,
    through: type[BaseException] | None = None,
    then: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Any:
    """Call a method of others.

    Args:
        owner: Has the method. If it has none, that is an error of the method, too.
        method: Its name.
        *args: For the method.
        through: As for `passes`.
        then: Checks or reads what the method returns; its errors are those of the method.
        **options: For the method.

    Returns:
        What the method returns, or what `then` makes of it; None after an error.
    """
    try:
        result = getattr(owner, method)(*args, **options)
        return result if then is None else then(result)
    except BaseException as error:
        if passes(error, through):
            raise
        kind = owner if isinstance(owner, type) else type(owner)
        _tell(f"{kind.__module__}.{kind.__qualname__}.{method}", error)
        return None


def called(
    function: Callable[..., Any], *args: Any, through: type[BaseException] | None = None
) -> Any:
    """Call a function of others, as `guarded` calls a method."""
    try:
        return function(*args)
    except BaseException as error:
        if passes(error, through):
            raise
        name = getattr(function, "__qualname__", type(function).__qualname__)
        _tell(f"{getattr(function, '__module__', '?')}.{name}", error)
        return None


def warn_once(
    about: object, message: str, *args: object, error: BaseException | None = None
) -> None:
    """Log a warning, once in the life of the process.

    Args:
        about: What it is about: a second warning about an equal thing is not logged.
        message: For `logging`.
        *args: For `logging`.
        error: Its traceback is logged, too.
    """
    if about not in _told and len(_told) < _MOST_TOLD:
        _told.add(about)
        _log.warning(message, *args, exc_info=error)


def _tell(name: str, error: BaseException) -> None:
    warn_once(
        (name, type(error)),
        "%s has failed, so telemetry is incomplete; jobs are not affected (logged once)",
        name,
        error=error,
    )
