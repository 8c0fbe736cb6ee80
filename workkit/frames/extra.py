"""Imports the libraries of the extra, or names the command that installs them."""

from __future__ import annotations

from workkit.errors import MissingExtra

__all__ = ["np", "pa", "pd"]

try:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
except ImportError:
    raise MissingExtra("workkit.frames", "pandas") from None
