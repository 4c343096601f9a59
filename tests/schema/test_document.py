"""The document of an app, in JSON Schema: what is right for it is what a worker takes, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from asynq_py import App, Router
from asynq_py.schema import SchemaFileError, describe, read
from tests.schema.shop import app

DOCUMENT = describe(app)


def payload(task_type: str) -> dict[str, Any]:
    return DOCUMENT.resolved(DOCUMENT.tasks[task_type].payload)


def test_every_task_of_the_app_is_there() -> None:
    assert set(DOCUMENT.tasks) == set(app.tasks)
    ship = DOCUMENT.tasks["order:ship"]
    assert (ship.name, ship.queue, ship.aliases) == ("OrderShip", "ships", ("ship_order",))
    assert DOCUMENT.tasks["scalars"].queue == "shop"
    assert DOCUMENT.tasks["scalars"].description == "Take one of each."


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("user_id", {"type": "integer"}),
        ("price", {"type": "number"}),
        ("is_gift", {"type": "boolean"}),
        ("name", {"type": "string"}),
        ("at", {"type": "string", "format": "date-time"}),
        ("day", {"type": "string", "format": "date"}),
        ("hour", {"type": "string", "format": "time"}),
        ("span", {"type": "number", "description": "seconds"}),
        ("key", {"type": "string", "format": "uuid"}),
        ("sum", {"type": "string", "format": "decimal"}),
        ("path", {"type": "string", "format": "path"}),
        ("data", {"type": "string", "contentEncoding": "base64"}),
        ("nothing", {"type": "null"}),
    ],
)
def test_a_scalar_has_its_schema(name: str, schema: dict[str, Any]) -> None:
    assert payload("scalars")["properties"][name] == schema


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("tags", {"type": "array", "items": {"type": "string"}}),
        ("seen", {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        ("frozen", {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        ("many", {"type": "array", "items": {"type": "integer"}}),
        ("counts", {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            "by_id",
            {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        ),
        ("options", {"$ref": "#/$defs/Options"}),
    ],
)
def test_a_container_has_its_schema(name: str, schema: dict[str, Any]) -> None:
    assert payload("containers")["properties"][name] == schema


@pytest.mark.parametrize("name", ["pair", "point"])
def test_a_row_has_so_many_places(name: str) -> None:
    schema = payload("containers")["properties"][name]
    assert (schema["minItems"], schema["maxItems"], schema["items"]) == (2, 2, False)
    assert len(schema["prefixItems"]) == 2


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("color", {"$ref": "#/$defs/Color"}),
        ("word", {"type": "string", "enum": ["a", "b"]}),
        ("mixed", {"enum": ["a", 1]}),
        ("either", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ("maybe", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("anything", {}),
        ("later", {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}),
        ("flag", {"type": "boolean", "default": False}),
        ("shade", {"$ref": "#/$defs/Color", "default": "red"}),
    ],
)
def test_a_choice_has_its_schema(name: str, schema: dict[str, Any]) -> None:
    assert payload("choices")["properties"][name] == schema


def test_an_enum_has_its_values_and_names() -> None:
    assert DOCUMENT.defs["Color"] == {
        "type": "string",
        "enum": ["red", "dark blue"],
        "x-names": ["RED", "DARK_BLUE"],
    }
    assert DOCUMENT.defs["Level"]["type"] == "integer"


def test_what_has_no_default_is_required_and_nothing_else_is_taken() -> None:
    schema = payload("choices")
    assert schema["required"] == ["color", "level", "word", "mixed", "either", "maybe", "anything"]
    assert schema["additionalProperties"] is False
    assert payload("no_arguments") == {"type": "object", "properties": {}, "additionalProperties": False}


def test_the_one_model_is_the_payload_itself() -> None:
    assert DOCUMENT.tasks["order:ship"].payload == {"$ref": "#/$defs/Order"}
    assert DOCUMENT.defs["Order"]["required"] == ["id", "lines", "placed_at"]
    assert DOCUMENT.defs["Options"]["required"] == ["color"]


def test_a_record_may_hold_its_like() -> None:
    assert DOCUMENT.defs["Category"]["properties"]["below"]["items"] == {"$ref": "#/$defs/Category"}


def test_other_libraries_tell_of_their_models_themselves() -> None:
    assert DOCUMENT.tasks["struct"].payload == {"$ref": "#/$defs/Struct"}
    assert DOCUMENT.defs["Struct"]["properties"]["y"] == {"type": "integer", "minimum": 3, "default": 4}
    assert DOCUMENT.defs["Model"]["properties"]["inner"]["anyOf"][0] == {"$ref": "#/$defs/Inner"}
    assert DOCUMENT.defs["Inner"]["required"] == ["z"]
    assert [name for name in DOCUMENT.defs if name.startswith("Inner")] == ["Inner"]


def test_results_are_told_where_they_are_annotated() -> None:
    results = {name: task.result for name, task in DOCUMENT.tasks.items()}
    assert results["scalars"] == {"type": "string"}
    assert results["choices"] == {"anyOf": [{"$ref": "#/$defs/Color"}, {"type": "null"}]}
    assert results["structs"] == {"$ref": "#/$defs/Model"}
    assert results["struct"] is None  # returns None
    assert results["no_arguments"] is None  # says nothing


def test_classes_of_the_same_name_are_told_apart() -> None:
    other = App()

    def one() -> type:
        @dataclass
        class Image:
            path: str

        return Image

    def another() -> type:
        @dataclass
        class Image:
            url: str

        return Image

    async def first(a: Any) -> None: ...
    async def second(a: Any) -> None: ...

    first.__annotations__ = {"a": one()}
    second.__annotations__ = {"a": another()}
    other.task(first)
    other.task(second)
    document = describe(other)
    assert document.tasks["first"].payload == {"$ref": "#/$defs/Image"}
    assert document.tasks["second"].payload == {"$ref": "#/$defs/Image2"}
    assert "url" in document.defs["Image2"]["properties"]


def test_types_whose_names_would_be_alike_are_told_apart() -> None:
    other = App()

    @other.task(name="mail:send")
    async def one() -> None: ...

    @other.task(name="mail-send")
    async def another() -> None: ...

    assert sorted(task.name for task in describe(other).tasks.values()) == ["MailSend", "MailSend2"]


def test_every_reference_leads_somewhere() -> None:
    def references(schema: Any) -> set[str]:
        if isinstance(schema, dict):
            here = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
            return here.union(*map(references, schema.values()))
        return set().union(*map(references, schema)) if isinstance(schema, list) else set()

    assert references(DOCUMENT.json()) <= {f"#/$defs/{name}" for name in DOCUMENT.defs}


def test_a_file_is_read_again_as_it_was() -> None:
    text = DOCUMENT.text()
    assert read(text) == DOCUMENT
    assert read(text).text() == text
    assert describe(app).text() == text  # the same each time
    assert json.loads(text)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", ["", "no", "[]", "{}", '{"tasks": {"a": 1}, "$defs": {}}', '{"tasks": []}'])
def test_what_is_no_such_file_is_told(text: str) -> None:
    with pytest.raises(SchemaFileError, match="no file that `schema export` has written"):
        read(text)


def test_tasks_of_other_programs_are_there_as_well() -> None:
    app, router = App(), Router("images")
    app.remote("go:resize", payload=Size, result=int)
    router.remote("go:scan", payload=dict[str, int])
    router.remote("own", payload=int)
    app.include(router)

    @app.task
    async def own(n: str) -> None: ...

    document = describe(app)
    assert list(document.tasks) == ["go:resize", "go:scan", "own"]
    assert [task.is_remote for task in document.tasks.values()] == [True, True, False]
    assert document.resolved(document.tasks["go:resize"].payload)["properties"] == {
        "width": {"type": "integer"}
    }
    assert document.tasks["go:resize"].result == {"type": "integer"}
    assert document.json()["tasks"]["go:resize"]["remote"] is True
    assert read(document.text()) == document


@dataclass
class Size:
    width: int
