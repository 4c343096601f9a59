"""Completion in shells."""

from __future__ import annotations

import shutil

import pytest

from asynq_py import Client, Task
from tests.cli.program import Program


async def _completed(run: Program, line: str) -> set[str]:
    """What bash is told about a line whose last word is to be completed."""
    words = line.split(" ")
    answer = await run(_ASYNQ_PY_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=f"{len(words) - 1}")
    return {row.partition(",")[2] for row in answer.lines if row}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_there_is_a_script_for_each_shell(bare: Program, shell: str) -> None:
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("no bash on this machine")
    script = (await bare("completion", shell)).out
    assert f"_ASYNQ_PY_COMPLETE={shell}_complete" in script


async def test_commands_and_options_are_completed_without_redis(bare: Program) -> None:
    assert await _completed(bare, "asynq-py que") == {"queue"}
    assert {"ls", "inspect", "enqueue", "cancel", "run", "archive", "delete"} == await _completed(
        bare, "asynq-py task "
    )
    assert "--state" in await _completed(bare, "asynq-py task ls --s")
    assert await _completed(bare, "asynq-py task ls --state sch") == {"scheduled"}


async def test_names_of_queues_and_groups_are_completed(run: Program, client: Client) -> None:
    for queue in ("critical", "cron", "low"):
        await client.enqueue(Task("t"), queue=queue, group=f"of-{queue}")

    assert await _completed(run, "asynq-py queue pause cr") == {"critical", "cron"}
    assert await _completed(run, "asynq-py task ls -q l") == {"low"}
    assert await _completed(run, "asynq-py task ls -q low --group ") == {"of-low"}


async def test_a_dead_redis_completes_nothing_and_says_nothing(bare: Program) -> None:
    line = "asynq-py --redis redis://127.0.0.1:1/0 queue pause "
    assert await _completed(bare, line) == set()
