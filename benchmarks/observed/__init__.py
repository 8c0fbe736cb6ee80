"""A load with everything that the dashboard shows, watched by a real Prometheus."""
