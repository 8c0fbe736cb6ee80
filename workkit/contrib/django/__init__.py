"""Django's Tasks on workkit: a backend, and `manage.py workkit_worker`.

    INSTALLED_APPS = [..., "workkit.contrib.django"]
    TASKS = {"default": {
        "BACKEND": "workkit.contrib.django.WorkkitBackend",
        "OPTIONS": {"NAMESPACE": "shop", "URL": "redis://localhost:6379/0"},
    }}

docs/frameworks.md says how queues, retries and results of Django appear in workkit.
"""

from __future__ import annotations

import workkit.contrib.django.api  # noqa: F401 - first, since it says which extra is missing
from workkit.contrib.django.backend import WorkkitBackend
from workkit.contrib.django.results import WorkkitResult
from workkit.contrib.django.worker import make_pool

__all__ = ["WorkkitBackend", "WorkkitResult", "make_pool"]
