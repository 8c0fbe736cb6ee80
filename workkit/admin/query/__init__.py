"""A small language that picks jobs: ``queue:mail error:Timeout fails:>3 not args.tenant:acme``.

`Client`, the command line, the console and the notebook views share it. `syntax` parses a query,
`fields` lists the fields, `matching` compares values. docs/query.md is the reference.
"""

from __future__ import annotations

from workkit.admin.query.fields import FIELDS, Field
from workkit.admin.query.query import Query, parse

__all__ = ["FIELDS", "Field", "Query", "parse"]
