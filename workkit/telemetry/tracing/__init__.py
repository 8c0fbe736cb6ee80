"""The spans and metrics of OpenTelemetry for one job, and the members that carry its trace."""
