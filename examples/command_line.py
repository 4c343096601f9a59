"""What the command line serves: `asynq-py worker command_line:server` in this folder.

Run as a program, it does so itself, and looks at a task on the command line, too.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from asynq_py import ActiveTask, Scheduler, ServeMux, Server, Task

mux = ServeMux()


@mux.handler("report:build")
async def build_report(task: ActiveTask) -> None:
    await task.write_result(f"report of {task.json()['month']}".encode())


server = Server(None, mux, queues={"default": 3, "low": 1})


def make_scheduler() -> Scheduler:
    scheduler = Scheduler()
    scheduler.register("0 6 1 * *", Task("report:build", {"month": "the last one"}))
    return scheduler


def asynq_py(*arguments: str) -> str:
    """Run the command line to its end. Returns what it prints."""
    program = [sys.executable, "-m", "asynq_py", *arguments]
    return subprocess.run(program, check=True, capture_output=True, text=True, encoding="utf-8").stdout


def main() -> None:
    payload = json.dumps({"month": "may"})
    asynq_py("task", "enqueue", "report:build", payload, "--id", "may", "--retention", "1h")
    print("before:", json.loads(asynq_py("queue", "ls", "--json"))["queues"][0]["pending"], "pending")
    worker = [sys.executable, "-m", "asynq_py", "worker", "command_line:server", "--log-level", "warning"]
    with subprocess.Popen(worker, cwd=Path(__file__).parent) as process:
        task = {"state": ""}
        while task["state"] != "completed":
            (task,) = json.loads(asynq_py("task", "inspect", "may", "--json"))["tasks"]
        process.terminate()
    print("the worker has ended with", process.returncode)
    print(f"may: {task['state']}, {task['result']}")


if __name__ == "__main__":
    if "ASYNQ_REDIS_URL" in os.environ:
        main()
    else:
        with tempfile.TemporaryDirectory() as folder:  # of an embedded server that all these processes share
            os.environ["ASYNQ_REDIS_URL"] = f"embedded://{folder}"
            main()
