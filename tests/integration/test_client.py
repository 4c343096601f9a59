from asynq_py import Client, Task


async def test_enqueue_returns_how_the_task_stands(client: Client) -> None:
    info = await client.enqueue(Task("t", {"a": 1}), queue="low")
    assert (info.queue, info.payload) == ("low", b'{"a":1}')
