"""A small site: what concerns tasks is at the end."""

import os

import django

SECRET_KEY = "not a secret in an example"
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

INSTALLED_APPS = ["asynq_py.integrations.django"]
if django.VERSION < (6, 0):
    INSTALLED_APPS.append("django_tasks")

TASKS = {
    "default": {
        "BACKEND": "asynq_py.integrations.django.backend.AsynqBackend",
        "QUEUES": ["default", "emails"],
        "OPTIONS": {
            "redis": os.environ.get("ASYNQ_REDIS_URL", "redis://localhost:6379/0"),
            "max_retry": 3,
            "enqueue_on_commit": True,
        },
    }
}
