"""Errors and spans of jobs in Sentry.

    from workkit.telemetry.sentry import WorkkitIntegration

    sentry_sdk.init(dsn, integrations=[WorkkitIntegration()], traces_sample_rate=0.1)

needs the extra `sentry`. docs/telemetry.md lists what is sent.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from typing import Any, Final

from workkit.core import probes
from workkit.core.clock import epoch_ns
from workkit.core.job import Job, millis_of
from workkit.core.options import check_flag
from workkit.core.parents import parent_member
from workkit.core.probes import Ended, Incoming, Where
from workkit.core.secrets import SECRETS, without
from workkit.errors import MissingExtra
from workkit.snapshot.redaction import Redaction
from workkit.telemetry.tracing.members import fits, read_members

try:
    import sentry_sdk
    from sentry_sdk._types import AnnotatedValue
    from sentry_sdk.integrations import Integration
    from sentry_sdk.utils import event_from_exception, safe_repr
except ImportError:
    raise MissingExtra("workkit.telemetry.sentry", "sentry") from None

__all__ = ["WorkkitIntegration"]

_ORIGIN: Final = "auto.queue.workkit"
#: Members that carry a trace, and how long they may be, characters.
_CARRIED: Final = {"sentry-trace": 51, "baggage": 8_192}
_MILLIS: Final = 1_000
#: Values of this many levels are looked into for secrets.
_DEEPEST: Final = 30
#: Shorter numbers occur by chance.
_LEAST_DIGITS: Final = 4
_DESTINATION: Final = "messaging.destination.name"
_MESSAGE_ID: Final = "messaging.message.id"
#: The secret values of the job that runs in this context.
_SECRETS: Final[contextvars.ContextVar[frozenset[str]]] = contextvars.ContextVar(
    "workkit_secrets", default=frozenset()
)


class WorkkitIntegration(Integration):
    """Sends the errors of failed jobs, and spans ``queue.publish`` and ``queue.process``.

    Args:
        capture_retries: Whether the error of each failed try is sent. By default it is sent once:
            when the job is dead, or is dropped instead.
        redact: Patterns of names; the values of args with such names are sent nowhere.

    Raises:
        InvalidOption: `capture_retries` is not a bool.
    """

    identifier = "workkit"
    origin = _ORIGIN

    def __init__(self, *, capture_retries: bool = False, redact: Iterable[str] = SECRETS) -> None:
        check_flag("capture_retries", capture_retries)
        self.capture_retries = capture_retries
        self.redaction = Redaction(redact)

    @staticmethod
    def setup_once() -> None:
        """Watch all enqueuers of the process, and the pools that start from now on."""
        probes.attach(_PROBE)
        probes.add_trace_source(_active_ids)


class _SentryProbe:
    """Watches jobs for the integration of the current client, if it has one."""

    def sends(self, jobs: Sequence[Job], where: Where, *, many: bool) -> _Publishing | None:
        del where, many
        if sentry_sdk.get_client().get_integration(WorkkitIntegration) is None:
            return None
        return _Publishing(jobs)

    def runs(self, job: Incoming) -> _Processing | None:
        integration = sentry_sdk.get_client().get_integration(WorkkitIntegration)
        return None if integration is None else _Processing(integration, job)


_PROBE: Final = _SentryProbe()


class _Publishing:
    """One send: a span ``queue.publish`` in the transaction of the caller."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        names = {job.name for job in jobs}
        only = names.pop() if len(names) == 1 else ""
        self._span = None
        if not _streams():
            self._span = span = sentry_sdk.start_span(
                op="queue.publish", name=only or "workkit", origin=_ORIGIN
            )
            span.set_data("messaging.system", "workkit")
            if only:
                span.set_data(_DESTINATION, only)
            if len(jobs) == 1:
                span.set_data(_MESSAGE_ID, jobs[0].id)
            else:
                span.set_data("messaging.batch.message_count", len(jobs))
            span.set_data("messaging.message.body.size", sum(len(job.raw) for job in jobs))
        self._members = {
            name: text
            for name, text in _headers(self._span)
            if name in _CARRIED and len(text) <= _CARRIED[name] and fits(name, text)
        } | parent_member()

    def members(self, _at: int) -> Mapping[str, str]:
        return self._members

    def ended(self, error: BaseException | None, *, accepted: bool) -> None:
        del accepted
        if self._span is not None:
            self._span.set_status("ok" if error is None else "internal_error")
            self._span.finish()


def _headers(span: Any) -> Iterable[tuple[str, str]]:
    """Return what carries the trace of the caller.

    A span outside of a transaction is not sent. So there the job carries the trace of the scope,
    which the errors of the caller belong to.
    """
    if span is not None and span.containing_transaction is not None:
        found: Iterable[tuple[str, str]] = span.iter_headers()
        return found
    scope = sentry_sdk.get_current_scope()
    if span is None:
        return scope.iter_trace_propagation_headers()
    pairs = {"sentry-trace": scope.get_traceparent(), "baggage": _serialized(scope.get_baggage())}
    return [(name, text) for name, text in pairs.items() if text]


