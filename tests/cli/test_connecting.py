"""Where Redis is: the argument, the environment, a config file; and that passwords stay hidden."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from asynq_py import Client, Inspector, Task
from tests.cli.program import Program
from tests.eventually import eventually
from tests.servers import each_server

DEAD = "redis://127.0.0.1:1/0"


async def _sees(run: Program, *arguments: str, **env: str) -> bool:
    """Does it reach the Redis of the test?"""
    answer = await run(*arguments, "queue", "ls", code=None, **env)
    assert (answer.code, answer.out) in ((0, ANSWER), (3, "")), answer
    return answer.code == 0


ANSWER = "there are no queues\n"


async def test_the_argument_wins_over_the_environment_and_that_over_the_file(
    bare: Program, redis_url: str
) -> None:
    file = bare.folder / "asynq-py.toml"
    file.write_text(f'redis = "{redis_url}"')
    assert await _sees(bare)
    assert not await _sees(bare, ASYNQ_REDIS_URL=DEAD)
    assert await _sees(bare, "--redis", redis_url, ASYNQ_REDIS_URL=DEAD)
    file.write_text(f'redis = "{DEAD}"')
    assert not await _sees(bare)
    assert await _sees(bare, ASYNQ_REDIS_URL=redis_url)


async def test_the_argument_may_stand_at_the_end_and_wins_there(bare: Program, redis_url: str) -> None:
    await bare("queue", "ls", "--redis", redis_url)
    await bare("--redis", DEAD, "queue", "ls", f"--redis={redis_url}")
    await bare.fails("--redis", redis_url, "queue", "ls", "--redis", DEAD, code=3)


async def test_a_section_of_pyproject_counts_also_from_a_folder_below(bare: Program, redis_url: str) -> None:
    (bare.folder / "pyproject.toml").write_text(
        f'[project]\nname = "x"\n[tool.asynq-py]\nredis = "{redis_url}"'
    )
    below = bare.folder / "src" / "x"
    below.mkdir(parents=True)
    (bare.folder / "src" / "pyproject.toml").write_text('[project]\nname = "nothing of ours"')

    assert await _sees(Program(below))


async def test_a_file_can_be_named(bare: Program, redis_url: str) -> None:
    (bare.folder / "other.toml").write_text(f'redis = "{redis_url}"')
    (bare.folder / "asynq-py.toml").write_text(f'redis = "{DEAD}"')

    assert await _sees(bare, "--config", "other.toml")
    assert await _sees(bare, ASYNQ_PY_CONFIG="other.toml")
    await bare("queue", "ls", "--config", "other.toml")


async def test_a_file_has_defaults_for_options_which_arguments_override(run: Program, client: Client) -> None:
    await client.enqueue_many([Task("t") for _ in range(5)], queue="q")
    (run.folder / "asynq-py.toml").write_text('[task.ls]\nqueue = "q"\nsize = 2\nstate = "pending"')

    assert len((await run("task", "ls", "--json")).json["tasks"]) == 2
    assert len((await run("task", "ls", "--json", "--size", "4")).json["tasks"]) == 4


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("redis = 3", "redis is a URL"),
        ("redis = ", "is not TOML"),
        ('redis = "redis://:${NO_SUCH}@h"', "redis needs the environment variable NO_SUCH, which is not set"),
        ("[quack]", "the config file has a default for 'quack', but asynq-py has no such command"),
        (
            "[queue.quack]",
            "the config file has a default for 'quack', but asynq-py queue has no such command",
        ),
        (
            "[queue.ls]\ncolour = 1",
            "the config file has a default for 'colour', but asynq-py queue ls has no such option",
        ),
    ],
)
async def test_a_mistake_in_the_file_is_one_line(bare: Program, text: str, complaint: str) -> None:
    (bare.folder / "asynq-py.toml").write_text(text)
    assert complaint in await bare.fails("queue", "ls", code=2)


async def test_a_file_that_is_not_there_is_one_line(bare: Program) -> None:
    line = await bare.fails("--config", "none.toml", "queue", "ls", code=2)
    assert line == "asynq-py: none.toml cannot be read: No such file or directory"


# -- passwords -----------------------------------------------------------------------------------------------


@pytest.fixture
async def login(redis: Redis, redis_url: str) -> str:
    """The URL of the test's Redis with a user whose password is `s3cret/`."""
    async with each_server(redis) as servers:
        for server in servers:
            await server.acl_setuser(
                "ada", enabled=True, passwords=["+s3cret/"], categories=["+@all"], keys=["*"]
            )
    parts = urlsplit(redis_url)
    return urlunsplit(parts._replace(netloc=f"ada:s3cret%2F@{parts.netloc}"))


async def test_a_password_in_the_file_comes_from_the_environment(bare: Program, login: str) -> None:
    url = login.replace("s3cret%2F", "${ADAS_PASSWORD}")
    (bare.folder / "asynq-py.toml").write_text(f'redis = "{url}"')

    await bare("queue", "ls", ADAS_PASSWORD="s3cret/")
    answer = await bare("queue", "ls", ADAS_PASSWORD="wrong", code=3)
    assert "denies access" in answer.err
    assert "wrong" not in answer.err


@pytest.mark.parametrize("way", ["--redis={}", "--redis {}"])
async def test_no_list_of_processes_shows_a_password(bare: Program, login: str, way: str) -> None:
    (bare.folder / "tasks.py").write_text("from asynq_py import Server\nserver = Server(None, print)\n")
    arguments = way.format(login).split()

    async with (
        Inspector(login) as inspector,
        bare.running("worker", "tasks:server", "--processes", "2", *arguments) as process,
    ):
        servers = await eventually(inspector.servers, lambda seen: len({server.pid for server in seen}) == 2)
        for pid in (process.pid, *(server.pid for server in servers)):
            title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            assert not re.search("s3cret|--redis", title)
        process.terminate()
        assert await process.wait() == 0


async def test_a_hidden_url_is_an_argument_still(bare: Program, login: str, redis: Redis) -> None:
    await bare("queue", "ls", "--redis", login, ASYNQ_REDIS_URL=DEAD)
    await bare("--redis", login, "queue", "ls", ASYNQ_REDIS_URL=DEAD)
    answer = await bare("queue", "ls", f"--redis={login.replace('s3cret', 'wr0ng')}", "--debug", code=3)
    assert "denies access" in answer.err
    assert "wr0ng" not in answer.err
