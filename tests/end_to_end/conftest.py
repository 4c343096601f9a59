"""Worker processes for every test here."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.end_to_end.processes import Workers, workers_of


@pytest.fixture
async def workers(redis_url: str, tmp_path: Path) -> AsyncGenerator[Workers]:
    async with workers_of(redis_url, tmp_path) as workers:
        yield workers
