"""The alert rules are valid, and each has a case."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.ops.promtool import OPS, promtool

CASES = ("workkit.test.yml", "workkit.weeks.test.yml")


def load(name: str) -> Any:
    return yaml.safe_load((OPS / "prometheus" / name).read_text("utf-8"))


def alerts() -> list[dict[str, Any]]:
    return [rule for group in load("workkit.rules.yml")["groups"] for rule in group["rules"]]


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    promtool("check", "rules", "workkit.rules.yml")
    promtool("check", "config", "prometheus.yml")


@pytest.mark.parametrize("cases", CASES)
def test_each_alert_fires_when_it_should_and_only_then(cases: str) -> None:
    promtool("test", "rules", cases)


def test_each_alert_has_a_case_in_which_it_fires() -> None:
    tests = [test for cases in CASES for test in load(cases)["tests"]]
    played = {
        case["alertname"]
        for test in tests
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert played == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_each_alert_says_how_urgent_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description"}


def test_the_manual_names_each_alert() -> None:
    manual = (OPS / "README.md").read_text("utf-8")
    assert [rule["alert"] for rule in alerts() if f"`{rule['alert']}`" not in manual] == []
