"""Traces to look at: a page, and the format of Perfetto."""
