"""Units, manifests and images: valid for their tools, and true to the command line."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from tests.ops.promtool import OPS, wanted
from workkit.tools.cli.app import cli

UNITS = sorted((OPS / "systemd").glob("*.service"))
WORKKIT = "/srv/shop/venv/bin/workkit"
#: What a stop of a worker may take beyond its timeout, seconds.
STOP_S = 2
KUBERNETES = "1.31"


def documents(name: str) -> list[dict[str, Any]]:
    text = (OPS / "kubernetes" / name).read_text("utf-8")
    return [document for document in yaml.safe_load_all(text) if document]


def all_documents() -> list[dict[str, Any]]:
    files = sorted((OPS / "kubernetes").glob("*.yaml"))
    return [document for file in files for document in documents(file.name)]


def container(document: dict[str, Any]) -> dict[str, Any]:
    (found,) = document["spec"]["template"]["spec"]["containers"]
    return dict(found)


def settings(unit: Path) -> dict[str, str]:
    lines = unit.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def dockerfile() -> dict[str, str]:
    """Return the instructions, by their first word; the last of each counts."""
    text = (OPS / "container" / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(maxsplit=1) for line in lines)


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((OPS / "container" / "compose.yaml").read_text("utf-8"))
    return loaded


def command_lines() -> list[list[str]]:
    """Return all command lines of workkit that the files have."""
    found = [shlex.split(settings(unit)["ExecStart"]) for unit in UNITS]
    found += [
        container(each).get("args", []) for each in all_documents() if each["kind"] == "Deployment"
    ]
    image = dockerfile()
    found.append(json.loads(image["CMD"]))
    found.append(json.loads(image["HEALTHCHECK"].partition("CMD ")[2]))
    found += [
        each["command"]
        for name, each in compose()["services"].items()
        if "command" in each and name != "redis"
    ]
    return [[*args] for args in found]


def options(args: list[str]) -> dict[str, Any]:
    """Parse a command line of workkit as workkit does, without running it."""
    program, name, *rest = args
    assert program in {"workkit", WORKKIT}
    context = click.Context(cli, info_name="workkit")
    command = cli.get_command(context, name)
    assert command is not None
    return dict(command.make_context(name, rest, parent=context).params)


@pytest.mark.parametrize("args", command_lines(), ids=" ".join)
def test_each_command_line_is_one_that_workkit_understands(args: list[str]) -> None:
    assert options(args) is not None


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_systemd_accepts_a_unit(unit: Path, tmp_path: Path) -> None:
    program = wanted("systemd-analyze", "systemd", required=False)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text("utf-8").replace(WORKKIT, "/bin/true"), "utf-8")
    done = subprocess.run(
        [program, "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_services_have_time_to_stop_and_are_started_again_as_the_exit_codes_say() -> None:
    for unit in UNITS:
        has = settings(unit)
        assert has["Restart"] == "on-failure"  # so also after 69, 70 and 75
        assert has["RestartPreventExitStatus"] == "2"
    worker = settings(OPS / "systemd" / "workkit-worker.service")
    timeout_s = options(shlex.split(worker["ExecStart"]))["timeout"]
    assert int(worker["TimeoutStopSec"]) > timeout_s + STOP_S
    assert (worker["Type"], worker["NotifyAccess"]) == ("notify", "main")


@pytest.mark.parametrize(
    "document",
    [each for each in all_documents() if each["kind"] != "ScaledObject"],
    ids=lambda each: f"{each['kind']} {each['metadata']['name']}",
)
def test_kubernetes_accepts_a_manifest(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_probes_ask_a_port_that_the_container_serves_and_stops_have_time() -> None:
    for document in all_documents():
        if document["kind"] != "Deployment":
            continue
        runs, given = container(document), options(container(document)["args"])
        (port,) = runs["ports"]
        assert port["containerPort"] == given.get("metrics_port", given.get("port"))
        assert given.get("metrics_host", given.get("host")) == "0.0.0.0"  # noqa: S104 - the probes come from outside
        for kind, path in (("livenessProbe", "/livez"), ("startupProbe", "/livez")):
            probe = runs.get(kind, {"httpGet": {"path": path, "port": port["name"]}})
            assert probe["httpGet"] == {"path": path, "port": port["name"]}
        grace_s = document["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30)
        assert grace_s > given.get("timeout", 0) + STOP_S
    assert container(documents("worker.yaml")[1])["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_scaled_object_scales_the_workers_and_never_to_none() -> None:
    (scaled,) = documents("scaledobject.yaml")
    deployment = documents("worker.yaml")[1]
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert 1 <= scaled["spec"]["minReplicaCount"] < scaled["spec"]["maxReplicaCount"]
    for trigger in scaled["spec"]["triggers"]:
        assert set(trigger["metadata"]) == {"serverAddress", "query", "threshold"}
        assert float(trigger["metadata"]["threshold"]) > 0


def test_the_container_gets_more_time_than_the_worker_takes_to_stop() -> None:
    timeout_s = options(json.loads(dockerfile()["CMD"]))["timeout"]
    grace_s = int(compose()["services"]["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > timeout_s + STOP_S
    text = (OPS / "container" / "Dockerfile").read_text("utf-8")
    (said,) = re.findall(r"--stop-timeout (\d+)", text)
    assert int(said) > timeout_s + STOP_S


def test_compose_scrapes_with_the_names_that_the_rules_expect() -> None:
    scrapes = yaml.safe_load(compose()["configs"]["prometheus"]["content"])["scrape_configs"]
    assert [each["job_name"] for each in scrapes] == ["workkit", "workkit-worker"]
    asked = [name for each in scrapes for dns in each["dns_sd_configs"] for name in dns["names"]]
    assert set(asked) <= set(compose()["services"])
