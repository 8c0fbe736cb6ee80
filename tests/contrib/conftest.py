"""A site of Django, whose tasks go to the tests' server in the test's namespace."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

APP = "tests.contrib.shop"


@pytest.fixture(scope="session")
def _django(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Configure Django once a process; it cannot be configured again."""
    import django
    from django.conf import settings

    def database(name: str) -> dict[str, Any]:
        folder: Path = tmp_path_factory.mktemp(name)
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}

    zone = os.environ.get("TZ")
    settings.configure(
        INSTALLED_APPS=["workkit.contrib.django", APP],
        DATABASES={"default": database("default"), "other": database("other")},
        USE_TZ=True,
        TIME_ZONE="UTC",
    )
    django.setup()
    _set_zone(zone)


def _set_zone(name: str | None) -> None:
    """Set the zone of this process. Django sets it to that of its settings."""
    if name is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = name
    time.tzset()


@pytest.fixture(autouse=True)
def _zone_as_before() -> Iterator[None]:
    """Restore the zone of this process after each test."""
    zone = os.environ.get("TZ")
    yield
    _set_zone(zone)


@pytest.fixture
def site(_django: None, redis_url: str, namespace: str) -> Iterator[Callable[..., Any]]:
    """A function that sets the backend's OPTIONS, and QUEUES as `queues`."""
    from django.db import connections
    from django.test import override_settings

    active: list[Any] = []

    def configure(queues: list[str] | None = None, **options: Any) -> None:
        while active:
            active.pop().disable()
        backend = {
            "BACKEND": "workkit.contrib.django.WorkkitBackend",
            "QUEUES": ["default", "mail"] if queues is None else queues,
            "OPTIONS": {"NAMESPACE": namespace, "URL": redis_url, **options},
        }
        active.append(override_settings(TASKS={"default": backend}))
        active[-1].enable()

    configure()
    from tests.contrib.shop import tasks  # its tasks are checked by the backend

    tasks.seen.clear()
    yield configure
    while active:
        active.pop().disable()
    connections.close_all()
    from workkit.contrib.django.backend import _enqueuer

    _enqueuer(namespace, redis_url).close()
