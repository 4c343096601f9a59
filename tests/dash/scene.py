"""A Redis at a moment that stands still: tasks in every state, servers, schedulers; all as Redis holds it."""

from __future__ import annotations

import json
from typing import Any, Final

from asynq_py.wire import messages
from tests.state import NOW, NOW_NS, Hash, Kept, State, kept, lease, state

BINARY: Final = bytes(range(200, 240))


def task(task_id: str, kind: str, payload: Any, score: float = 0.0, **more: Any) -> Kept:
    """`payload`: bytes, or what becomes JSON."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    fields = more.pop("fields", None)
    return kept(task_id, score, fields=fields, **{"type": kind, "payload": data, "retry": 25, **more})


def mail(number: int, score: float = 0.0, **more: Any) -> Kept:
    return task(f"mail-{number:03}", "email:welcome", {"user_id": number}, score, **more)


def note(number: int, group: str) -> Kept:
    return task(f"note-{number}", "notify:push", {"n": number}, NOW - number, group_key=group)


def so_far(token: int, done: float, total: float | None, note: str) -> dict[str, bytes]:
    """What the try with that token has reported, 3 seconds ago."""
    told = {"done": done, "note": note, "at": NOW - 3, "retried": 0}
    told |= {} if total is None else {"total": total}
    return {"progress": b"%d:%s" % (token, json.dumps(told).encode())}


def default_queue() -> State:
    """Of each state some; enough pending ones for three pages."""
    waiting = {"pending_since": NOW_NS - 4_000_000_000}
    return state(
        "default",
        pending=[mail(number, fields=waiting) for number in range(120)],
        active=[
            task("video-1", "video:encode", {"file": "talk.mov", "to": ["av1", "hevc"]}, lease(1),
                 fields=so_far(1, 5400, 12_000, "second pass")),
            task("video-2", "video:encode", {"file": "demo.mov", "to": ["av1"]}, lease(2)),
            task("video-lost", "video:encode", {"file": "lost.mov"}, lease(3, NOW - 5)),
        ],
        scheduled=[task("report-1", "report:build", {"month": 12}, NOW + 5400, timeout=600)],
        retry=[
            task("hook-1", "webhook:call", BINARY, NOW + 42, retried=3, error_msg="503 Service Unavailable",
                 last_failed_at=int(NOW) - 18),
            task("pay-1", "payment:capture", {"order": 4711, "amount": "19.90"}, NOW + 95, retried=1,
                 error_msg="the bank did not answer within 10 s", last_failed_at=int(NOW) - 5),
        ],
        archived=[
            task("import-1", "import:file", {"path": "/in/orders.csv", "rows": [1, 2, 3], "user": "Zoë"},
                 NOW - 7200, retried=25, error_msg="ValueError: row 3: no such product: [bold]chair[/bold]",
                 last_failed_at=int(NOW) - 7200, timeout=1800, headers={"trace": "4bf92f3577b3"}),
            task("import-2", "import:file", {"path": "/in/stock.csv"}, NOW - 60, retried=25,
                 error_msg="FileNotFoundError: /in/stock.csv", last_failed_at=int(NOW) - 60),
        ],
        completed=[
            task("sum-1", "report:sum", {"month": 11}, NOW + 3600, retention=3600,
                 completed_at=int(NOW) - 30, fields={"result": b'{"total": 1234.5}'}),
        ],
        groups={
            "user:7": [note(n, "user:7") for n in (2, 1, 0)],
            "user:8": [note(9, "user:8")],
        },
        processed=48_210,
        failed=312,
    )  # fmt: skip


def scene() -> State:
    """Five queues, one of them paused."""
    busy = {"pending_since": NOW_NS - 250_000_000}
    found = default_queue()
    found |= state(
        "critical", pending=[task("pay-9", "payment:capture", {}, fields=busy)], processed=9_120, failed=2
    )
    found |= state(
        "images", active=[task("img-1", "image:resize", {}, lease(4))], processed=120_400, failed=40
    )
    found |= state(
        "low", scheduled=[task(f"low-{n}", "cleanup", {}, NOW + n) for n in range(40)], processed=77
    )
    found |= state("reports", archived=[task("old", "report:build", {}, NOW - 9)], processed=310, failed=31)
    found["asynq:queues"] = {"critical", "default", "images", "low", "reports"}
    found["asynq:{reports}:paused"] = str(int(NOW) - 600)
    return found | _servers() | _schedulers()


def _flow(
    flow: str,
    name: str,
    status: str,
    steps: dict[str, tuple[str, str]],
    *,
    age: int,
    made: int = 0,
    **more: Any,
) -> State:
    """`steps`: definition and state of each by ID; the queue of all is `media`. `made`: items of step 1."""
    numbered = sum(step.isdigit() for step in steps)
    counted = [standing for step, (_, standing) in steps.items() if not step.startswith("f")]
    head = {
        "name": name, "status": status, "created_at": NOW - age, "total": len(counted),
        "done": counted.count("done"), "steps": numbered, "follow_ups": sum(step[0] == "f" for step in steps),
        **({"n:1": made} if made else {}), **more,
    }  # fmt: skip
    for step, (definition, standing) in steps.items():
        told = {**json.loads(definition), "options": {"queue": "media"}}
        head |= {f"d:{step}": json.dumps(told), f"s:{step}": standing}
    return {f"asynq:flow:{{{flow}}}": Hash({key: str(value) for key, value in head.items()})}


def flows(more: int = 0) -> State:
    """Four flows, whose tasks are in the queue `media`; and `more` that have begun before."""
    listed, resize = '{"type": "photo:list"}', '{"type": "photo:resize"}'
    album = {
        "0": (listed, "done"),
        "1": ('{"type": "photo:resize", "after": [0], "each": true}', "waiting"),
        "1.0": (resize, "done"), "1.1": (resize, "sent"), "1.2": (resize, "sent"), "1.3": (resize, "sent"),
        "2": ('{"type": "album:publish", "after": [1]}', "waiting"),
        "f0": ('{"type": "notify:push"}', "idle"),
    }  # fmt: skip
    order = {
        "0": ('{"type": "order:pay"}', "done"),
        "1": ('{"type": "order:pack"}', "failed"),
        "2": ('{"type": "order:send", "after": [0, 1]}', "waiting"),
    }
    report = {"0": ('{"type": "report:build"}', "done")}
    found = state(
        "media",
        active=[
            task("album-7:1.1", "photo:resize", {"n": 1}, lease(11), fields=so_far(11, 3, 4, "thumbnails")),
        ],
        pending=[task("album-7:1.3", "photo:resize", {"n": 3})],
        retry=[task("album-7:1.2", "photo:resize", {"n": 2}, NOW + 20, retried=1, error_msg="disk full")],
        archived=[task("order-9:1", "order:pack", {}, NOW - 30, retried=25, error_msg="out of boxes")],
    )  # fmt: skip
    found |= _flow("album-7", "publish album", "running", album, age=95, made=4)
    found |= _flow(
        "order-9", "order", "failed", order, age=400, ended_at=NOW - 30, failed="1", error="out of boxes"
    )
    found |= _flow("report-3", "report", "succeeded", report, age=7200, ended_at=NOW - 7000)
    found |= _flow("report-4", "report", "cancelled", report, age=3600, ended_at=NOW - 3500)
    names = [f"old-{number:03}" for number in range(more)]
    for at, name in enumerate(names):
        found |= _flow(name, "old", "succeeded", report, age=90_000 + at, ended_at=NOW - 80_000)
    # when each is looked at next; those that ended, when they are forgotten
    due = {"album-7": NOW + 5, "order-9": NOW + 6, "report-3": NOW + 7, "report-4": NOW + 8}
    return found | {"asynq:flows": {**due, **{name: NOW + 100 + at for at, name in enumerate(names)}}}


def _servers() -> State:
    found: State = {"asynq:servers": {}, "asynq:workers": {}}
    servers = {
        "web-1": {"video-1": "video:encode", "video-2": "video:encode"},
        "web-2": {"img-1": "image:resize"},
    }
    for at, (host, running) in enumerate(servers.items()):
        info = messages.ServerInfo(
            host=host, pid=4000 + at, server_id=f"id-{host}", concurrency=10, status="active",
            queues={"critical": 6, "default": 3, "low": 1},
        )  # fmt: skip
        messages.set_instant(info.start_time, NOW - 86_400 * (at + 1))
        name = f"{{{host}:{4000 + at}:id-{host}}}"
        found["asynq:servers"][f"asynq:servers:{name}"] = NOW + 10
        found["asynq:workers"][f"asynq:workers:{name}"] = NOW + 10
        found[f"asynq:servers:{name}"] = messages.encode(info)
        workers = {}
        for task_id, kind in running.items():
            worker = messages.WorkerInfo(
                host=host, pid=4000 + at, server_id=f"id-{host}", task_id=task_id, task_type=kind,
                task_payload=b'{"file": "talk.mov"}', queue="images" if kind == "image:resize" else "default",
            )  # fmt: skip
            messages.set_instant(worker.start_time, NOW - 75)
            messages.set_instant(worker.deadline, NOW + 1725)
            workers[task_id] = messages.encode(worker)
        found[f"asynq:workers:{name}"] = Hash(workers)
    return found


def _schedulers() -> State:
    entries, name = [], "asynq:schedulers:{web-1:4000:s}"
    for at, (spec, kind, queue) in enumerate(
        [
            ("*/5 * * * *", "report:build", "reports"),
            ("@every 1h", "cleanup", "low"),
            ("0 3 * * *", "backup", "low"),
        ]
    ):
        entry = messages.SchedulerEntry(
            id=f"entry-{at}", spec=spec, task_type=kind, task_payload=b'{"from": "cron"}',
            enqueue_options=[f'Queue("{queue}")'],
        )  # fmt: skip
        messages.set_instant(entry.next_enqueue_time, NOW + 100 * (at + 1))
        messages.set_instant(entry.prev_enqueue_time, NOW - 200 * (at + 1))
        entries.append(messages.encode(entry))
    return {
        "asynq:schedulers": {name: NOW + 10},
        name: entries,
        **{f"asynq:scheduler_history:entry-{at}": _events(at) for at in range(len(entries))},
    }


def _events(entry: int) -> dict[Any, float]:
    events: dict[Any, float] = {}
    for at in range(4):
        event = messages.SchedulerEnqueueEvent(task_id=f"cron-{entry}-{at}")
        messages.set_instant(event.enqueue_time, NOW - 300 * (at + 1))
        events[messages.encode(event)] = NOW - 300 * (at + 1)
    return events
