from datetime import UTC, datetime
from typing import Any

import pytest

from asynq_py import InvalidOptionError
from asynq_py.progress import NOTE_LIMIT, Progress, read, report

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def reported(done: float, total: float | None = None, note: str | None = None) -> bytes:
    return report(done, total, note, at=AT.timestamp(), retried=2)


@pytest.mark.parametrize(
    ("given", "fraction", "text"),
    [
        ((3,), None, "3"),
        ((3, 12), 0.25, "3 of 12 (25%)"),
        ((0.5, 2.5, "counting ü"), 0.2, "0.5 of 2.5 (20%), counting ü"),
        ((15, 12), 1.0, "15 of 12 (100%)"),
        ((0, None, "starting"), None, "0, starting"),
    ],
)
def test_what_is_reported_is_read_again(given: tuple[Any, ...], fraction: float | None, text: str) -> None:
    total, note = (*given[1:], None, None)[:2]
    progress = read(reported(*given))

    assert progress is not None
    assert progress == Progress(done=given[0], total=total, note=note, at=AT)
    assert progress.fraction == fraction
    assert str(progress) == text


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ((-1,), "done"), ((True,), "done"), (("3",), "done"), ((float("nan"),), "done"),
        ((1, -5), "total"), ((1, float("inf")), "total"), ((1, "10"), "total"),
        ((1, 2, b"note"), "note"),
    ],
)  # fmt: skip
def test_what_is_no_progress_is_refused(given: tuple[Any, ...], option: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        reported(*given)
    assert caught.value.option == option


@pytest.mark.parametrize(
    "data",
    [
        None, b"", b"{", b"[]", b"null", b"{}", b'{"done":1}', b'{"done":"1","at":1}', b'{"done":1,"at":"1"}',
        b'{"done":1,"at":1,"total":-1}', b'{"done":1,"at":1,"total":"x"}', b'{"done":NaN,"at":1}', b"\xff",
    ],
)  # fmt: skip
def test_what_is_none_is_none(data: bytes | None) -> None:
    assert read(data) is None


def test_that_of_another_try_is_none() -> None:
    assert read(reported(1), retried=2) is not None
    assert read(reported(1), retried=3) is None


def test_a_note_is_kept_in_bounds_and_can_be_stored() -> None:
    progress = read(reported(1, None, "\ud800" + "x" * 1000))
    assert progress is not None
    assert progress.note == "?" + "x" * (NOTE_LIMIT - 1)


def test_all_of_nothing_is_done() -> None:
    progress = read(reported(0, 0))
    assert progress is not None
    assert (progress.fraction, str(progress)) == (1.0, "0 of 0 (100%)")
