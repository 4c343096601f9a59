"""`asynq-py schema`: no Redis is needed for it."""

from __future__ import annotations

import json

import pytest

from tests.cli.program import Program

TASKS = """
from asynq_py import App

app = App()

@app.task
async def send_welcome(user_id: int, template: str = "hello") -> str:
    return template

def make():
    return app

nothing = 1
"""


@pytest.fixture
def shop(bare: Program) -> Program:
    (bare.folder / "shop.py").write_text(TASKS)
    return bare


async def test_json_schema_is_what_is_written_by_default(shop: Program) -> None:
    answer = await shop("schema", "export", "shop:app")
    assert list(answer.json["tasks"]) == ["send_welcome"]
    assert answer.json["$defs"]["SendWelcomePayload"]["required"] == ["user_id"]


async def test_go_and_typescript_are_written_to_files(shop: Program) -> None:
    for language, name in (("go", "tasks.go"), ("typescript", "tasks.ts")):
        answer = await shop("schema", "export", "shop:make", "--format", language, "-o", name)
        assert answer.out == ""
    assert "type SendWelcomePayload struct {" in (shop.folder / "tasks.go").read_text()
    assert "export interface SendWelcomePayload {" in (shop.folder / "tasks.ts").read_text()

    answer = await shop("schema", "export", "shop:app", "--format", "go", "--package", "mail")
    assert "\npackage mail\n" in answer.out


async def test_a_check_passes_until_something_breaks(shop: Program) -> None:
    await shop("schema", "export", "shop:app", "-o", "tasks.json")
    assert (await shop("schema", "check", "shop:app", "--against", "tasks.json")).out == "nothing breaks\n"

    (shop.folder / "shop.py").write_text(TASKS.replace("template: str =", "subject: str, template: str ="))
    broken = await shop("schema", "check", "shop:app", "--against", "tasks.json", code=1)
    assert broken.out == "send_welcome: subject: is new and required; give it a default\n"

    (shop.folder / "shop.py").write_text(TASKS.replace("send_welcome", "greet"))
    broken = await shop("schema", "check", "shop:app", "--against", "tasks.json", "--json", code=1)
    assert broken.json == {
        "breaking": [
            "send_welcome: nobody takes it any more; a task of another name may have it in `aliases`"
        ]
    }

    (shop.folder / "shop.py").write_text(
        TASKS.replace("@app.task\n", '@app.task(aliases=["send_welcome"])\n').replace(
            "def send_welcome", "def greet"
        )
    )
    fine = await shop("schema", "check", "shop:app", "--against", "tasks.json", "--json")
    assert fine.json == {"breaking": []}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("export", "shop:nothing"),
            "shop:nothing is no App such as myproject.tasks:app, nor a function without arguments",
        ),
        (("export", "elsewhere:app"), "there is no module 'elsewhere'"),
        (("export", "shop:app", "--package", "a-b"), "'a-b' is no name of a package"),
        (("check", "shop:app", "--against", "none.json"), "none.json cannot be read"),
        (("check", "shop:app", "--against", "shop.py"), "shop.py: no file that `schema export` has written"),
    ],
)
async def test_a_mistake_is_one_line(shop: Program, arguments: tuple[str, ...], told: str) -> None:
    answer = await shop("schema", *arguments, code=2)
    assert answer.err.count("\n") == 1
    assert told in answer.err


async def test_a_file_that_cannot_be_written_is_told(shop: Program) -> None:
    answer = await shop("schema", "export", "shop:app", "-o", "no/such/folder.json", code=1)
    assert "no/such/folder.json cannot be written" in answer.err


async def test_the_same_tasks_give_the_same_file(shop: Program) -> None:
    first = (await shop("schema", "export", "shop:app")).out
    assert first == (await shop("schema", "export", "shop:make")).out
    assert json.loads(first)["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("shop", "'shop' is no module and object such as myproject.tasks:app"),
    ],
)
async def test_what_is_no_app_is_refused_with_an_example(shop: Program, path: str, complaint: str) -> None:
    assert complaint in (await shop("schema", "export", path, code=2)).err
