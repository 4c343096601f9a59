"""Inspector: look at queues and tasks, and steer them. Behaviour 13."""

from __future__ import annotations

from asynq_py.inspector.bulk import Bulk
from asynq_py.inspector.flows import Flows
from asynq_py.inspector.lists import Lists
from asynq_py.inspector.processes import Processes
from asynq_py.inspector.queues import Queues


class Inspector(Queues, Lists, Flows, Bulk, Processes):
    """What operators need to see and do.

    `redis`: as for Client. All methods raise BrokerUnavailableError when Redis is away, InvalidOptionError
    for a blank name, and QueueNotFoundError where they look into a queue and there is none of that name.

    Lists come in pages: `page` counts from 1, `size` is 1 to 10 000. A task whose message is garbled is told
    with the type "asynq:undecodable". What concerns all tasks of a state goes in small steps that hold nobody
    up, so it is not one moment: tasks that come or go meanwhile may be among them or not.
    """
