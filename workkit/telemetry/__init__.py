"""Telemetry: what monitoring systems see of jobs and pools.

`exporter` reads a namespace; `worker` counts what one pool does; `server` answers on a port with
metrics and health. `otel` and `sentry` trace jobs.
"""
