from __future__ import annotations

import pytest

from tests.verify.security.supply import ROOT, stray

CODE = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "asynq_py").rglob("*")
    if path.suffix in {".py", ".lua", ".pyi", ".typed", ".desc"} and "__pycache__" not in path.parts
]


def test_packages_that_hold_the_code_and_nothing_else_are_in_order() -> None:
    assert stray([*CODE, "asynq_py-0.1.dist-info/METADATA"], [*CODE, "README.md", "docs/index.md"]) == []


@pytest.mark.parametrize(
    ("in_wheel", "in_sdist"),
    [
        ("tests/test_x.py", ""), ("asynq_py/__pycache__/x.pyc", ""), ("", ".env"), ("", "secrets.txt"),
        ("", "tests/server.key"), ("", "docs/notes.md~"), ("", "asynq_py/.mypy_cache/x"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_belong_there_is_found(in_wheel: str, in_sdist: str) -> None:
    odd = stray([*CODE, *filter(None, [in_wheel])], [*CODE, *filter(None, [in_sdist])])
    assert set(odd) == {in_wheel or in_sdist}


def test_code_that_is_missing_is_found() -> None:
    assert stray(CODE[1:], CODE) == [f"missing: {CODE[0]}"]
