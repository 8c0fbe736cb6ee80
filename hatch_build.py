"""Gives packages a README whose links and pictures also work on a package index."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

__all__ = ["ReadmeHook"]

_LINK = re.compile(r"(!?)(\[[^\]]*\])\((?![a-z]+:|#)([^)\s]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Makes the relative links of README.md absolute.

    A package index shows the README without the other files.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme of a package."""
        source = metadata["urls"]["Source"]

        def absolute(match: re.Match[str]) -> str:
            picture, text, path = match.groups()
            folder = "raw" if picture else "blob"
            return f"{picture}{text}({source}/{folder}/main/{path})"

        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": _LINK.sub(absolute, readme),
        }
