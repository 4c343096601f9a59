"""Files of periodic tasks: what they mean, and what is said of those that are not in order."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from asynq_py import AsynqError, InvalidOptionError, PeriodicTaskFile, PeriodicTaskFileError, Task

TOML = """
[[tasks]]
spec = "0 9 * * mon-fri"
type = "report:daily"
payload = { region = "eu" }
headers = { trace = "1" }
timezone = "Europe/Paris"
name = "daily"
missed = 3
max_retry = 2
timeout = 1.5
deadline = 2026-01-02T03:04:05Z

[[tasks]]
spec = "@every 30s"
type = "cache:warm"
"""
YAML = """
tasks:
  - spec: "0 9 * * mon-fri"
    type: report:daily
    payload: {region: eu}
    headers: {trace: "1"}
    timezone: Europe/Paris
    name: daily
    missed: 3
    max_retry: 2
    timeout: 1.5
    deadline: 2026-01-02T03:04:05Z
  - spec: "@every 30s"
    type: cache:warm
"""


def file(folder: Path, text: str, name: str = "tasks.toml") -> PeriodicTaskFile:
    (folder / name).write_text(text, "utf-8")
    return PeriodicTaskFile(folder / name)


@pytest.mark.parametrize(("name", "text"), [("a.toml", TOML), ("a.yaml", YAML), ("a.yml", YAML)])
async def test_a_file_lists_tasks_with_all_that_can_be_said_of_them(
    tmp_path: Path, name: str, text: str
) -> None:
    daily, warm = await file(tmp_path, text, name)()
    assert (daily.spec, daily.task.type, dict(daily.task.headers)) == (
        *("0 9 * * mon-fri", "report:daily"),
        {"trace": "1"},
    )
    assert json.loads(daily.task.payload or b"") == {"region": "eu"}
    assert daily.options == {
        "timezone": "Europe/Paris",
        "name": "daily",
        "missed": 3,
        "max_retry": 2,
        "timeout": 1.5,
        "deadline": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    assert (warm.spec, warm.task, warm.options) == ("@every 30s", Task("cache:warm"), {})


async def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    tasks = file(tmp_path, TOML)
    assert len(await tasks()) == 2
    file(tmp_path, "tasks = []")
    assert await tasks() == []


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        ('spec = "@evry 5s"\ntype = "t"', "task 2 (t): spec='@evry 5s' is not allowed: @every or one of"),
        ('type = "t"\nname = "mine"', "task 2 (mine): spec must be given"),
        ('spec = "@daily"', "task 2: type must be given"),
        ("spec = 5\ntype = 5", "task 2: type=5 is not allowed"),
        ("spec = 5\ntype = 't'", "task 2 (t): spec=5 is not allowed"),
        ('spec = "@daily"\ntype = "t"\nqeue = "low"', "task 2 (t): there is no qeue; there are deadline, "),
        ('spec = "@daily"\ntype = "t"\nmax_retry = -1', "task 2 (t): max_retry=-1 is not allowed"),
        ('spec = "@daily"\ntype = "t"\ntimezone = "Mars"', "task 2 (t): timezone='Mars' is not allowed"),
        ('spec = "@daily"\ntype = "t"\ntimezone = 5', "task 2 (t): timezone=5 is not allowed"),
        ('spec = "@daily"\ntype = "t"\nmissed = "all"', "task 2 (t): missed='all' is not allowed"),
        ('spec = "@daily"\ntype = "t"\nname = 5', "task 2 (t): name=5 is not allowed"),
        ('spec = "@daily"\ntype = "t"\nheaders = "x"', "task 2 (t): headers="),
        ('spec = "@daily"\ntype = "t"\nheaders = { a = 1 }', "task 2 (t): headers="),
        ('spec = "@daily"\ntype = "t"\npayload = 2026-01-02', "task 2 (t): payload="),
        ('spec = "@daily"\ntype = "t"\nprocess_at = 2026-01-02', "task 2 (t): process_at="),
    ],
)
def test_a_task_that_cannot_be_used_is_named(tmp_path: Path, task: str, complaint: str) -> None:
    with pytest.raises(PeriodicTaskFileError) as refused:
        file(tmp_path, f'[[tasks]]\nspec = "@daily"\ntype = "fine"\n[[tasks]]\n{task}').read()
    assert str(refused.value).startswith(f"{tmp_path / 'tasks.toml'}, {complaint}")
    assert refused.value.path == tmp_path / "tasks.toml"
    assert (refused.value.place or "").startswith("task 2")


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.toml", "", "it must have one list, tasks"),
        ("a.toml", "[[task]]\nspec = '@daily'", "it must have one list, tasks"),
        ("a.toml", "tasks = []\nmore = 1", "it must have one list, tasks"),
        ("a.toml", "[tasks.mine]\nspec = '@daily'", "it must have one list, tasks"),
        ("a.toml", "tasks = [", "(at end of document)"),
        ("a.toml", "tasks = ['@daily']", "task 1: it must be a table"),
        ("a.toml", f"tasks = {'9' * 5000}", "Exceeds the limit"),
        ("a.toml", f"tasks = {'[' * 5000}", "recursion depth"),
        ("a.yaml", "tasks: 2026-13-01", "month must be in 1..12"),
        ("a.yaml", f"tasks: {'[' * 5000}", "recursion depth"),
        ("a.yaml", "", "it must have one list, tasks"),
        ("a.yaml", "- spec: '@daily'", "it must have one list, tasks"),
        ("a.yaml", "tasks: [5]", "task 1: it must be a table"),
        ("a.yaml", "tasks:\n - spec: @daily", "line 2, column 10"),
        ("a.yaml", "tasks:\n - spec: * * * * *", "line 2, column 11"),
        ("a.yaml", "tasks:\n - {5: 6}", "there is no 5"),
        ("a.yaml", "tasks: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_a_file_that_is_not_in_order_is_told_in_one_line(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    with pytest.raises(PeriodicTaskFileError) as refused:
        file(tmp_path, text, name).read()
    assert str(refused.value).startswith(str(tmp_path / name))
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_file_that_is_missing_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(PeriodicTaskFileError, match="No such file"):
        await PeriodicTaskFile(tmp_path / "none.toml")()
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(PeriodicTaskFileError, match=r"bytes\.toml: .*decode"):
        await PeriodicTaskFile(tmp_path / "bytes.toml")()


@pytest.mark.parametrize("name", ["tasks", "tasks.json", ""])
def test_a_file_of_another_kind_is_refused_at_once(name: str) -> None:
    with pytest.raises(InvalidOptionError, match="path"):
        PeriodicTaskFile(name)


def test_yaml_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(AsynqError, match=r'pip install "asynq-py\[yaml\]"'):
        file(tmp_path, YAML, "tasks.yaml").read()
    assert len(file(tmp_path, TOML).read()) == 2
