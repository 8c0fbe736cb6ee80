"""Spans and metrics reach a receiver over OTLP/HTTP, as the protocol writes them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.engine.stage import EngineStage
from workkit import Job
from workkit.telemetry.otel import Tracing

pytestmark = pytest.mark.one_server


class Receiver:
    """A receiver of OTLP on loopback.

    Attributes:
        traces: The decoded requests for traces.
        metrics: Those for metrics.
        url: Where it listens.
    """

    def __init__(self) -> None:
        self.traces: list[Any] = []
        self.metrics: list[Any] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer: Any
                if self.path == "/v1/traces":
                    receiver.traces.append(ExportTraceServiceRequest.FromString(body))
                    answer = ExportTraceServiceResponse()
                else:
                    receiver.metrics.append(ExportMetricsServiceRequest.FromString(body))
                    answer = ExportMetricsServiceResponse()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(answer.SerializeToString())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def attributes(found: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in found.attributes}


def test_a_receiver_gets_the_spans_with_their_links_and_the_metrics(
    stage: EngineStage, receiver: Receiver
) -> None:
    resource = Resource.create({"service.name": "shop"})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{receiver.url}/v1/traces")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{receiver.url}/v1/metrics"))
    meters = MeterProvider([reader], resource=resource)
    pool = stage.pool()

    @pool.job("mail", max_fails=1)
    def mail(job: Job) -> None:
        raise ValueError("no such address")

    Tracing(tracers, meters).instrument(pool, stage.enqueuer)
    with tracers.get_tracer("shop").start_as_current_span("GET /"):
        job = stage.enqueuer.enqueue("mail")
    threaded = stage.threaded(pool)
    threaded.turn()
    threaded.settle()
    tracers.shutdown()
    meters.shutdown()

    spans = {
        span.name: span
        for request in receiver.traces
        for resource_spans in request.resource_spans
        for scope in resource_spans.scope_spans
        for span in scope.spans
    }
    assert set(spans) == {"GET /", "send mail", "process mail"}
    send, process = spans["send mail"], spans["process mail"]
    assert send.trace_id == spans["GET /"].trace_id
    assert send.parent_span_id == spans["GET /"].span_id
    assert [(link.trace_id, link.span_id) for link in process.links] == [
        (send.trace_id, send.span_id)
    ]
    assert process.kind == process.SPAN_KIND_CONSUMER
    assert attributes(process)["messaging.message.id"] == job.id
    assert attributes(process)["error.type"] == "ValueError"
    assert process.status.code == process.status.STATUS_CODE_ERROR
    (event,) = process.events
    assert attributes(event)["exception.message"] == "no such address"

    metrics = {
        metric.name: metric
        for request in receiver.metrics
        for resource_metrics in request.resource_metrics
        for scope in resource_metrics.scope_metrics
        for metric in scope.metrics
    }
    assert {name: metric.unit for name, metric in metrics.items() if "messaging" in name} == {
        "messaging.client.sent.messages": "{message}",
        "messaging.client.operation.duration": "s",
        "messaging.client.consumed.messages": "{message}",
        "messaging.process.duration": "s",
    }
    (point,) = metrics["messaging.process.duration"].histogram.data_points
    assert min(point.explicit_bounds) == 0.001
    assert max(point.explicit_bounds) == 3_600
