"""New samples for any number of listeners on one event loop: one thread waits, and each sample is encoded once.

While nobody listens none is encoded, and the loop is not woken.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from gpudock.monitor.sample import Sample, encode
from gpudock.monitor.source import Source

PATIENCE = 5.0  # seconds after which a sample is given again, so that its age is seen


class Stream:
    """Use it as `async with stream.running()`. A listener that is slow misses samples; none ever waits in a queue."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._changed = asyncio.Event()
        self._newest: tuple[Sample, bytes] | None = None
        self.listeners = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        ended = threading.Event()
        # Not a thread of the loop's own pool, whose end the loop would wait for.
        threading.Thread(target=self._listen, args=(loop, ended), name="stream", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _listen(self, loop: asyncio.AbstractEventLoop, ended: threading.Event) -> None:
        number = -1
        while not ended.is_set():
            sample = self._source.wait(number, PATIENCE)
            number = sample.number
            if not self.listeners:
                continue
            newest = (sample, encode(sample))
            try:
                loop.call_soon_threadsafe(self._tell, newest)
            except RuntimeError:  # the loop was closed meanwhile
                return

    def _tell(self, newest: tuple[Sample, bytes]) -> None:
        self._newest = newest
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()

    async def samples(self) -> AsyncGenerator[tuple[Sample, bytes], None]:
        """The newest at once, then each new one: as a value, and as JSON."""
        self.listeners += 1  # first: what comes after the newest is told from now on
        told = self._newest  # to others, maybe long ago
        try:
            newest = self._source.latest()
            yield newest, encode(newest)
            while True:
                while self._newest is None or self._newest is told:
                    await self._changed.wait()
                told = self._newest
                yield told
        finally:
            self.listeners -= 1
