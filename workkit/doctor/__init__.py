"""Examines a namespace and the server it is on, and mends what pools do not mend by themselves.

`look.py` reads everything twice, a while apart where somebody has to be watched; each module of
`checks/` is a pure function from two looks to cases; a case is a finding and, where there is one,
a repair, which checks again on the server that things are still as they were found.
"""

from workkit.doctor.doctor import Doctor
from workkit.doctor.findings import Finding, Severity

__all__ = ["Doctor", "Finding", "Severity"]
