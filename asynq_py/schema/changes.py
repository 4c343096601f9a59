"""Changes: what a worker does not take any more that was enqueued for the one before. Pure.

Payloads: all that was right must stay right, as such tasks wait, and other programs go on enqueueing them.
Results: all that comes now must have been right before, as others read it. Of tasks that another program
handles it is the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from asynq_py.schema.document import Document, TaskSchema, name_in
from asynq_py.schema.json_schema import Schema

_BELOW: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_ABOVE: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT: Final = ("format", "contentEncoding", "pattern", "multipleOf")


def breaking_changes(old: Document, new: Document) -> list[str]:
    """Say what breaks, a line each, by task; nothing if all is well."""
    takers = {
        name: task for task in new.tasks.values() if not task.is_remote for name in (task.type, *task.aliases)
    }
    found: list[str] = []
    for task in old.tasks.values():
        if task.is_remote:
            now = new.tasks.get(task.type)
            if now is not None and now.is_remote:  # else nobody here enqueues it any more
                found += (f"{task.type}: {change}" for change in _remote_changes(task, old, now, new))
            continue
        taker = takers.get(task.type)
        if taker is None:
            found.append(
                f"{task.type}: nobody takes it any more; a task of another name may have it in `aliases`"
            )
            continue
        found += (f"{task.type}: {change}" for change in _changes(task, old, taker, new))
        found += (
            f"{task.type}: nobody takes its alias {alias!r} any more"
            for alias in task.aliases
            if alias not in takers
        )
    return found


def _changes(task: TaskSchema, old: Document, taker: TaskSchema, new: Document) -> Iterator[str]:
    yield from Comparison(old, new, is_payload=True).narrowed(task.payload, taker.payload, "")
    if task.result is None:
        return
    if taker.result is None:
        yield "the result is gone, or nothing is known of it any more"
        return
    # the other way round: who reads it is the older one
    back = Comparison(new, old, is_payload=False)
    yield from back.narrowed(taker.result, task.result, "result")


def _remote_changes(task: TaskSchema, old: Document, now: TaskSchema, new: Document) -> Iterator[str]:
    """Is what is enqueued now right for the handler, and what it returns right for us?"""
    yield from Comparison(new, old, is_payload=False).narrowed(now.payload, task.payload, "")
    if task.result is not None and now.result is not None:
        yield from Comparison(old, new, is_payload=True).narrowed(task.result, now.result, "result")


@dataclass(frozen=True, slots=True)
class Side:
    """A schema, and the document it is from."""

    document: Document
    schema: Schema

    def at(self, schema: Any) -> Side:
        return Side(self.document, schema if isinstance(schema, dict) else {} if schema else {"enum": []})


class Comparison:
    """Is all that fits one schema right for another? In payloads the other is newer, in results older."""

    def __init__(self, given: Document, taken: Document, *, is_payload: bool) -> None:
        self._given = given
        self._taken = taken
        self._is_payload = is_payload
        self._above: list[tuple[str, str]] = []  # what is just being compared

    def narrowed(self, given: Schema, taken: Schema, at: str) -> list[str]:
        """Say where it is not."""
        return list(self._narrowed(given, taken, at))

    def _narrowed(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        if "$ref" not in given or "$ref" not in taken:
            yield from self._compared(given, taken, at)
            return
        pair = (name_in(given), name_in(taken))
        if pair not in self._above:  # else it holds itself
            self._above.append(pair)
            yield from self._compared(given, taken, at)
            self._above.pop()

    def _compared(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        given, taken = self._given.resolved(given), self._taken.resolved(taken)
        if _says_nothing(taken):
            return
        choices = _alternatives(given)
        if len(choices) > 1:
            for choice in choices:
                yield from self._narrowed(choice, taken, at)
            return
        options = _alternatives(taken)
        if len(options) > 1:
            yield from self._fits_none(given, options, taken, at)
            return
        yield from self._value(choices[0], options[0], at)

    def _fits_none(self, given: Schema, options: Sequence[Schema], taken: Schema, at: str) -> Iterator[str]:
        kind = self._given.resolved(given).get("type")
        best: list[str] | None = None
        for option in options:
            problems = self.narrowed(given, option, at)
            if not problems:
                return
            if self._taken.resolved(option).get("type") == kind and kind in ("object", "array"):
                best = problems  # the one that was meant
        if best is not None:
            yield from best
        else:
            yield self._told(at, given, taken)

    def _value(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        given, taken = self._given.resolved(given), self._taken.resolved(taken)
        if _values(taken) is not None:
            yield from self._members(given, taken, at)
            return
        if _says_nothing(given):
            yield self._told(at, given, taken)
            return
        values = _values(given)
        if values is not None:
            kinds = [_kind_of(value) for value in values]
        else:
            kinds = [str(given["type"])] if "type" in given else []
        wanted = taken.get("type")
        if wanted is not None and not all(
            kind == wanted or (kind, wanted) == ("integer", "number") for kind in kinds
        ):
            yield self._told(at, given, taken)
            return
        if "prefixItems" not in taken:  # else its places tell
            yield from self._constraints(given, taken, at)
        if wanted == "object" and values is None:
            yield from self._object(given, taken, at)
        elif wanted == "array" and values is None:
            yield from self._array(given, taken, at)

    def _members(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        before, allowed = _values(given), _values(taken) or []
        if before is None:
            yield self._told(at, given, taken)
            return
        gone = [value for value in before if not any(_is_same(value, one) for one in allowed)]
        if gone:
            word = "no longer takes" if self._is_payload else "may now be"
            yield f"{_where(at)}{word} {', '.join(map(repr, gone))}"

    def _constraints(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        for word in (*_BELOW, *_ABOVE, *_EXACT):
            wanted, had = taken.get(word), given.get(word)
            if wanted is None or wanted == had:
                continue
            if word in _BELOW and had is not None and had > wanted:
                continue
            if word in _ABOVE and had is not None and had < wanted:
                continue
            if word in _EXACT or wanted != 0:
                yield self._told(at, {word: had} if had is not None else given, {word: wanted})

    def _object(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        known: dict[str, Schema] = given.get("properties", {})
        fields: dict[str, Schema] = taken.get("properties", {})
        others = taken.get("additionalProperties", True)
        for name, schema in known.items():
            place = f"{at}.{name}" if at else name
            if name in fields:
                yield from self._narrowed(schema, fields[name], place)
            elif others is False:
                what = (
                    "is gone, but payloads that wait have it" if self._is_payload else "is new, and unknown"
                )
                yield f"{_where(place)}{what}"
            elif isinstance(others, dict):
                yield from self._narrowed(schema, others, place)
        needed = set(given.get("required", ()))
        for name in sorted(set(taken.get("required", ())) - needed):
            place = f"{at}.{name}" if at else name
            if not self._is_payload:
                yield f"{_where(place)}may now be missing"
            elif name in known:
                yield f"{_where(place)}had a default, and is required now"
            else:
                yield f"{_where(place)}is new and required; give it a default"
        more = given.get("additionalProperties", True)
        if isinstance(more, dict) and others is not True:
            yield from self._narrowed(more, others if isinstance(others, dict) else {"enum": []}, f"{at}[…]")

    def _array(self, given: Schema, taken: Schema, at: str) -> Iterator[str]:
        rows = [schema.get("prefixItems") for schema in (given, taken)]
        if rows[1] is not None:
            if rows[0] is None or len(rows[0]) != len(rows[1]):
                yield self._told(at, given, taken)
                return
            for place, (one, other) in enumerate(zip(rows[0], rows[1], strict=True)):
                yield from self._narrowed(one, other, f"{at}[{place}]")
            return
        wanted = taken.get("items", True)
        if not isinstance(wanted, dict):
            return
        items: Sequence[Any] = rows[0] if rows[0] is not None else [given.get("items", {})]
        for item in items:
            yield from self._narrowed(item if isinstance(item, dict) else {}, wanted, f"{at}[…]")

    def _told(self, at: str, given: Schema, taken: Schema) -> str:
        before, now = (given, taken) if self._is_payload else (taken, given)
        return f"{_where(at)}was {_text(before)}, is now {_text(now)}"


def _where(at: str) -> str:
    return f"{at}: " if at else "the payload: "


def _says_nothing(schema: Schema) -> bool:
    """Is anything right for it?"""
    words = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "properties", "items", "$ref")
    return not any(word in schema for word in words)


def _alternatives(schema: Schema) -> Sequence[Schema]:
    for word in ("anyOf", "oneOf"):
        if word in schema:
            found: Sequence[Schema] = schema[word]
            return found
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    if len(schema.get("allOf", ())) == 1:
        return [schema["allOf"][0]]
    return [schema]


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
        case _:
            return "object" if isinstance(value, dict) else "array"


def _is_same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _text(schema: Schema) -> str:
    if "$ref" in schema:
        return name_in(schema)
    values = _values(schema)
    if values is not None:
        return f"one of {', '.join(map(repr, values))}" if values else "nothing"
    options = _alternatives(schema)
    if len(options) > 1:
        return " | ".join(map(_text, options))
    for word in (*_BELOW, *_ABOVE, *_EXACT):
        if word in schema and "type" not in schema:
            return f"{word} {schema[word]}"
    kind = schema.get("type", "anything")
    detail = schema.get("format") or schema.get("contentEncoding")
    if "prefixItems" in schema:
        return f"array of {len(schema['prefixItems'])} values"
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"array of {_text(schema['items'])}"
    return f"{kind} ({detail})" if detail else str(kind)
