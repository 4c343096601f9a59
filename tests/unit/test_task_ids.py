"""IDs of tasks that were given none."""

from __future__ import annotations

import os
import uuid

import pytest

from asynq_py.task_ids import AT_ONCE, TaskIDs


def test_ids_are_random_uuids_in_text_form() -> None:
    ids = TaskIDs()
    for text in (ids.next() for _ in range(3 * AT_ONCE)):
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_no_id_comes_twice() -> None:
    ids = TaskIDs()
    assert len({ids.next() for _ in range(10_000)}) == 10_000


def test_a_forked_child_shares_no_id_with_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = TaskIDs()
    ids.next()
    supply = list(ids._supply)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert ids.next() not in supply
