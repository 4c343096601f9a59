"""Every number that other processes on the same Redis rely on, or that bounds what we write.

Spans are in seconds.
"""

from typing import Final

# wire format 9: the constants of asynq (Go)
LEASE: Final = 30.0
HEARTBEAT: Final = 5.0
STATISTICS_TTL: Final = 90 * 24 * 3600
ARCHIVE_SIZE: Final = 10_000
ARCHIVE_AGE: Final = 90 * 24 * 3600
DEFAULT_TIMEOUT: Final = 30 * 60
DEFAULT_MAX_RETRY: Final = 25
DEFAULT_QUEUE: Final = "default"
AGGREGATION_TIME: Final = 120
MAX_INT64: Final = 9223372036854775807
MAX_INT32: Final = 2147483647
SCHEDULER_HEARTBEAT: Final = 10.0

# our own; none of them can be seen by a peer
FORWARD_BATCH: Final = 100  # tasks a script moves at once: keeps a script well under 5 ms
RECOVER_BATCH: Final = 100
REPAIR_BATCH: Final = 500  # tasks a look for lost leases, or their repair, covers in one script
REPAIR_DEPTH: Final = 10_000  # running tasks of a queue looked at in one pass; the oldest are lost first
TRIM_BATCH: Final = 250  # archived tasks a script forgets at once: more than it adds, so it shrinks
GROUP_LOOK: Final = 200  # groups, or tasks of a set, that a script looks at
GROUP_SET: Final = 1000  # tasks aggregated at once where no other size is set
GROUP_SET_MAX: Final = 5000  # an aggregation ends in one script, which must stay short
RECLAIM_BATCH: Final = 500  # tasks of a set that a script gives back to their group
ENQUEUE_BATCH: Final = 200
INSPECT_BATCH: Final = 50  # tasks an inspector runs, archives, deletes or reads in one script
GROUP_BATCH: Final = 100  # groups asked for at once
MEMORY_SAMPLE: Final = 20  # tasks weighed in each state, and in each of some groups
MEMORY_GROUPS: Final = 5
SETTLE_BATCH: Final = 200
LEASE_SKEW: Final = 5.0  # how far the clocks of two servers may differ before a lease is taken too early
POISON_LIMIT: Final = 3  # workers that may die on a task before it is archived (reliability guide F29)
PAYLOAD_LIMIT: Final = 1 << 20  # bytes
RESULT_LIMIT: Final = 1 << 20  # bytes
HEADERS: Final = 64  # of one task
HEADERS_LIMIT: Final = 64 << 10  # bytes of UTF-8, names and values of one task together
ERROR_TEXT_LIMIT: Final = 4096  # bytes of UTF-8
TICK_TTL: Final = 90 * 24 * 3600  # how long the last time of a scheduler's entry is remembered at least
HISTORY_TTL: Final = 7 * 24 * 3600  # how long what an entry enqueued is remembered at least
FLOW_STEPS: Final = 2000  # of one flow; the end of one may let all others be enqueued, in one script
FLOW_EDGES: Final = 20_000  # of one flow: how many steps wait for how many others
FLOW_BATCH: Final = 100  # steps of a flow written, enqueued or looked at together
FLOW_LIFE: Final = 90 * 24 * 3600  # how long a flow lives that nobody looks at any more
FLOW_UNBORN: Final = 3600  # how long steps are kept of a flow that does not begin
FLOW_KEPT: Final = 24 * 3600  # how long a flow that ended is kept where nothing else is said
STEP_KEPT: Final = 3600  # how long a step is kept at least that succeeded, until its flow has seen it
NAME_LIMIT: Final = 255  # characters of a task type, queue, ID or group name
