"""The app, so that Django finds the command."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["WorkkitConfig"]


class WorkkitConfig(AppConfig):
    """Has no models; its label leaves ``workkit`` to an app of yours."""

    name = "workkit.contrib.django"
    label = "workkit_django"
