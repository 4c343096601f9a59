"""Task states. Wire format 4.2; behaviour 2.6."""

from asynq_py.wire.keys import QueueKeys
from asynq_py.wire.state import TaskState


def test_names_and_numbers_are_those_of_go() -> None:
    assert {state.value: state.number for state in TaskState} == {
        "active": 1,
        "pending": 2,
        "scheduled": 3,
        "retry": 4,
        "archived": 5,
        "completed": 6,
        "aggregating": 7,
    }


def test_scripts_can_build_the_key_of_a_state_from_its_name() -> None:
    """Wire format 2.2."""
    keys = QueueKeys("q")
    for state in (s for s in TaskState if s is not TaskState.AGGREGATING):
        assert getattr(keys, state) == keys.prefix + state
