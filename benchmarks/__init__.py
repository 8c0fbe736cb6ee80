"""Every speed claim, one command each; nothing here is shipped.

Workers of other libraries import `benchmarks.meter` too, so this file imports nothing.
"""
