"""Telemetry: what the monitoring of others sees of jobs and pools."""
