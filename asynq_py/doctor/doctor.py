"""Doctor: examines a Redis and the queues in it, and repairs what it finds out of order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import Final, Self

from asynq_py.broker.faults import is_withheld
from asynq_py.broker.inspection import Inspection
from asynq_py.broker.lane import Command, Lane, Sender
from asynq_py.broker.lanes import open_lane
from asynq_py.broker.roster import Roster
from asynq_py.broker.survey import Damage, Survey
from asynq_py.clock import Clock, SystemClock
from asynq_py.connection import Connector, RedisSource
from asynq_py.doctor import queue_checks
from asynq_py.doctor.bounded import gather
from asynq_py.doctor.finding import Finding, Level, error, ok, skipped, worst
from asynq_py.doctor.queue_checks import Repair, planned, repaired
from asynq_py.doctor.rights import NEEDS, rights, trial
from asynq_py.doctor.scope import SAMPLE, Role
from asynq_py.doctor.server_checks import INFO_CHECKS, SETTINGS, Told, clock, cluster, latency
from asynq_py.errors import AsynqError, BrokerError, BrokerUnavailableError, InvalidOptionError
from asynq_py.wire.limits import DEFAULT_QUEUE

ROLE: Final = "doctor"
TIMED: Final = 5  # scripts that are timed
MOST: Final = 100_000  # tasks of a state that may be looked at


@dataclass(frozen=True, slots=True)
class Examination:
    """`damages`: what a repair would mend; hand them to `Doctor.repair`."""

    findings: Sequence[Finding]
    damages: Sequence[Damage]

    @property
    def level(self) -> Level:
        """The worst of the findings."""
        return worst(finding.level for finding in self.findings)

    @property
    def repairs(self) -> list[Repair]:
        """What a repair would do."""
        return planned(self.damages)


class Doctor:
    """Examines and repairs.

    `redis`: as for Client. `role`: whom the user of the connection is for, as far as rights are concerned.
    `sample`: tasks of each state of each queue that are looked at, and ten times as many keys in all.

    All methods raise BrokerUnavailableError when Redis is away. Where it answers but cannot serve, an
    examination says so in its findings.
    """

    def __init__(
        self,
        redis: RedisSource = None,
        *,
        role: Role | str = Role.WORKER,
        sample: int = SAMPLE,
        clock: Clock | None = None,
    ) -> None:
        if isinstance(sample, bool) or not 1 <= sample <= MOST:
            raise InvalidOptionError("sample", sample, f"a whole number from 1 to {MOST}")
        try:
            self._role = Role(role)
        except ValueError:
            raise InvalidOptionError("role", role, f"one of {', '.join(Role)}") from None
        self._sample = sample
        self._clock = clock or SystemClock()
        self._connector = Connector(redis)
        self._lane = open_lane(self._connector, role=ROLE)
        self._nodes: dict[str, Sender] = {}
        self._survey = Survey(self._lane, self._clock)

    async def examine(self) -> Examination:
        """Look, and change nothing."""
        await self._lane.call("PING")
        nodes = await self._all_nodes()
        by_node = await gather(*(self._server(node) for node in nodes.values()))
        findings = _merged(dict(zip(nodes, by_node, strict=True)))
        checks: tuple[tuple[str, Callable[[], Awaitable[Finding]]], ...] = (
            ("rights", self._rights), ("cluster", self._cluster), ("latency", self._latency),
        )  # fmt: skip
        findings += await gather(*(_tried(name, check) for name, check in checks))
        of_queues, damages = await queue_checks.examine(
            self._survey, list(nodes.values()), sample=self._sample
        )
        return Examination([*findings, *of_queues], damages)

    async def repair(self, damages: Iterable[Damage]) -> list[Repair]:
        """Mend what an examination found and what is still out of order, each in one atomic step.

        Raises: BrokerError: this user may not do that.
        """
        return [repaired(damage, await self._survey.mend(damage)) for damage in damages]

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        for lane in self._nodes.values():
            await lane.aclose()
        await self._lane.aclose()
        await self._connector.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- the checks -------------------------------------------------------------------------------------

    async def _all_nodes(self) -> Mapping[str, Sender]:
        """Lanes to all servers that have queues, by address."""
        nodes = self._connector.cluster
        if nodes is None:
            return {"": self._lane}
        for address in sorted(nodes.masters):
            self._nodes.setdefault(str(address), Lane(nodes.node(address), role=ROLE))
        return self._nodes

    async def _server(self, node: Sender) -> list[Finding]:
        try:
            info = await Roster(node).info()
        except (BrokerError, BrokerUnavailableError) as refusal:
            findings = [_refused(name, refusal) for name in INFO_CHECKS]
        else:
            expects = self._connector.is_watched or self._connector.cluster is not None
            told = Told(info, await _settings(node), expects)
            findings = [check(told) for check in INFO_CHECKS.values()]
        return [*findings, await _tried("clock", lambda: self._skew(node))]

    async def _skew(self, node: Sender) -> Finding:
        asked_at = self._clock.monotonic()
        seconds, microseconds = await node.call("TIME")
        ours, took = self._clock.time(), self._clock.monotonic() - asked_at
        return clock(ours, int(seconds) + int(microseconds) / 1e6, took)

    async def _rights(self) -> Finding:
        user = (await self._lane.call("ACL", "WHOAMI")).decode("utf-8", "replace")
        needed = NEEDS[self._role]
        answers = await self._lane.call_all(*(Command(trial(user, right)) for right in needed))
        return rights(user, self._role, dict(zip(needed, answers, strict=True)))

    async def _cluster(self) -> Finding:
        if self._connector.cluster is None:
            return ok("cluster", "there is none")
        return cluster(await Roster(self._lane).cluster_info())

    async def _latency(self) -> Finding:
        inspection = Inspection(self._lane, self._clock)
        await inspection.counts(DEFAULT_QUEUE)  # Redis may have to learn the script first
        script = [await self._timed(lambda: inspection.counts(DEFAULT_QUEUE)) for _ in range(TIMED)]
        trip = [await self._timed(lambda: self._lane.call("PING")) for _ in range(TIMED)]
        return latency(median(script), median(trip))

    async def _timed(self, work: Callable[[], Awaitable[object]]) -> float:
        begun_at = self._clock.monotonic()
        await work()
        return self._clock.monotonic() - begun_at


async def _settings(node: Sender) -> dict[str, str] | None:
    try:
        replies = await node.call_all(*(Command(("CONFIG", "GET", name)) for name in SETTINGS))
    except (BrokerError, BrokerUnavailableError):
        return None  # withheld, as it may be
    pairs = [[part.decode("utf-8", "replace") for part in reply] for reply in replies]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


async def _tried(name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await check()
    except (BrokerError, BrokerUnavailableError) as refusal:
        return _refused(name, refusal)


def _refused(name: str, refusal: AsynqError) -> Finding:
    if is_withheld(refusal):
        return skipped(name, "this user may not ask, or this server cannot answer", str(refusal))
    return error(name, str(refusal), "find out why Redis refused; other findings may tell")


def _merged(by_node: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """Of several servers: what is wrong with any, by address; else one finding for all."""
    if len(by_node) == 1:
        return list(*by_node.values())
    merged: list[Finding] = []
    for findings in zip(*by_node.values(), strict=True):
        wrong = [
            Finding(finding.check, finding.level, f"{address}: {finding.what}", finding.advice)
            for address, finding in zip(by_node, findings, strict=True)
            if finding.level is not Level.OK
        ]
        whats = {finding.what for finding in findings}
        what = whats.pop() if len(whats) == 1 else f"in order on all {len(findings)} masters"
        merged += wrong or [ok(findings[0].check, what)]
    return merged
