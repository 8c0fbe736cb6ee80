"""The queries of the Grafana dashboard, as Prometheus can answer them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.workers import ROOT

__all__ = ["DASHBOARD", "Panel", "filled", "panels", "variables"]

DASHBOARD: Final = ROOT / "docs" / "ops" / "grafana" / "workkit.json"
#: The choice "All" of each variable, and what Grafana makes of its interval at one scrape a second.
_VALUES: Final = {
    "$exporter": ".*", "$workers": ".*", "$queue": ".*", "$__rate_interval": "10s",
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """A panel of the dashboard.

    Attributes:
        title: Its title.
        kind: "stat" or "timeseries".
        unit: The unit of its values, as Grafana names it.
        queries: Query → the pattern of the names of its lines.
        width: Its width; the page is 24 wide.
        mapped: Value → the text that is shown instead.
    """

    title: str
    kind: str
    unit: str
    queries: Mapping[str, str]
    width: int
    mapped: Mapping[str, str]


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return document


def panels() -> list[Panel]:
    """Return all panels with queries, in the order of the page."""
    return [
        Panel(
            panel["title"],
            panel["type"],
            panel["fieldConfig"]["defaults"]["unit"],
            {target["expr"]: target["legendFormat"] for target in panel["targets"]},
            panel["gridPos"]["w"],
            {
                value: shown["text"]
                for mapping in panel["fieldConfig"]["defaults"].get("mappings", ())
                for value, shown in mapping["options"].items()
            },
        )
        for panel in _document()["panels"]
        if panel["type"] != "row"
    ]


def variables() -> dict[str, str]:
    """Return the queries of the variables."""
    listed = _document()["templating"]["list"]
    return {each["name"]: each["definition"] for each in listed if each["type"] == "query"}


def filled(query: str) -> str:
    """Return a query with values for the variables of the dashboard."""
    for name, value in _VALUES.items():
        query = query.replace(name, value)
    return query
