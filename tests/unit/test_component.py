"""Parts that run beside a block, and end with it."""

from __future__ import annotations

import anyio
import pytest

from asynq_py.component import running


class Part:
    def __init__(self, name: str, ended: list[str]) -> None:
        self.name = name
        self.ended = ended
        self.started = anyio.Event()

    async def run(self) -> None:
        self.started.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.ended.append(self.name)


class Broken:
    async def run(self) -> None:
        raise KeyError("a bug")


async def test_parts_run_while_the_block_does_and_end_with_it_from_the_inside_out() -> None:
    ended: list[str] = []
    outer, inner = Part("outer", ended), Part("inner", ended)
    async with running(outer), running(inner):
        await outer.started.wait()
        await inner.started.wait()
        assert ended == []
    assert ended == ["inner", "outer"]


async def test_a_part_that_fails_ends_the_block_and_the_other_parts() -> None:
    ended: list[str] = []
    with pytest.RaisesGroup(KeyError):
        async with running(Part("other", ended), Broken()):
            await anyio.sleep_forever()
    assert ended == ["other"]


async def test_an_error_of_the_block_ends_the_parts() -> None:
    ended: list[str] = []
    part = Part("part", ended)
    with pytest.RaisesGroup(ZeroDivisionError):
        async with running(part):
            await part.started.wait()
            raise ZeroDivisionError
    assert ended == ["part"]
