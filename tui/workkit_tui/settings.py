"""What the user chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workkit.errors import InvalidOption

__all__ = ["DEFAULT_MASKS", "Settings"]

#: Args whose names match are not shown, unless the user sets patterns of their own.
DEFAULT_MASKS: Final = (
    "*password*", "*passwd*", "*secret*", "*token*", "*api_key*", "*apikey*", "*authorization*",
    "*credential*", "*private_key*",
)  # fmt: skip
_FASTEST_S: Final = 0.2
_SLOWEST_S: Final = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the console behaves.

    Attributes:
        refresh_s: Seconds between two looks while something happens.
        read_only: Whether acts are refused.
        masks: Patterns of names of args whose values are not shown, ``*`` for anything.
        theme: The name of a theme of Textual's, or "workkit" or "workkit-light".
        by: Who acts, for others who look at what can be undone.

    Raises:
        InvalidOption: `refresh_s` is out of its range.
    """

    refresh_s: float = 2.0
    read_only: bool = False
    masks: tuple[str, ...] = DEFAULT_MASKS
    theme: str = "workkit"
    by: str = ""

    def __post_init__(self) -> None:
        if not _FASTEST_S <= self.refresh_s <= _SLOWEST_S:
            raise InvalidOption(
                f"refresh must be from {_FASTEST_S} to {_SLOWEST_S:.0f} seconds, "
                f"not {self.refresh_s!r}"
            )
