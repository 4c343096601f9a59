"""The verdict on ledgers written by hand: each promise that is broken is named, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.books import Books
from tests.verify.chaos.accounts import account
from tests.verify.chaos.causes import Bounds
from tests.verify.chaos.ledger import Entry
from tests.verify.chaos.nemesis import FAULTS, plan
from tests.verify.chaos.remains import Remains
from tests.verify.chaos.tally import Verdict
from tests.verify.chaos.verdict import judge

BOUNDS = Bounds(lease=4.0, skew=2.0, scan=0.5)


def story(text: str) -> list[Entry]:
    """A line an entry: time, who, event, and perhaps ID and details."""
    entries = []
    for line in text.strip().splitlines():
        at, who, event, *more = line.split(maxsplit=4)
        entries.append(Entry(float(at), who, event, *more))
    return entries


def verdict(text: str, left: Books, *, forgets: bool = False, **more: Any) -> Verdict:
    """`more`: of Remains."""
    return judge(account(story(text)), Remains({"default": left}, **more), BOUNDS, forgets=forgets)


ASKED = "1 producer-0.1 intent a default work - 0.0 0\n2 producer-0.1 ack a"
RUN = "3 worker-0.1 begin a 0 0 default\n4 worker-0.1 end a ok"
AGAIN = "10 worker-1.1 begin a 0 1 default\n11 worker-1.1 end a ok"
ONE = Books(processed=1)


def broken(text: str, left: Books = ONE, *, forgets: bool = False, **more: Any) -> set[str]:
    return set(verdict(text, left, forgets=forgets, **more).broken)


def test_a_task_that_was_run_once_breaks_no_promise() -> None:
    assert not broken(f"{ASKED}\n{RUN}")


def test_an_acknowledged_task_that_is_nowhere_is_lost() -> None:
    assert broken(ASKED, Books()) == {"acknowledged tasks lost"}


@pytest.mark.parametrize("told", ["unknown", "refused"])
def test_a_task_that_was_not_acknowledged_may_be_nowhere(told: str) -> None:
    assert not broken(ASKED.replace("ack", told), Books())


def test_a_task_put_aside_is_not_lost() -> None:
    failed = RUN.replace("ok", "failed")
    assert not broken(f"{ASKED}\n{failed}", Books(archived={"a"}, processed=1, failed=1))


def test_a_run_nobody_asked_for_is_a_phantom() -> None:
    assert broken(RUN) == {"phantoms: run, and never asked for, or refused"}
    refused = ASKED.replace("ack", "refused")
    assert broken(f"{refused}\n{RUN}") == {"phantoms: run, and never asked for, or refused"}


@pytest.mark.parametrize(
    "left",
    [
        replace(ONE, pending=("b",)),
        replace(ONE, active=("b",)),
        replace(ONE, retry={"b"}),
        replace(ONE, unleased={"b"}),
        replace(ONE, ghosts={"b"}),
        replace(ONE, strays={"b"}),
    ],
)
def test_what_is_left_in_no_final_state_is_stuck(left: Books) -> None:
    assert broken(f"{ASKED}\n{RUN}", left) == {"stuck: tasks in no final state, leases, ghosts, strays"}


def test_a_result_that_was_to_be_kept_must_be_there() -> None:
    kept = ASKED.replace("0.0 0", "0.0 1")
    assert broken(f"{kept}\n{RUN}") == {"results lost"}
    assert not broken(f"{kept}\n{RUN}", replace(ONE, completed={"a"}))


def test_a_second_run_after_a_success_must_have_a_cause() -> None:
    assert broken(f"{ASKED}\n{RUN}\n{AGAIN}") == {"duplicates unexplained"}


@pytest.mark.parametrize(
    "fault",
    [
        "4.1 nemesis fault worker-0.1 kill-worker 0.0\n4.2 nemesis exited worker-0.1 -9",
        "3.5 nemesis fault worker-0.1 freeze-worker 6.0",
        "3.5 nemesis fault worker-0 part-link 6.0",
        "3.5 nemesis fault servers freeze 4.0",
        "3.5 worker-0.1 stalled - 6.0",
        # its outcome waits for the loop
        "4.1 worker-0.1 blocks b 5.2\n"
        "9.2 nemesis fault worker-0.1 kill-worker 0.0\n9.3 nemesis exited worker-0.1 -9",
    ],
)
def test_a_fault_that_costs_a_lease_explains_a_second_run(fault: str) -> None:
    assert not broken(f"{ASKED}\n{RUN}\n{fault}\n{AGAIN}")


@pytest.mark.parametrize(
    "fault",
    [
        "3.5 nemesis fault worker-0.1 freeze-worker 0.5",
        "3.5 nemesis fault worker-3.1 freeze-worker 6.0",
        "3.5 nemesis fault worker-0 drop-reply 0.0",
        "3.5 nemesis fault servers restart 0.2",
        "3.5 nemesis fault servers starve 3.0",
        "9.2 nemesis fault worker-0.1 kill-worker 0.0\n9.3 nemesis exited worker-0.1 -9",
        "3.5 nemesis fault worker-0.1 term-worker 0.0\n4.2 nemesis exited worker-0.1 0",
    ],
)
def test_a_fault_that_costs_no_lease_explains_nothing(fault: str) -> None:
    assert broken(f"{ASKED}\n{RUN}\n{fault}\n{AGAIN}") == {"duplicates unexplained"}


def test_a_run_after_a_failed_one_is_no_duplicate() -> None:
    first = RUN.replace("ok", "failed")
    seen = verdict(f"{ASKED}\n{first}\n{AGAIN}", Books(processed=2, failed=1))
    assert not seen.failed
    assert seen.figures["duplicates explained"] == 0


def test_a_task_whose_enqueueing_was_answered_after_it_had_run_may_run_again() -> None:
    late = ASKED.replace("\n2 producer-0.1 ack a", "")
    again = AGAIN.replace("0 1 default", "0 0 default")
    assert not broken(f"{late}\n{RUN}\n5 producer-0.1 ack a\n{again}", replace(ONE, processed=2))


def test_two_runs_at_the_same_time_need_a_fault_that_keeps_one_from_knowing() -> None:
    beside = (
        "3 worker-0.1 begin a 0 0 default\n3.1 nemesis fault worker-0.1 term-worker 0.0\n"
        "3.2 worker-1.1 begin a 0 0 default\n3.3 worker-0.1 end a shutdown\n3.4 worker-1.1 end a ok"
    )
    assert broken(f"{ASKED}\n{beside}") == {"runs at the same time, unexplained"}


def test_a_final_transition_is_counted_once() -> None:
    assert broken(f"{ASKED}\n{RUN}", Books(processed=2)) == {"final transitions made twice"}
    assert broken(f"{ASKED}\n{RUN}", Books(processed=0)) == {"final transitions not counted"}
    assert not broken(f"{ASKED}\n{RUN}", Books(processed=0), forgets=True)


UNIQUE = """
1 producer-0.1 intent a default unique key 0.0 0
2 producer-0.1 ack a
2.1 worker-0.1 begin a 0 0 default
{}
2.9 worker-0.1 end a ok
3 worker-0.1 begin b 0 0 default
4 worker-0.1 end b ok
"""
TWO = Books(processed=2)


def test_of_two_unique_tasks_the_second_waits_for_the_end_of_the_first() -> None:
    second = "2.{} producer-0.1 intent b default unique key 0.0 0\n2.{} producer-0.1 ack b"
    assert broken(UNIQUE.format(second.format(3, 4)), TWO) == {"unique tasks beside each other"}
    # the answer may have come before the end, but need not
    assert not broken(UNIQUE.format(second.format(3, 95)), TWO)


def unique(temper: str, *asked: tuple[float, str]) -> str:
    return "\n".join(
        f"{at} producer-0.1 intent {task_id} default {temper} key 0.0 0\n"
        f"{at + 0.1} producer-0.1 ack {task_id}"
        for at, task_id in asked
    )


def ran(task_id: str, at: float, end: str = "ok") -> str:
    return f"{at} worker-0.1 begin {task_id} 0 0 default\n{at + 0.1} worker-0.1 end {task_id} {end}"


@pytest.mark.parametrize("rule", ["until-success", "until-end"])
def test_a_rule_keeps_others_off_until_the_first_has_ended(rule: str) -> None:
    asked = unique(rule, (1, "a"), (2, "b"))
    assert broken(in_order(asked, ran("a", 3), ran("b", 4)), TWO) == {"unique tasks beside each other"}
    assert not broken(in_order(asked, ran("a", 1.5), ran("b", 4)), TWO)


def test_a_rule_for_a_time_keeps_others_off_for_that_time_whatever_becomes_of_the_first() -> None:
    soon, late = (unique("for-a-time", (1, "a"), (at, "b")) for at in (2, 4))
    runs = ran("a", 1.2), ran("b", 5)
    assert broken(in_order(soon, *runs), TWO) == {"unique tasks beside each other"}
    assert not broken(in_order(late, *runs), TWO)


def test_a_task_that_is_replaced_is_not_lost_and_does_not_run_any_more() -> None:
    asked = unique("replacing", (1, "a"), (2, "b"))
    assert not broken(in_order(asked, ran("b", 3)))
    assert broken(in_order(asked, ran("a", 1.5))) == {"acknowledged tasks lost"}
    assert broken(in_order(asked, ran("b", 3), ran("a", 4)), TWO) == {"tasks run after they were replaced"}


def test_a_success_that_was_not_written_may_be_replaced_and_is_not_counted_then() -> None:
    asked = unique("replacing", (1, "a"), (9, "b"))
    killed = "4.1 nemesis fault worker-0.1 kill-worker 0.0\n4.2 nemesis exited worker-0.1 -9"
    after = ran("b", 10).replace("worker-0.1", "worker-1.1")
    assert broken(in_order(asked, ran("a", 4), after)) == {"final transitions not counted"}
    assert not broken(in_order(asked, ran("a", 4), killed, after))


def in_order(*parts: str) -> str:
    lines = [line for part in parts for line in part.splitlines() if line]
    return "\n".join(sorted(lines, key=lambda line: float(line.split()[0])))


MEMBERS = """
1 producer-0.1 intent a default member - 0.0 0
1 producer-0.1 intent b default member - 0.0 0
2 producer-0.1 ack a
2 producer-0.1 ack b
3 worker-0.1 gathers g ["a","b"]
"""
DIGEST = '4 worker-0.1 members d ["a","b"]\n' + ran("d", 4)


def test_each_member_of_a_group_is_in_one_digest_that_has_run() -> None:
    assert not broken(MEMBERS + DIGEST)
    assert broken(MEMBERS, Books()) == {"group members lost"}
    assert broken(MEMBERS + DIGEST.replace("ok", "failed"), Books(processed=1, failed=1)) == {
        "group members lost"
    }
    assert not broken(MEMBERS, Books(archived={"d"}, processed=1, failed=1)) & {"phantoms"}


def test_a_member_that_still_waits_is_told_but_not_lost() -> None:
    assert broken(MEMBERS, Books(), grouped={"a", "b"}) == {"group members that still wait"}


def test_a_member_in_two_digests_was_aggregated_twice_unless_it_was_asked_for_twice() -> None:
    second = '6 worker-0.1 members e ["b"]\n' + ran("e", 6)
    assert broken(MEMBERS + DIGEST + "\n" + second, TWO) == {"group members aggregated twice"}
    late = in_order(MEMBERS.replace("2 producer-0.1 ack b", "5 producer-0.1 ack b"), DIGEST, second)
    assert not broken(late, TWO)
    fault = "4.5 nemesis fault servers restart 0.2"
    assert broken(in_order(MEMBERS, DIGEST, fault, second), TWO)
    assert not broken(in_order(MEMBERS, DIGEST, fault, second), TWO, forgets=True)


def test_a_member_does_not_run_by_itself_and_was_asked_for() -> None:
    alone = "5 worker-0.1 begin a 0 0 default\n6 worker-0.1 end a failed"
    assert broken(MEMBERS + DIGEST + "\n" + alone, Books(processed=2, failed=1)) == {
        "group members that ran by themselves"
    }
    unknown = DIGEST.replace('"b"]', '"b","c"]')
    assert broken(MEMBERS + unknown) == {"phantoms: run, and never asked for, or refused"}


FLOW = "1 producer-0.1 flow w 2 0\n1.1 producer-0.1 ack w"
STEPS = (ran("w:0", 2), ran("w:1", 3), ran("w:2", 4))
JOIN = '5 worker-0.1 joins w:3 ["w:1","w:2"]\n' + ran("w:3", 5)
AFTER = ran("w:f0", 6)
SUCCEEDED = {"w": "succeeded"}


def of_flow(*parts: str, status: str = "succeeded", left: Books | None = None, **more: Any) -> set[str]:
    text = in_order(FLOW, *parts)
    ends = [line.split()[4] for line in text.splitlines() if line.split()[2] == "end"]
    counted = Books(processed=len(ends), failed=len(ends) - ends.count("ok"))
    return broken(text, left or counted, flows={"w": status} if status else {}, **more)


def test_a_flow_that_succeeds_has_run_all_its_steps_and_what_follows() -> None:
    assert not of_flow(*STEPS, JOIN, AFTER)
    undone = {"flows that ended, but steps of them, or what follows, did not run"}
    assert of_flow(*STEPS[:2], JOIN, AFTER) == undone | {"joins before their parts"}
    assert of_flow(*STEPS, JOIN) == undone


def test_a_flow_must_end_and_must_not_vanish() -> None:
    assert of_flow(*STEPS, status="running") == {"flows that do not end"}
    assert of_flow(*STEPS, JOIN, AFTER, status="") == {"flows lost"}
    fault = "3.5 nemesis fault servers move 0.2"
    assert not of_flow(*STEPS, JOIN, AFTER, fault, status="", forgets=True)
    assert of_flow(*STEPS, JOIN, AFTER, fault.replace("3.5", "30"), status="", forgets=True) == {"flows lost"}


def test_what_follows_a_flow_may_be_lost_by_a_failover_while_it_is_enqueued_and_not_later() -> None:
    fault = "5.8 nemesis fault servers freeze 3.0"
    assert not of_flow(*STEPS, JOIN, fault, forgets=True)
    assert of_flow(*STEPS, JOIN, fault)
    assert of_flow(*STEPS, JOIN, fault.replace("5.8", "30"), forgets=True)


def test_a_flow_fails_when_a_step_is_put_aside_and_then_its_alarm_runs() -> None:
    failed = ran("w:0", 2, "failed"), ran("w:f1", 3)
    aside = Books(archived={"w:0"}, processed=2, failed=1)
    assert not of_flow(*failed, status="failed", left=aside)
    assert of_flow(failed[0], status="failed", left=replace(aside, processed=1)) == {
        "flows that ended, but steps of them, or what follows, did not run"
    }
    assert of_flow(*STEPS, JOIN, failed[1], status="failed") == {"flows that failed, though no step did"}
    assert of_flow(*STEPS, JOIN, AFTER, failed[1]) == {"flows that ended both ways"}


def test_a_join_comes_after_its_parts_and_gets_their_results() -> None:
    assert of_flow(*STEPS[:2], ran("w:2", 5.5), JOIN, AFTER) == {"joins before their parts"}
    wrong = JOIN.replace('"w:1","w:2"', '"w:1"')
    assert of_flow(*STEPS, wrong, AFTER) == {"joins of other parts than theirs"}


def test_a_step_of_a_flow_that_was_refused_is_a_phantom() -> None:
    refused = FLOW.replace("ack", "refused")
    assert broken(f"{refused}\n{ran('w:0', 2)}") == {"phantoms: run, and never asked for, or refused"}


def test_a_join_that_runs_twice_needs_a_cause() -> None:
    assert of_flow(*STEPS, JOIN, AFTER, ran("w:3", 9), left=Books(processed=5)) == {"duplicates unexplained"}


def test_a_worker_in_go_has_the_time_of_its_own_lease_to_write_what_it_did() -> None:
    killed = "15 nemesis fault {0} kill-{1} 0.0\n15.1 nemesis exited {0} -9"
    again = "40 worker-1.1 begin a 0 1 default\n41 worker-1.1 end a ok"
    go = RUN.replace("worker-0.1", "go-0.1")
    assert not broken(f"{ASKED}\n{go}\n{killed.format('go-0.1', 'go')}\n{again}")
    assert broken(f"{ASKED}\n{RUN}\n{killed.format('worker-0.1', 'worker')}\n{again}") == {
        "duplicates unexplained"
    }


def test_a_lock_must_not_outlive_its_task() -> None:
    assert broken(f"{ASKED}\n{RUN}", replace(ONE, locks=1)) == {"locks left behind"}


def test_a_task_must_not_run_before_it_is_due() -> None:
    assert broken(f"{ASKED.replace('- 0.0', '- 5.0')}\n{RUN}") == {"tasks run too early"}


def ticks(*begun: str) -> str:
    noted = [f"{n} scheduler-0.1 tick t{n} {n}\n{n} scheduler-1.1 tick u{n} {n}" for n in range(1, 4)]
    ran = [
        f"{n} worker-0.1 begin {task} 0 0 default\n{n}.5 worker-0.1 end {task} ok"
        for n, task in enumerate(begun)
    ]
    return "\n".join(noted + ran)


def test_each_tick_is_run_as_one_task() -> None:
    assert not broken(ticks("t1", "u2", "t3"), Books(processed=3))
    assert broken(ticks("t1", "t3"), TWO) == {"ticks missing"}
    assert broken(ticks("t1", "u1", "t2"), Books(processed=3)) == {"ticks twice"}


def test_a_process_must_not_end_by_itself() -> None:
    by_itself = "5 nemesis exited worker-0.1 1"
    assert broken(f"{ASKED}\n{RUN}\n{by_itself}") == {"processes that ended by themselves"}
    told = "4.5 nemesis fault worker-0.1 term-worker 0.0\n5 nemesis exited worker-0.1 0"
    assert not broken(f"{ASKED}\n{RUN}\n{told}")
    assert broken(f"{ASKED}\n{RUN}\n5 nemesis deaf worker-0.1") == {"processes that did not end when told to"}
    at_the_end = "4.5 nemesis over\n5 nemesis exited worker-0.1 0"
    assert not broken(f"{ASKED}\n{RUN}\n{at_the_end}")


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    for topology, faults in FAULTS.items():
        first = plan("7", 180.0, topology)
        assert first == plan("7", 180.0, topology)
        assert first != plan("8", 180.0, topology)
        assert {strike.fault for strike in plan("7", 1.0, topology)} == set(faults)
