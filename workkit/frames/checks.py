"""Refuses arguments of measures and pictures that are of a wrong type or out of their range."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Integral, Real

from workkit.core.options import shown
from workkit.errors import InvalidOption

__all__ = ["check_count", "check_quantiles", "check_share", "checked_limits", "is_number"]


def check_share(name: str, value: object) -> None:
    """Refuse what is not a number above 0 and below 1.

    Raises:
        InvalidOption: The message names the argument.
    """
    if not is_number(value) or not 0 < value < 1:  # type: ignore[operator]
        raise InvalidOption(
            f"{name} must be above 0 and below 1, such as 0.05 or 0.99, not {shown(value)}"
        )


def check_count(name: str, value: object, low: int, high: int | None = None) -> None:
    """Refuse what is not a whole number from `low`, to `high` if it is given.

    Raises:
        InvalidOption: The message names the argument.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):  # type: ignore[operator]
        upto = "" if high is None else f" to {high:,}"
        raise InvalidOption(f"{name} must be a whole number from {low:,}{upto}, not {shown(value)}")


def checked_limits(limits: object) -> dict[str, int]:
    """Return the limits of names, which may be None.

    Raises:
        InvalidOption: They are not names with whole numbers.
    """
    if limits is None:
        return {}
    if not isinstance(limits, Mapping):
        raise InvalidOption(f"limits must be a dict such as {{'mail': 4}}, not {shown(limits)}")
    for name, limit in limits.items():
        check_count(f"the limit of {name!r}", limit, 0, 2**31)
    return dict(limits)


def check_quantiles(values: object) -> None:
    """Refuse what is not several numbers from 0 to 1.

    Raises:
        InvalidOption: One is out of its range, or `values` is a single number.
    """
    several = isinstance(values, Collection) and not isinstance(values, (str, bytes))
    if not several or not all(is_number(each) and 0 <= each <= 1 for each in values):  # type: ignore[attr-defined]
        raise InvalidOption(
            f"quantiles must be numbers from 0 to 1, such as (0.5, 0.99), not {shown(values)}"
        )


def is_number(value: object) -> bool:
    """Tell whether a value is a number, of Python or of NumPy."""
    return isinstance(value, Real) and not isinstance(value, bool)
