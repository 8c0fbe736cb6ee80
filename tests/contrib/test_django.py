"""Django's Tasks run as jobs of workkit."""

from __future__ import annotations

import asyncio
import datetime
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.telemetry.scraping import get, scrape, served_at
from workkit import Client, Enqueuer, Fail, InvalidArgs, MissingExtra
from workkit.telemetry.otel import Tracing

api = pytest.importorskip(
    "workkit.contrib.django.api",
    reason="needs Django 6, or django-tasks with an older Django",
    exc_type=MissingExtra,  # another failed import is an error
)

pytestmark = pytest.mark.one_server

Site = Callable[..., Any]


@pytest.fixture
def tasks(site: Site) -> Any:
    from tests.contrib.shop import tasks

    return tasks


@pytest.fixture
def client(redis_url: str, namespace: str) -> Any:
    with Client(namespace, redis_url) as client:
        yield client


def work(*options: str) -> None:
    """Run what is enqueued, with the command."""
    from django.core.management import call_command

    call_command("workkit_worker", "--drain", "--concurrency", "2", *options)


def waiting(client: Client) -> dict[str, int]:
    return {queue.job_name: queue.count for queue in client.queues() if queue.count}


# Enqueuing.


def test_a_task_is_a_job_named_by_its_path_with_its_arguments(tasks: Any, client: Client) -> None:
    result = tasks.send_email.enqueue("a@example.com", subject="hello")
    assert (result.status, result.is_finished) == (api.TaskResultStatus.READY, False)
    assert result.enqueued_at is not None
    (job,) = client.queued_jobs("tests.contrib.shop.tasks.send_email").jobs
    assert job.job.id == result.id
    assert job.job.args == {"args": ["a@example.com"], "kwargs": {"subject": "hello"}}


def test_a_task_of_a_transaction_is_sent_once_when_it_is_traced(tasks: Any, client: Client) -> None:
    from django.db import transaction

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracing = Tracing(provider)
    tracing.instrument()
    try:
        with transaction.atomic():
            result = tasks.send_email.enqueue("a@example.com", subject="hello")
            assert spans.get_finished_spans() == ()
        work()
    finally:
        tracing.uninstrument()
    name = "tests.contrib.shop.tasks.send_email"
    send, process = spans.get_finished_spans()
    assert (send.name, process.name) == (f"send {name}", f"process {name}")
    assert send.attributes is not None
    assert send.attributes["messaging.message.id"] == result.id
    assert send.context is not None
    assert [link.context.span_id for link in process.links] == [send.context.span_id]


def test_another_queue_is_a_part_of_the_name(tasks: Any, client: Client) -> None:
    result = tasks.send_email.using(queue_name="mail").enqueue("a@example.com")
    assert waiting(client) == {"tests.contrib.shop.tasks.send_email@mail": 1}
    assert tasks.send_email.get_result(result.id) == result


def test_run_after_schedules_the_job(tasks: Any, client: Client) -> None:
    when = datetime.datetime(2050, 1, 1, 12, tzinfo=datetime.UTC)
    result = tasks.send_email.using(run_after=when).enqueue("a@example.com")
    (scheduled,) = client.scheduled_jobs().jobs
    assert (scheduled.run_at, scheduled.job.id) == (int(when.timestamp()), result.id)
    assert tasks.send_email.get_result(result.id).status == api.TaskResultStatus.READY


def test_a_naive_run_after_is_in_the_zone_of_the_settings(site: Site, client: Client) -> None:
    from django.test import override_settings

    from tests.contrib.shop import tasks

    with override_settings(USE_TZ=False, TIME_ZONE="Asia/Tokyo"):
        naive = datetime.datetime(2050, 1, 1, 12)  # noqa: DTZ001 - without USE_TZ, times have none
        tasks.send_email.using(run_after=naive).enqueue("a@example.com")
    (scheduled,) = client.scheduled_jobs().jobs
    when = datetime.datetime(2050, 1, 1, 3, tzinfo=datetime.UTC)
    assert scheduled.run_at == int(when.timestamp())


