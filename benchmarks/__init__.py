"""Every speed claim, one command each; not part of the package.

Workers of other libraries import `benchmarks.meter` too, so this file imports nothing.
"""
