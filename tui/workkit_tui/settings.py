"""The choices of the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from textual.theme import BUILTIN_THEMES

from workkit.core.secrets import SECRETS
from workkit.core.text import clean
from workkit.errors import InvalidOption
from workkit_tui.themes import THEMES

__all__ = ["DEFAULT_MASKS", "Settings"]

#: Values whose names match are not shown, unless the user sets other patterns.
DEFAULT_MASKS: Final = SECRETS
_FASTEST_S: Final = 0.2
_SLOWEST_S: Final = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The behaviour of the console.

    Attributes:
        refresh_s: Seconds between two readings while something changes.
        read_only: Whether changes are refused.
        masks: Patterns of names whose values are not shown, ``*`` for anything.
        masks_also: More patterns, in addition to those.
        theme: The name of a theme: one of ours (`workkit_tui.themes`), or one of Textual's.
        look_back_s: How much of the past is remembered, seconds; 0 for nothing.
        file: Where views and columns are saved; "" to save nothing.
        by: Who acts; others see it on the Undo tab.

    Raises:
        InvalidOption: `refresh_s` is out of its range, or there is no such theme.
    """

    refresh_s: float = 2.0
    read_only: bool = False
    masks: tuple[str, ...] = DEFAULT_MASKS
    masks_also: tuple[str, ...] = ()
    theme: str = "workkit"
    look_back_s: float = 3_600.0
    by: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        if not _FASTEST_S <= self.refresh_s <= _SLOWEST_S:
            raise InvalidOption(
                f"refresh must be from {_FASTEST_S} to {_SLOWEST_S:.0f} seconds, "
                f"not {self.refresh_s!r}"
            )
        names = [*(each.name for each in THEMES), *BUILTIN_THEMES]
        if self.theme not in names:
            raise InvalidOption(
                f"there is no theme {clean(self.theme)!r}; choose one of: {', '.join(names)}"
            )
