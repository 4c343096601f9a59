"""A Python worker as a program, so that tests can kill it: URL and configuration as arguments."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from dataclasses import asdict

from tests.interop.script import Handler, server
from tests.interop.worker import Event


async def emit(event: Event) -> None:
    fields = asdict(event)
    fields["event"] = fields.pop("name")
    fields["payload"] = base64.b64encode(event.payload).decode()
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def main(url: str, config: str) -> None:
    handler = Handler(emit)
    working = server(url, handler, json.loads(config))
    async with working:
        await emit(Event("ready"))
        while command := await asyncio.to_thread(sys.stdin.readline):
            match command.strip():
                case "release":
                    handler.released.set()
                case "stop":
                    working.stop()
                    await emit(Event("stopped"))
    await emit(Event("ended"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
