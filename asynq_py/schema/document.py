"""Document: all tasks of an app in one file, with the schemas of their payloads and results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from asynq_py.app.scalars import Same
from asynq_py.app.signature import Signature
from asynq_py.app.typed_task import TypedTask
from asynq_py.errors import AsynqError
from asynq_py.schema.json_schema import DEFS, Defs, Schema
from asynq_py.schema.names import pascal, unique

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class HasTasks(Protocol):
    """An App, or a Router."""

    @property
    def tasks(self) -> Mapping[str, TypedTask[..., Any]]: ...

    @property
    def remotes(self) -> Mapping[str, TypedTask[..., Any]]: ...


@dataclass(frozen=True, slots=True)
class TaskSchema:
    """A task. `name`: in other languages. `payload`: may be empty where all arguments have defaults.

    `is_remote`: another program handles it, and this one enqueues it.
    """

    type: str
    name: str
    queue: str
    aliases: tuple[str, ...]
    payload: Schema
    result: Schema | None
    description: str = ""
    is_remote: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """Tasks by type, and the schemas that they refer to, by name."""

    tasks: Mapping[str, TaskSchema]
    defs: Mapping[str, Schema]

    def resolved(self, schema: Schema) -> Schema:
        """What a schema refers to, or itself."""
        while "$ref" in schema:
            schema = self.defs[name_in(schema)]
        return schema

    def json(self) -> Schema:
        """As it is kept in a file."""
        tasks: Schema = {}
        for task in self.tasks.values():
            told: Schema = {"name": task.name, "queue": task.queue, "payload": task.payload}
            if task.aliases:
                told["aliases"] = list(task.aliases)
            if task.result is not None:
                told["result"] = task.result
            if task.description:
                told["description"] = task.description
            if task.is_remote:
                told["remote"] = True
            tasks[task.type] = told
        return {"$schema": DIALECT, "tasks": tasks, "$defs": dict(self.defs)}

    def text(self) -> str:
        """The file: the same for the same tasks, so that it can be kept and compared."""
        return json.dumps(self.json(), indent=2, ensure_ascii=False) + "\n"


class SchemaFileError(AsynqError):
    """It is no document that was exported."""


def describe(app: HasTasks) -> Document:
    """Describe all tasks of an app, and those of other programs that it names.

    Raises: InvalidOptionError: an annotation means nothing.
    """
    defs, tasks = Defs(), dict[str, TaskSchema]()
    names: set[str] = set()
    for task_type, task in sorted({**app.remotes, **app.tasks}.items()):
        name = unique(pascal(task_type), names)
        names.add(name)
        signature = task.declaration.signature
        tasks[task_type] = TaskSchema(
            type=task_type,
            name=name,
            queue=task.checked_options().queue,
            aliases=task.declaration.aliases,
            payload=_payload(signature, defs, name),
            result=_result(signature, defs, name),
            description=_first_sentence(task),
            is_remote=task_type not in app.tasks,
        )
    return Document(tasks, defs.schemas)


def read(text: str) -> Document:
    """Read a document again. Raises: SchemaFileError."""
    try:
        data = json.loads(text)
        tasks = {
            task_type: TaskSchema(
                type=task_type,
                name=told["name"],
                queue=told["queue"],
                aliases=tuple(told.get("aliases", ())),
                payload=told["payload"],
                result=told.get("result"),
                description=told.get("description", ""),
                is_remote=told.get("remote", False),
            )
            for task_type, told in data["tasks"].items()
        }
        return Document(tasks, data["$defs"])
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise SchemaFileError(f"no file that `schema export` has written: {error!r}") from None


def name_in(reference: Schema) -> str:
    return str(reference["$ref"]).removeprefix(DEFS)


def _payload(signature: Signature, defs: Defs, name: str) -> Schema:
    if signature.model is not None:
        return defs.of(signature.model.shape)
    schema: Schema = {"type": "object", "properties": {}, "additionalProperties": False}
    for field in signature.fields.values():
        told = defs.of(field.shape)
        if field.default:
            told = {**told, "default": field.default[field.name]}
        schema["properties"][field.name] = told
    if required := [field.name for field in signature.fields.values() if field.is_required]:
        schema["required"] = required
    return defs.put(f"{name}Payload", schema)


def _result(signature: Signature, defs: Defs, name: str) -> Schema | None:
    shape = signature.returns
    if isinstance(shape, Same) and shape.kind is type(None):
        return None
    return defs.of(shape) or None  # of one that is not annotated nothing is known


def _first_sentence(task: TypedTask[..., Any]) -> str:
    text = getattr(task, "__doc__", None) or ""
    if text == type(task).__doc__:  # its class's
        return ""
    return " ".join(text.strip().partition("\n\n")[0].split())