def test_a_task_is_enqueued_from_asyncio(tasks: Any) -> None:
    result = asyncio.run(tasks.send_later.aenqueue("a@example.com"))
    work()
    assert tasks.seen == ["a@example.com"]
    found = asyncio.run(tasks.send_later.aget_result(result.id))
    assert found.status == api.TaskResultStatus.SUCCESSFUL


def test_threads_share_an_enqueuer_and_each_result_has_the_id_of_its_job(
    tasks: Any, client: Client
) -> None:
    made: dict[str, str] = {}

    def enqueue(at: int) -> None:
        for number in range(20):
            address = f"{at}.{number}@example.com"
            made[tasks.send_email.enqueue(address).id] = address

    threads = [threading.Thread(target=enqueue, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 160
    for job_id, address in made.items():
        found = client.find(job_id)
        assert found is not None
        assert found.job.args == {"args": [address], "kwargs": {}}


# Transactions.


@pytest.mark.parametrize("database", ["default", "other"])
def test_a_rollback_enqueues_nothing(tasks: Any, client: Client, database: str) -> None:
    from django.db import transaction

    with pytest.raises(ZeroDivisionError), transaction.atomic(using=database):
        tasks.send_email.enqueue("a@example.com")
        raise ZeroDivisionError
    assert waiting(client) == {}
    with transaction.atomic(using=database):
        result = tasks.send_email.enqueue("b@example.com")
        assert result.enqueued_at is None
        assert waiting(client) == {}
    assert result.enqueued_at is not None
    assert sum(waiting(client).values()) == 1


@pytest.mark.parametrize(("outer", "inner"), [("default", "other"), ("other", "default")])
def test_of_two_transactions_both_must_be_committed(
    tasks: Any, client: Client, outer: str, inner: str
) -> None:
    from django.db import transaction

    with pytest.raises(ZeroDivisionError), transaction.atomic(using=outer):
        with transaction.atomic(using=inner):
            tasks.send_email.enqueue("a@example.com")
        raise ZeroDivisionError
    assert waiting(client) == {}
    with transaction.atomic(using=outer):
        with transaction.atomic(using=inner):
            tasks.send_email.enqueue("a@example.com")
        assert waiting(client) == {}
    assert sum(waiting(client).values()) == 1


def test_tests_of_django_run_what_waits_for_the_commit(tasks: Any, client: Client) -> None:
    from django.db import transaction
    from django.test import TestCase

    with transaction.atomic():
        with TestCase.captureOnCommitCallbacks(execute=True):
            tasks.send_email.enqueue("a@example.com")
        assert sum(waiting(client).values()) == 1
        transaction.set_rollback(True)  # as a TestCase does


def test_a_rolled_back_savepoint_enqueues_nothing(tasks: Any, client: Client) -> None:
    from django.db import transaction

    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            tasks.send_email.enqueue("a@example.com")
            raise ZeroDivisionError
        tasks.send_email.enqueue("b@example.com")
    assert sum(waiting(client).values()) == 1


def test_the_option_turns_waiting_for_the_commit_off(site: Site, client: Client) -> None:
    from django.db import transaction

    from tests.contrib.shop import tasks

    site(ENQUEUE_ON_COMMIT=False)
    with transaction.atomic():
        tasks.send_email.enqueue("a@example.com")
        assert sum(waiting(client).values()) == 1


def test_errors_of_the_caller_are_raised_before_the_commit(tasks: Any) -> None:
    from django.db import transaction

    with transaction.atomic():
        with pytest.raises(InvalidArgs):
            tasks.send_email.enqueue(float("nan"))
        with pytest.raises(InvalidArgs, match="max_job_bytes"):
            tasks.send_email.enqueue("x" * 2_000_000)
        with pytest.raises(TypeError):
            tasks.send_email.enqueue(object())


def test_manual_transaction_management_is_refused_by_django(tasks: Any, client: Client) -> None:
    from django.db import transaction

    transaction.set_autocommit(False)
    try:
        with pytest.raises(transaction.TransactionManagementError):
            tasks.send_email.enqueue("a@example.com")
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    assert waiting(client) == {}


# What is refused.


def test_a_task_that_a_worker_could_not_find_is_refused(
    tasks: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(api.InvalidTask, match="need the same name"):
        tasks.misnamed.enqueue()
    monkeypatch.setattr(tasks.query.func, "__module__", "__main__")
    with pytest.raises(api.InvalidTask, match="is in a script"):
        tasks.query.enqueue()
    assert waiting(client) == {}


def test_a_priority_is_refused_by_django(tasks: Any) -> None:
    with pytest.raises(api.InvalidTask, match="priority"):
        tasks.send_email.using(priority=10)


def test_an_unknown_queue_is_refused_by_django(tasks: Any) -> None:
    with pytest.raises(api.InvalidTask, match="Queue 'elsewhere' is not valid"):
        tasks.send_email.using(queue_name="elsewhere")


def test_a_queue_that_redis_cannot_name_is_refused_as_an_invalid_task(site: Site) -> None:
    from tests.contrib.shop import tasks

    site(queues=[])
    with pytest.raises(api.InvalidTask, match="comma"):
        tasks.send_email.using(queue_name="a,b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"NAMESPCE": "x"}, "has no 'NAMESPCE'"),
        ({"URL": 7}, "URL must be"),
        ({"URL": "http://localhost"}, "redis://"),
        ({"NAMESPACE": 7}, "namespace"),
        ({"ENQUEUE_ON_COMMIT": "yes"}, "ENQUEUE_ON_COMMIT must be"),
        ({"JOB_OPTIONS": {"max_fails": 1}}, "JOB_OPTIONS maps queues"),
        ({"JOB_OPTIONS": {"mial": {"max_fails": 1}}}, "'mial', QUEUES does not"),
        ({"JOB_OPTIONS": {"mail": {"max_fail": 1}}}, "max_fail"),
    ],
)
def test_a_wrong_option_of_the_backend_is_named(
    site: Site, options: dict[str, Any], message: str
) -> None:
    site(**options)
    with pytest.raises(api.InvalidTaskBackend, match=message):
        api.task_backends["default"]


# Running.


def test_the_command_runs_tasks_of_all_queues(tasks: Any) -> None:
    tasks.send_email.enqueue("a@example.com")
    tasks.send_email.using(queue_name="mail").enqueue("b@example.com", subject="post")
    work()
    assert sorted(tasks.seen) == [("a@example.com", "hi"), ("b@example.com", "post")]


def command_program(redis_url: str, namespace: str, *options: str) -> str:
    """Return a program that runs the command with some options."""
    return (
        "import django; from django.conf import settings\n"
        "from django.core.management import call_command\n"
        "settings.configure(\n"
        "    INSTALLED_APPS=['workkit.contrib.django', 'tests.contrib.shop'],\n"
        "    TASKS={'default': {'BACKEND': 'workkit.contrib.django.WorkkitBackend',\n"
        f"        'OPTIONS': {{'NAMESPACE': {namespace!r}, 'URL': {redis_url!r}}}}}}},\n"
        ")\n"
        f"django.setup(); call_command('workkit_worker', *{options!r})\n"
    )


def test_the_command_runs_until_a_signal(
    tasks: Any, client: Client, redis_url: str, namespace: str, wait_until: Any
) -> None:
    program = command_program(redis_url, namespace, "--concurrency", "3")
    result = tasks.send_later.enqueue("a@example.com")
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True
    ) as worker:
        try:
            wait_until(lambda: client.job_history(result.id))
            (pool,) = client.worker_pool_heartbeats()
            assert pool.concurrency == 3
            worker.send_signal(signal.SIGTERM)
            shown, _ = worker.communicate(timeout=60)
        finally:
            worker.kill()
    assert worker.returncode == 0
    assert "tests.contrib.shop.tasks.send_later" in shown
    assert tasks.send_later.get_result(result.id).status == api.TaskResultStatus.SUCCESSFUL


def test_the_command_serves_metrics_and_health(
    tasks: Any, client: Client, redis_url: str, namespace: str, wait_until: Any
) -> None:
    program = command_program(redis_url, namespace, "--metrics-port", "0")
    result = tasks.send_later.enqueue("a@example.com")
    with subprocess.Popen(
        [sys.executable, "-u", "-c", program],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True,
    ) as worker:  # fmt: skip
        try:
            assert worker.stdout is not None
            base = next(filter(None, map(served_at, worker.stdout)))
            wait_until(lambda: get(f"{base}/readyz")[0] == 200)
            assert get(f"{base}/livez")[0] == 200
            wait_until(lambda: client.job_history(result.id))
            ran = {"queue": "tests.contrib.shop.tasks.send_later", "outcome": "done"}
            wait_until(lambda: scrape(base).of("workkit_executions_total", **ran) == 1)
            worker.send_signal(signal.SIGTERM)
            worker.communicate(timeout=60)
        finally:
            worker.kill()
    assert worker.returncode == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--metrics-host", "127.0.0.2"], "has no effect without a port; add --metrics-port"),
        (["--metrics-port", "65536"], "'65536' is not a port from 0 to 65535"),
        (["--metrics-port", "http"], "'http' is not a port from 0 to 65535"),
        (["--metrics-port", "-1"], "--metrics-port"),
        (["--metrics-port", "0", "--metrics-host", "nowhere.invalid"], "cannot be served on"),
    ],
)
def test_the_command_refuses_an_address_for_metrics_that_cannot_be(
    site: Site, options: list[str], says: str
) -> None:
    from django.core.management import CommandError

    with pytest.raises(CommandError, match=re.escape(says)):
        work(*options)


