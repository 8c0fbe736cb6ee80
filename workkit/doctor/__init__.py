"""Examines a namespace and its server, and repairs faults that pools do not repair themselves.

`look.py` reads everything twice. Between the two reads, suspect pools are watched for a while. Each
module of `checks/` is a pure function from two examinations to cases. A case is a finding with or
without a repair. A repair checks again on the server that the fault is still there.
"""

from workkit.doctor.doctor import Doctor
from workkit.doctor.findings import Finding, Severity

__all__ = ["Doctor", "Finding", "Severity"]
