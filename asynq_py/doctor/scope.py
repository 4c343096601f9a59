"""Whom an examination is for, and how much it looks at. Needs nothing: help shows it, too."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

SAMPLE: Final = 1000  # tasks of each state of each queue that are looked at


class Role(StrEnum):
    """Who a user logs in for."""

    CLIENT = "client"
    SCHEDULER = "scheduler"
    WORKER = "worker"
    VIEWER = "viewer"
    INSPECTOR = "inspector"
