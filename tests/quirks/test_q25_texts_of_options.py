"""Q-25: some texts of options break those who read a scheduler's entries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asynq_py.errors import InvalidOptionError
from asynq_py.option_text import write
from asynq_py.options import DEFAULTS


@given(name=st.text(min_size=1, max_size=20), retries=st.integers(0, 9))
def test_q25_no_text_is_published_that_breaks_a_go_reader(name: str, retries: int) -> None:
    try:
        options = DEFAULTS.override({"queue": name, "task_id": name, "group": name, "max_retry": retries})
    except InvalidOptionError:
        return
    for text in write(options):
        word, bracket, rest = text.partition("(")
        assert word.isalpha()
        assert bracket  # without one Go panics
        assert rest.index(")") == len(rest) - 1  # Go reads as far as the first


def test_q25_a_name_with_a_bracket_leaves_the_other_options_readable() -> None:
    assert write(DEFAULTS.override({"queue": "a(b)c", "max_retry": 3})) == ["MaxRetry(3)"]
