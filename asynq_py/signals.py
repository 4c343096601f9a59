"""TERM, INT and TSTP, as something that one can await."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator

import anyio


async def signals() -> AsyncIterator[signal.Signals]:
    """Yield each TERM, INT or TSTP; nothing ever in a thread or on a system that cannot deliver them.

    While this runs they have no other effect; afterwards they have the one they had before.
    """
    wanted = [signal.SIGTERM, signal.SIGINT]
    if hasattr(signal, "SIGTSTP"):
        wanted.append(signal.SIGTSTP)
    if threading.current_thread() is not threading.main_thread():
        await anyio.sleep_forever()
    before = {number: signal.getsignal(number) for number in wanted}
    try:
        with anyio.open_signal_receiver(*wanted) as received:
            async for number in received:
                yield signal.Signals(number)
    finally:  # asyncio puts the defaults back, not what was there, its own answer to Ctrl-C included
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