def test_the_command_names_a_port_that_is_in_use(site: Site) -> None:
    from django.core.management import CommandError

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=rf"127\.0\.0\.1:{port}: address already in use"):
            work("--metrics-port", str(port))


def test_the_command_runs_only_the_queues_that_it_is_given(tasks: Any, client: Client) -> None:
    tasks.send_email.enqueue("a@example.com")
    tasks.send_email.using(queue_name="mail").enqueue("b@example.com")
    work("--queue", "mail")
    assert tasks.seen == [("b@example.com", "hi")]
    assert waiting(client) == {"tests.contrib.shop.tasks.send_email": 1}


def test_the_command_refuses_a_queue_that_the_settings_do_not_have(site: Site) -> None:
    from django.core.management import CommandError

    with pytest.raises(CommandError, match="does not have elsewhere"):
        work("--queue", "elsewhere")
    site(queues=[])
    with pytest.raises(CommandError, match="--queue NAME"):
        work()


def test_a_task_gets_its_context(tasks: Any) -> None:
    result = tasks.tell_context.enqueue(3)
    work()
    assert tasks.seen == [(result.id, 1, 3)]


def test_the_options_of_a_queue_are_those_of_its_jobs(site: Site, client: Client) -> None:
    from tests.contrib.shop import tasks

    site(JOB_OPTIONS={"default": {"max_fails": 1}})
    tasks.fail.enqueue("once")
    tasks.fail.using(queue_name="mail").enqueue("again")
    work()
    assert [each.job.name for each in client.dead_jobs().jobs] == ["tests.contrib.shop.tasks.fail"]
    assert [each.job.fails for each in client.retry_jobs().jobs] == [1]


