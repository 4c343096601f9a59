"""What Django knows this package as."""

from __future__ import annotations

from django.apps import AppConfig


class AsynqConfig(AppConfig):  # type: ignore[misc]  # Django brings no types
    name = "asynq_py.integrations.django"
    label = "asynq_py"
    verbose_name = "asynq"
