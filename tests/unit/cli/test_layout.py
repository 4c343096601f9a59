from __future__ import annotations

from asynq_py.cli.layout import widths


def test_what_fits_is_left_as_it_is() -> None:
    assert widths([36, 5, 20], [2, 5, 4], [False, True, False], 65, 2) == [36, 5, 20]


def test_the_widest_text_gives_first() -> None:
    assert widths([36, 5, 30, 20], [2, 5, 4, 4], [False, True, False, False], 90, 2) == [36, 5, 23, 20]
    assert widths([36, 5, 30, 20], [2, 5, 4, 4], [False, True, False, False], 80, 2) == [36, 5, 16, 17]


def test_neither_numbers_nor_ids_are_broken() -> None:
    assert widths([36, 12, 30], [2, 9, 4], [False, True, False], 20, 2) == [36, 12, 10]


def test_a_lead_that_is_longer_than_an_id_gives_down_to_that() -> None:
    assert widths([200, 8], [2, 4], [False, False], 80, 2) == [70, 8]
    assert widths([200, 8], [2, 4], [False, False], 20, 2) == [36, 8]


def test_headers_stay_whole() -> None:
    assert widths([5, 30], [5, 15], [False, False], 10, 2) == [5, 15]
