"""Traces by OpenTelemetry: from what enqueues a task to each of its tries, in one trace."""

import asyncio
import logging
import os

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asynq_py import App, current_task
from asynq_py.integrations.opentelemetry import Telemetry

os.environ.setdefault("ASYNQ_REDIS_URL", "embedded://")
logging.getLogger("asynq_py").setLevel(logging.CRITICAL)  # the failure is meant

# The application's part: where spans go. Here they stay in memory, so that they can be printed.
memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")

app = App(retention=60)
Telemetry(names="type").instrument(app)


@app.task(max_retry=1)
async def send_receipt(order: int) -> str:
    with tracer.start_as_current_span("render"):  # spans of the handler hang below the try
        if not current_task().retried:
            raise ConnectionError("the printer is away")
    return f"receipt {order}"


def show() -> None:
    spans = {span.context.span_id: span for span in memory.get_finished_spans() if span.context}

    def depth(span_id: int) -> int:
        parent = spans[span_id].parent
        return 0 if parent is None else 1 + depth(parent.span_id)

    for span_id, span in sorted(spans.items(), key=lambda item: item[1].start_time or 0):
        outcome = (span.attributes or {}).get("asynq.task.outcome", "")
        print(f"{'  ' * depth(span_id)}{span.name} {outcome}".rstrip())


async def main() -> None:
    async with app, app.server(retry_delay=lambda n, error, task: 0.0, forward_interval=0.1):
        with tracer.start_as_current_span("POST /orders"):
            handle = await send_receipt.enqueue(7)
        print(await handle.result(timeout=20))
    show()


if __name__ == "__main__":
    asyncio.run(main())
