"""Secrets: values of args that are not to be shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Any, Final

__all__ = ["HIDDEN", "Masks"]

#: What stands in the place of a secret.
HIDDEN: Final = "•••"


class Masks:
    """Hides values by the names of their keys.

    Args:
        patterns: Patterns of names, in any case; ``*`` stands for anything.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        joined = "|".join(translate(pattern.lower()) for pattern in patterns)
        self._secret = re.compile(joined) if joined else None

    def hide(self, value: Any) -> Any:
        """Return a copy in which secrets are hidden, however deep they are."""
        if self._secret is None:
            return value
        if isinstance(value, dict):
            return {
                key: HIDDEN if self._secret.match(str(key).lower()) else self.hide(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self.hide(inner) for inner in value]
        return value