def test_old_connections_to_databases_are_closed_around_each_job(
    tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db.backends.base.base import BaseDatabaseWrapper

    closed: list[Any] = []

    def close(connection: Any) -> None:
        closed.append(connection)
        plain(connection)

    plain = BaseDatabaseWrapper.close
    monkeypatch.setattr(BaseDatabaseWrapper, "close", close)
    tasks.query.enqueue()
    tasks.query_later.enqueue()
    work()
    assert [row for row, _ in tasks.seen] == [(1,), (1,)]
    # CONN_MAX_AGE is 0, so a connection is old as soon as its job has ended.
    assert {id(connection) for _, connection in tasks.seen} <= {id(each) for each in closed}


def test_receivers_hear_of_the_start_and_of_each_end(site: Site) -> None:
    from tests.contrib.shop import tasks

    heard: list[tuple[str, str]] = []

    def on_start(task_result: Any, **_: Any) -> None:
        heard.append(("started", task_result.task.name))

    def on_finish(task_result: Any, **_: Any) -> None:
        heard.append((str(task_result.status), task_result.task.name))

    api.task_started.connect(on_start)
    api.task_finished.connect(on_finish)
    try:
        for call in (tasks.send_email, tasks.send_later, tasks.refuse):
            call.enqueue("x")
        work()
    finally:
        api.task_started.disconnect(on_start)
        api.task_finished.disconnect(on_finish)
    assert sorted(heard) == sorted(
        [
            ("started", "send_email"),
            ("SUCCESSFUL", "send_email"),
            ("started", "send_later"),
            ("SUCCESSFUL", "send_later"),
            ("started", "refuse"),
            ("FAILED", "refuse"),
        ]
    )


def test_a_return_value_without_a_json_form_is_dead_at_once(tasks: Any, client: Client) -> None:
    tasks.return_a_function.enqueue()
    work()
    (dead,) = client.dead_jobs().jobs
    assert "the return value has no JSON form" in dead.job.last_err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"address": "a@example.com"}, 'the args of a task are {"args"'),
        ({"args": "a@example.com"}, 'the args of a task are {"args"'),
        ({"args": []}, "missing a required argument: 'address'"),
        (None, "missing a required argument: 'address'"),
        ({"args": ["a"], "kwargs": {"subjct": "b"}}, "unexpected keyword argument 'subjct'"),
    ],
)
@pytest.mark.parametrize("name", ["send_email", "send_later"])
def test_arguments_that_do_not_fit_are_dead_at_once(
    tasks: Any,
    client: Client,
    redis_url: str,
    namespace: str,
    name: str,
    args: dict[str, Any] | None,
    message: str,
) -> None:
    with Enqueuer(namespace, redis_url) as enqueuer:
        enqueuer.enqueue(f"tests.contrib.shop.tasks.{name}", args)
    work()
    (dead,) = client.dead_jobs().jobs
    assert message in dead.job.last_err
    assert tasks.seen == []


