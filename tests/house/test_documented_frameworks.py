"""The examples of docs/frameworks.md run as they stand."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from workkit import Client, Job, WorkerPool

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
URL = "redis://localhost:6379"

pytestmark = pytest.mark.one_server

Section = Callable[[str], dict[str, Any]]


@pytest.fixture
def section(redis_url: str, namespace: str) -> Iterator[Section]:
    """Run the examples of a section as one module, on the tests' server; return its names."""
    module = ModuleType("documented_example")
    sys.modules[module.__name__] = module  # FastAPI looks annotations up there

    def run(title: str) -> dict[str, Any]:
        text = PAGE.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        for code in BLOCK.findall(text):
            placed = code.replace(URL, redis_url).replace('"work"', repr(namespace))
            exec(compile(placed, title, "exec"), vars(module))  # noqa: S102 - our own documents
        return vars(module)

    yield run
    del sys.modules[module.__name__]
    if "tasks" in vars(module):
        module.tasks.close()


@pytest.fixture
def client(redis_url: str, namespace: str) -> Iterator[Client]:
    with Client(namespace, redis_url) as client:
        yield client


def test_requests_of_fastapi_enqueue_from_the_loop_and_from_threads(
    section: Section, client: Client, wait_until: Any
) -> None:
    pytest.importorskip("fastapi", reason="needs FastAPI")
    from fastapi.testclient import TestClient

    names = section("FastAPI and Starlette")
    names["test_a_welcome_sends_a_mail"]()
    with TestClient(names["app"]) as http:  # its lifespan runs a pool
        welcome = http.post("/welcome/a@example.com")
        remind = http.post("/remind/b@example.com")
        assert (welcome.status_code, remind.status_code) == (202, 202)
        wait_until(lambda: client.job_history(welcome.json()["job"]))
    (record,) = client.job_history(welcome.json()["job"])
    assert (record.name, record.outcome) == ("send_email", "done")
    (scheduled,) = client.scheduled_jobs().jobs
    assert scheduled.job.id == remind.json()["job"]
    assert client.worker_pool_heartbeats() == []


def test_starlette_takes_the_same_lifespan_and_handlers(section: Section, client: Client) -> None:
    pytest.importorskip("starlette", reason="needs Starlette")
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    names = section("FastAPI and Starlette")

    async def welcome(request: Request) -> JSONResponse:
        return JSONResponse(await names["welcome"](request.path_params["address"]))

    routes = [Route("/welcome/{address}", welcome, methods=["POST"])]
    with TestClient(Starlette(routes=routes, lifespan=names["lifespan"])) as http:
        job_id = http.post("/welcome/a@example.com").json()["job"]
    found = client.find(job_id)
    assert found is not None
    assert found.place == "queued"


def test_requests_of_flask_enqueue_and_handlers_run_in_the_app(
    section: Section, client: Client
) -> None:
    pytest.importorskip("flask", reason="needs Flask")
    from flask import current_app

    names = section("Flask")
    names["test_a_welcome_sends_a_mail"]()
    http = names["create_app"]().test_client()
    answer = http.post("/welcome/a@example.com")
    assert answer.status_code == 202
    pool = names["make_pool"]()
    assert isinstance(pool, WorkerPool)
    seen: list[str] = []

    @pool.job
    def tell(job: Job) -> None:
        seen.append(current_app.name)

    from workkit import Enqueuer

    with Enqueuer(pool.spec.namespace, names["create_app"]().config["WORKKIT_URL"]) as enqueuer:
        enqueuer.enqueue("tell")
    pool.start()
    assert pool.drain(60).complete
    pool.stop()
    assert seen == ["shop"]
    assert [each.outcome for each in client.job_history(answer.get_json()["job"])] == ["done"]


def test_the_settings_of_django_are_accepted(section: Section) -> None:
    from workkit import MissingExtra

    pytest.importorskip(
        "workkit.contrib.django.api",
        reason="needs Django 6, or django-tasks with an older Django",
        exc_type=MissingExtra,
    )
    from workkit.contrib.django import WorkkitBackend

    names = section("Django")
    assert names["INSTALLED_APPS"] == ["workkit.contrib.django"]
    backend = WorkkitBackend("default", names["TASKS"]["default"])
    assert backend.settings.JOB_OPTIONS["mail"]["max_fails"] == 10
