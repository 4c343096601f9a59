"""The Go program of these tests is in order itself."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.interop.build import SOURCE

pytestmark = pytest.mark.timeout(60, func_only=True)


@pytest.mark.skipif(shutil.which("gofmt") is None, reason="no Go on this machine")
def test_the_go_source_is_formatted() -> None:
    formatted = subprocess.run(
        ["gofmt", "-l", "."], cwd=SOURCE, capture_output=True, encoding="utf-8", timeout=30, check=True
    )
    assert formatted.stdout == ""
