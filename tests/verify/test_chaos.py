"""A short soak under faults; and the same on a product that is broken on purpose, which must be told."""

from __future__ import annotations

import shutil

import pytest

from tests.verify.chaos import breakage, soak

pytestmark = [
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server on this machine"),
    pytest.mark.timeout(900),
]


def test_a_soak_breaks_no_promise() -> None:
    verdict = soak.run(soak.Settings("standalone", seconds=8.0, seed="smoke", has_go=False))

    assert not verdict.broken
    assert verdict.figures["runs"]


def test_a_soak_of_a_broken_product_fails() -> None:
    settings = soak.Settings(
        "standalone", seconds=4.0, seed="smoke", broken="done-keeps-hashes", has_go=False
    )

    verdict = soak.run(settings)

    assert set(verdict.broken) == {breakage.PROMISES["done-keeps-hashes"]}


def test_of_each_breakage_it_is_said_which_promise_it_breaks() -> None:
    assert set(breakage.PROMISES) == set(breakage.NAMES)


@pytest.mark.parametrize("name", breakage.SCRIPTS)
def test_what_is_broken_on_purpose_is_still_there_to_be_broken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = breakage.places_of(name)
    for module, attribute, script in before:
        monkeypatch.setattr(module, attribute, script)  # so that it is put back

    breakage.break_scripts(name)

    assert before
    assert not set(breakage.places_of(name)) & set(before)