def test_another_program_may_enqueue_a_task(tasks: Any, redis_url: str, namespace: str) -> None:
    with Enqueuer(namespace, redis_url) as enqueuer:
        enqueuer.enqueue("tests.contrib.shop.tasks.send_later", {"args": ["a@example.com"]})
        enqueuer.enqueue(
            "tests.contrib.shop.tasks.send_email@mail", {"kwargs": {"address": "b@example.com"}}
        )
    work()
    assert sorted(tasks.seen, key=str) == [("b@example.com", "hi"), "a@example.com"]


# Results.


def test_a_finished_task_is_read_from_history_without_its_return_value(tasks: Any) -> None:
    result = tasks.send_email.enqueue("a@example.com", subject="hello")
    work()
    found = tasks.send_email.get_result(result.id)
    assert found.status == api.TaskResultStatus.SUCCESSFUL
    assert (found.args, found.kwargs) == (["a@example.com"], {"subject": "hello"})
    assert found.enqueued_at <= found.finished_at
    assert found.started_at <= found.finished_at
    assert (found.attempts, found.errors) == (1, [])
    with pytest.raises(NotImplementedError, match="does not keep return values"):
        _ = found.return_value
    result.refresh()
    assert result.status == api.TaskResultStatus.SUCCESSFUL


def test_a_failed_task_has_its_errors(tasks: Any) -> None:
    result = tasks.fail.enqueue("no route")
    work()
    found = tasks.fail.get_result(result.id)
    assert (found.status, found.attempts) == (api.TaskResultStatus.READY, 1)  # it will be retried
    assert found.errors[0].exception_class is ValueError
    assert "no route" in found.errors[0].traceback
    dead = tasks.refuse.enqueue("gone")
    work()
    found = tasks.refuse.get_result(dead.id)
    assert (found.status, found.is_finished) == (api.TaskResultStatus.FAILED, True)
    assert found.finished_at is not None
    assert found.errors[0].exception_class is Fail
    trace = found.errors[0].traceback
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith("Fail: gone\n")
    with pytest.raises(ValueError, match="failed"):
        _ = found.return_value


def test_a_result_of_another_task_or_of_none_is_refused(
    tasks: Any, redis_url: str, namespace: str
) -> None:
    with pytest.raises(api.TaskResultDoesNotExist):
        tasks.send_email.get_result("0" * 24)
    with Enqueuer(namespace, redis_url) as enqueuer:
        for name in ("plain", "tests.contrib.shop.tasks.not_a_task", "tests.nowhere.task"):
            job = enqueuer.enqueue(name)
            with pytest.raises(api.TaskResultDoesNotExist, match="is not a task"):
                tasks.send_email.get_result(job.id)
