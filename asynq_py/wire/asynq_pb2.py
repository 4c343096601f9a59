"""The message classes of `asynq.proto`, built from its compiled descriptor (`make proto`).

Generated Python code is tied to one major version of the protobuf runtime and registers its types in a pool
shared by the whole process. A descriptor loaded into a pool of our own works with every runtime since 5.27
and cannot collide with another package's `asynq` messages. Types: `asynq_pb2.pyi`, generated.
"""

from importlib.resources import files

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_pool = DescriptorPool()
for _file in FileDescriptorSet.FromString(files("asynq_py.wire").joinpath("asynq.desc").read_bytes()).file:
    _pool.Add(_file)  # type: ignore[no-untyped-call]

DESCRIPTOR = _pool.FindFileByName("asynq.proto")
TaskMessage = GetMessageClass(_pool.FindMessageTypeByName("asynq.TaskMessage"))
ServerInfo = GetMessageClass(_pool.FindMessageTypeByName("asynq.ServerInfo"))
WorkerInfo = GetMessageClass(_pool.FindMessageTypeByName("asynq.WorkerInfo"))
SchedulerEntry = GetMessageClass(_pool.FindMessageTypeByName("asynq.SchedulerEntry"))
SchedulerEnqueueEvent = GetMessageClass(_pool.FindMessageTypeByName("asynq.SchedulerEnqueueEvent"))
