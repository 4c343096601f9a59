from __future__ import annotations

import pytest

from asynq_py.cli.secrecy import has_password, without

URL = "redis://:pw@h/0"


@pytest.mark.parametrize(
    ("url", "has_one"),
    [
        (URL, True), ("redis://user:pw@h", True), ("redis-cluster://pw@h1,h2", True),
        ("redis://h?password=pw", True), ("redis-sentinel://h/0?master=m&sentinel_password=pw", True),
        ("redis://localhost:6379/0", False), ("unix:///tmp/a@b.sock", False), ("redis://h?db=1", False),
    ],
)  # fmt: skip
def test_a_url_that_may_have_a_password_is_known(url: str, has_one: bool) -> None:
    assert has_password(url) is has_one


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["x", "--redis", URL, "ls"], ["x", "ls"]),
        (["x", f"--redis={URL}", "ls"], ["x", "ls"]),
        (["x", "--redis", "redis://other", "ls", "--redis", URL], ["x", "--redis", "redis://other", "ls"]),
        (["x", "enqueue", URL], ["x", "enqueue", URL]),  # a payload is left alone
        (["x", "ls"], ["x", "ls"]),
    ],
)
def test_the_url_is_taken_out_of_the_arguments(arguments: list[str], kept: list[str]) -> None:
    assert without(arguments, URL) == kept