class _Processing:
    """One execution: a transaction ``queue.process``, and the error of a job that has failed."""

    def __init__(self, integration: WorkkitIntegration, job: Incoming) -> None:
        self._integration = integration
        self._job = job
        self._transaction: Any = None
        self._context: contextvars.Context | None = None

    def enter(self) -> ExitStack:
        """Give the handler scopes of its own, in which the transaction is the current span."""
        payload, raw = self._job.payload, self._job.raw
        stack = ExitStack()
        try:
            scope = stack.enter_context(sentry_sdk.isolation_scope())
            scope.clear_breadcrumbs()
            args, gone = self._integration.redaction.args(raw)
            about = {
                "id": payload.id, "name": payload.name, "attempt": payload.fails + 1, "args": args,
            }  # fmt: skip
            scope.add_event_processor(_processor(about, gone))
            _SECRETS.set(gone)
            if gone:
                _mask_records(sentry_sdk.get_client().options)
            if not _streams():
                self._transaction = self._start(read_members(raw, _CARRIED), about)
                sentry_sdk.get_current_scope().span = self._transaction
        except BaseException:
            stack.close()
            raise
        self._context = contextvars.copy_context()
        return stack

    def _start(self, headers: dict[str, str], about: Mapping[str, Any]) -> Any:
        job, payload = self._job, self._job.payload
        transaction = sentry_sdk.start_transaction(
            sentry_sdk.continue_trace(
                headers, op="queue.process", name=payload.name, source="task", origin=_ORIGIN
            ),
            custom_sampling_context={"workkit_job": about},
        )
        for name, value in (
            ("messaging.system", "workkit"),
            (_MESSAGE_ID, payload.id),
            (_DESTINATION, payload.name),
            ("messaging.message.retry.count", payload.fails),
            ("messaging.message.body.size", len(job.raw)),
        ):
            transaction.set_data(name, value)
        if payload.enqueued_at > 0:  # else it is unknown how long the job has waited
            since_ms = _MILLIS * payload.enqueued_at + max(millis_of(payload), 0)
            waited_ms = max(job.started_ms - since_ms, 0)
            transaction.set_data("messaging.message.receive.latency", waited_ms)
        return transaction

    def leave(self, entered: ExitStack | None) -> None:
        """Restore the scopes."""
        if entered is not None:
            entered.close()

    def ended(self, end: Ended) -> None:
        """Send the error and the transaction, with the scopes of the handler."""
        if self._context is not None:
            self._context.run(self._finish, end)

    def _finish(self, end: Ended) -> None:
        try:
            retried = end.outcome == "retry" and not self._integration.capture_retries
            if end.failed and end.error is not None and not retried:
                event, hint = event_from_exception(
                    end.error,
                    client_options=sentry_sdk.get_client().options,
                    mechanism={"type": "workkit", "handled": False},
                )
                sentry_sdk.capture_event(event, hint=hint)
        finally:
            if self._transaction is not None:
                self._transaction.set_data("workkit.outcome", end.outcome)
                self._transaction.set_status("internal_error" if end.failed else "ok")
                self._transaction.finish(end_timestamp=epoch_ns() / 1e9 - end.ago_s)


def _processor(about: Mapping[str, Any], gone: frozenset[str]) -> Callable[[Any, Any], Any]:
    """Return a function that adds the job to events, and removes its secrets everywhere."""

    def process(event: Any, _hint: Any) -> Any:
        if gone:
            event = _cleaned(event, gone, 0)
        event.setdefault("contexts", {})["workkit_job"] = dict(about)
        return event

    return process


def _mask_records(options: dict[str, Any]) -> None:
    """Let a client remove the secrets of jobs from logs, metrics and streamed spans, too.

    They do not pass event processors. So the options of the user for them get a step before.
    """
    for name in ("before_send_log", "before_send_metric", "before_send_span"):
        users = options.get(name) or options.get("_experiments", {}).get(name)
        if not isinstance(users, _Masking):
            options[name] = _Masking(users)


class _Masking:
    """Removes the secrets of the current job from a record, before the user's function sees it."""

    def __init__(self, users: Callable[[Any, Any], Any] | None) -> None:
        self._users = users

    def __call__(self, record: Any, hint: Any) -> Any:
        gone = _SECRETS.get()
        if gone:
            record = _cleaned(record, gone, 0)
        return record if self._users is None else self._users(record, hint)


def _cleaned(value: Any, gone: frozenset[str], depth: int) -> Any:
    """Return a part of an event without secret values, also where a repr holds them.

    The SDK writes objects as their repr, after all processors. So an object whose repr holds a
    secret is replaced by its repr.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return without(value, gone)
    if isinstance(value, (int, float)):
        text = str(value)
        return "[redacted]" if len(text) >= _LEAST_DIGITS and text in gone else value
    if isinstance(value, AnnotatedValue):
        return AnnotatedValue(_cleaned(value.value, gone, depth + 1), value.metadata)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {
            without(key, gone) if isinstance(key, str) else key: _cleaned(inner, gone, depth + 1)
            for key, inner in value.items()
        }
    if depth < _DEEPEST and isinstance(value, (list, tuple, AbstractSet, deque)):
        return [_cleaned(inner, gone, depth + 1) for inner in value]
    text = safe_repr(value)
    clean = without(text, gone)
    return value if clean == text else clean


def _serialized(baggage: Any) -> str | None:
    """Return baggage as text; versions of the SDK return it in different forms."""
    return baggage if baggage is None or isinstance(baggage, str) else baggage.serialize()


def _streams() -> bool:
    """Tell whether the client sends spans one by one, a mode without transactions."""
    options = sentry_sdk.get_client().options
    lifecycle = options.get("trace_lifecycle") or options.get("_experiments", {}).get(
        "trace_lifecycle"
    )
    return bool(lifecycle == "stream")


def _active_ids() -> Mapping[str, str]:
    """Return ``trace_id`` and ``span_id`` of the active span; empty without one."""
    if sentry_sdk.get_client().get_integration(WorkkitIntegration) is None:
        return {}  # a later client may not have it
    span = sentry_sdk.get_current_span()
    return {} if span is None else {"trace_id": span.trace_id, "span_id": span.span_id}
