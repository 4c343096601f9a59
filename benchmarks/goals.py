"""What we want to be true, and whether a run says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.distribution import percentile
from benchmarks.record import Record

OURS, BARE, GO = "asynq-py", "bare loop", "asynq (Go)"
LEVEL = 0.03  # so near to a goal is level with it
IDEAL = 10_000.0  # tasks/s of 100 slots and tasks of 10 ms
PING, SPEED = "PING, 1 client", 15_600.0  # of the machine that the absolute goals were set on


@dataclass(frozen=True)
class Goal:
    """`value` is None when it was not measured. `least`: it should be at least `target`, else at most.

    `there`: about the same on the machine that the goals were set on, where the speed of the machine counts.
    """

    title: str
    value: float | None
    target: float
    unit: str = "\u00d7"
    least: bool = True
    there: float | None = None

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        gain = self.value / self.target if self.least else self.target / max(self.value, 1e-9)
        return "level" if abs(gain - 1) <= LEVEL else "ahead" if gain > 1 else "behind"


def goals(record: Record) -> list[Goal]:
    return [*_throughput(record), *_enqueueing(record), *_latency(record), *_cost(record), *_growth(record)]


def _throughput(record: Record) -> Iterator[Goal]:
    for system, target in (
        (GO, 4.0),
        ("ardiq", 3.0),
        ("arq", 12.0),
        ("SAQ", 12.0),
        ("taskiq (streams)", 12.0),
    ):
        yield Goal(f"drain no-op, c=100, to {system}", record.ratio("c100", OURS, system), target)
    yield Goal("drain no-op, c=100, to the bare loop", record.ratio("c100", OURS, BARE), 0.6)
    yield Goal(f"drain no-op, c=10, to {GO}", record.ratio("c10", OURS, GO), 1.8)
    rate = record.rate("10ms", OURS)
    yield Goal("drain 10 ms, c=100, of the ideal", rate and rate / IDEAL * 100, 93.0, "%")


def _enqueueing(record: Record) -> Iterator[Goal]:
    one = _best(record, "one", asynchronous=True)
    yield Goal(
        f"enqueue one by one, to the best async Python peer ({one})", record.ratio("one", OURS, one), 1.0
    )
    best = _best(record, "together")
    yield Goal(
        f"enqueue 100 at once, to the best Python peer ({best})", record.ratio("together", OURS, best), 2.0
    )
    yield Goal(f"enqueue 100 at once, to {GO}", record.ratio("together", OURS, GO), 0.8)
    best = _best(record, "batch")
    yield Goal(f"enqueue_many, to the best Python peer ({best})", record.ratio("batch", OURS, best), 2.0)
    yield Goal(f"enqueue_many, to 200 goroutines of {GO}", record.ratio("batch", OURS, GO), 1.0)


def _latency(record: Record) -> Iterator[Goal]:
    for figure, title in (("latency", "idle latency"), ("from_go", "idle latency, tasks from Go")):
        for rank, target in ((50, 1.3), (99, 2.5)):
            yield _timed(record, f"{title}, p{rank}", percentile(record.of(figure, OURS), rank), target, "ms")
    late = percentile(record.of("late", OURS), 99)
    yield Goal("lateness of delayed tasks, p99", late, 50.0, "ms", least=False)


def _cost(record: Record) -> Iterator[Goal]:
    idle = record.of("idle", OURS)
    commands = median(answer.commands / answer.seconds for answer in idle) if idle else None
    yield Goal("idle Redis commands/s", commands, 5.0, "/s", least=False)
    cpu = median(answer.cpu / answer.seconds * 100 for answer in idle) if idle else None
    yield _timed(record, "idle worker's processor", cpu, 0.2, "%")
    drained = record.of("c100", OURS)
    memory = median(answer.rss / 2**20 for answer in drained) if drained else None
    yield Goal("worker memory, c=100", memory, 50.0, "MiB", least=False)
    worker = median(answer.cpu / answer.tasks * 1e4 for answer in drained) if drained else None
    yield _timed(record, "worker CPU per 10,000 no-op tasks", worker, 0.25, "s")
    redis = median(answer.redis_cpu / answer.tasks * 1e4 for answer in drained) if drained else None
    yield _timed(record, "Redis CPU per 10,000 no-op tasks", redis, 0.15, "s")


def _growth(record: Record) -> Iterator[Goal]:
    small, large = record.rate("backlog10000", OURS), record.rate("backlog1000000", OURS)
    ratio = large / small if small and large else None
    yield Goal("tasks/s with 1,000,000 pending, to 10,000 pending", ratio, 0.9)
    one, two = record.rate("processes1", OURS), record.rate("processes2", OURS)
    yield Goal("two processes, to one", two / one if one and two else None, 1.6)
    long = record.of("million", OURS)
    speed = long[0].samples[-1] / long[0].samples[0] if long and long[0].samples else None
    yield Goal("1,000,000 tasks: speed of the last tenth, to the first", speed, 0.9)
    memory = long[0].marks[-1] / long[0].marks[1] if long and len(long[0].marks) > 1 else None
    yield Goal("1,000,000 tasks: memory at the end, to that after a tenth", memory, 1.1, least=False)


def _timed(record: Record, title: str, value: float | None, target: float, unit: str) -> Goal:
    """A goal in time, which a slower machine cannot reach by the same program."""
    pings = [values[PING] for values in record.yardsticks if PING in values]
    there = value * median(pings) / SPEED if value is not None and pings else None
    return Goal(title, value, target, unit, least=False, there=there)


def _best(record: Record, figure: str, *, asynchronous: bool = False) -> str:
    """The fastest Python peer; a dash where none was measured."""
    rates = {
        system["name"]: rate
        for system in record.systems
        if system["is_python"]
        and system["name"] not in (OURS, BARE)
        and (system["is_asynchronous"] or not asynchronous)
        and (rate := record.rate(figure, system["name"]))
    }
    return max(rates, key=lambda name: rates[name]) if rates else "\u2013"
