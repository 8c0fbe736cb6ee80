"""A real Prometheus scrapes an exporter and workers under load, and answers the dashboard."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.observed.dashboard import filled, panels, variables
from benchmarks.observed.stack import Stack, observed
from tests.conftest import WaitUntil
from tests.ops.promtool import OPS, promtool, wanted

pytestmark = [pytest.mark.one_server, pytest.mark.slow]

#: Names that Prometheus itself adds to each series.
ADDED: Final = frozenset({"job", "instance", "le"})
#: Longer than the first replacement of a process and the first failures take.
LONGEST_S: Final = 100
NAMES: Final = frozenset({
    "workkit_up", "workkit_queue_jobs", "workkit_queue_latency_seconds", "workkit_queue_paused",
    "workkit_queue_running", "workkit_queue_limit", "workkit_jobs", "workkit_pools",
    "workkit_workers", "workkit_workers_busy", "workkit_lock_drift",
    "workkit_history_trimmed_total", "workkit_cron_last_run_timestamp_seconds",
    "workkit_executions_total", "workkit_run_seconds_bucket", "workkit_wait_seconds_bucket",
    "workkit_schedule_lateness_seconds_bucket", "workkit_enqueued_total",
    "workkit_pools_reaped_total", "workkit_redis_disruptions_total",
    "workkit_process_restarts_total",
})  # fmt: skip


def queries() -> list[str]:
    return [filled(query) for panel in panels() for query in panel.queries]


def rule_queries() -> list[str]:
    rules = yaml.safe_load((OPS / "prometheus" / "workkit.rules.yml").read_text("utf-8"))
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def scaling_queries() -> list[str]:
    scaled = yaml.safe_load((OPS / "kubernetes" / "scaledobject.yaml").read_text("utf-8"))
    return [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]


def named(query: str) -> set[str]:
    """Return the metrics that a query names."""
    return set(re.findall(r"\bworkkit_\w+", query))


def labels(query: str) -> set[str]:
    """Return the labels that a query names."""
    selected = re.findall(r"\{([^}]*)\}", query)
    found = {name for part in selected for name in re.findall(r"(\w+)\s*[=!]", part)}
    grouped = re.findall(r"\b(?:by|on|ignoring|without) \(([^)]*)\)", query)
    return found | {name.strip() for part in grouped for name in part.split(",") if name.strip()}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    wanted("prometheus", "prometheus")
    with observed(tmp_path_factory.mktemp("observed"), per_s=100) as running:
        yield running


def exported(address: str) -> dict[str, set[str]]:
    """Return what an address exports: metric → its labels."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        if not family.samples:  # such as of broken keys, where none is broken
            found.setdefault(family.name, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def answered(stack: Stack, query: str) -> list[dict[str, Any]]:
    return [each for each in stack.prometheus.query(query) if each["value"][1] != "NaN"]


@pytest.mark.timeout(2 * LONGEST_S)
def test_prometheus_answers_each_query_of_the_dashboard_with_data(
    stack: Stack, wait_until: WaitUntil
) -> None:
    empty = [*queries()]

    def all_answered() -> bool:
        empty[:] = [query for query in empty if not answered(stack, query)]
        return not empty

    try:
        wait_until(all_answered, timeout_s=LONGEST_S)
    finally:
        assert empty == []
    assert {each["health"] for each in stack.prometheus.targets()} == {"up"}


def test_dashboard_rules_and_scaling_name_only_what_is_exported(
    stack: Stack, wait_until: WaitUntil
) -> None:
    def everything() -> dict[str, set[str]]:
        return exported(stack.exporter) | exported(stack.worker)

    wait_until(lambda: set(everything()) >= NAMES, timeout_s=LONGEST_S)
    has = everything()
    for query in [*queries(), *rule_queries(), *scaling_queries(), *variables().values()]:
        used = named(query)
        assert used <= set(has), query
        known = ADDED.union(*(has[name] for name in used))
        assert labels(filled(query)) <= known, query


def test_the_dashboard_shows_each_metric() -> None:
    shown = set().union(*(named(query) for query in queries()))
    assert shown == NAMES


def test_prometheus_evaluates_each_rule_and_each_query_of_the_scaling(
    stack: Stack, wait_until: WaitUntil
) -> None:
    rules = wait_until(
        lambda: [r for r in stack.prometheus.rules() if r["health"] != "unknown"], timeout_s=30
    )
    assert {rule["health"] for rule in rules} == {"ok"}
    wait_until(lambda: all(answered(stack, each) for each in scaling_queries()), timeout_s=30)


def test_promtool_reads_each_query(tmp_path: Path) -> None:
    rules = [{"record": f"query:{n}", "expr": each} for n, each in enumerate(queries())]
    group = {"groups": [{"name": "dashboard", "rules": rules}]}
    (tmp_path / "queries.yml").write_text(yaml.safe_dump(group), "utf-8")
    promtool("check", "rules", "queries.yml", folder=tmp_path)
