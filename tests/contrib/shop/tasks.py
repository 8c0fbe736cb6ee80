"""The tasks of the app."""

from __future__ import annotations

import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection, connections

from workkit import Fail
from workkit.contrib.django import api

try:
    from django.tasks import task
except ModuleNotFoundError:
    from django_tasks import task

#: What the tasks have seen.
seen: list[Any] = []


@task
def send_email(address: str, subject: str = "hi") -> str:
    seen.append((address, subject))
    return f"{subject} to {address}"


@task
async def send_later(address: str) -> None:
    seen.append(address)


@task
def refuse(why: str) -> None:
    raise Fail(why)


@task
def fail(why: str) -> None:
    raise ValueError(why)


@task(takes_context=True)
def tell_context(context: api.TaskContext, page: int) -> None:
    seen.append((context.task_result.id, context.attempt, page))


@task
def query() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        seen.append((cursor.fetchone(), connections["default"]))


@task
async def query_later() -> None:
    await sync_to_async(query.func)()


@task
def return_a_function() -> object:
    return query


def _misnamed() -> None: ...


misnamed = task(_misnamed)
another_day = send_email.using(run_after=datetime.datetime(2050, 1, 1, tzinfo=datetime.UTC))
not_a_task = 7
