"""New samples for any number of listeners on one event loop: one thread waits, and each sample is encoded once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gpudock.monitor.sample import Sample, encode
from gpudock.monitor.source import Source

PATIENCE = 5.0  # seconds after which a sample is given again, so that its age is seen


class Stream:
    """Use it as `async with stream.running()`. A listener that is slow misses samples; none ever waits in a queue."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._changed = asyncio.Condition()
        self._newest: tuple[Sample, bytes] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()

    async def _listen(self) -> None:
        from anyio import to_thread  # noqa: PLC0415  comes with starlette, which status does without

        number = -1
        while True:
            sample = await to_thread.run_sync(self._source.wait, number, PATIENCE, abandon_on_cancel=True)
            number = sample.number
            async with self._changed:
                self._newest = (sample, encode(sample))
                self._changed.notify_all()

    async def samples(self) -> AsyncIterator[tuple[Sample, bytes]]:
        """The newest at once, then each new one: as a value, and as JSON."""
        given: tuple[Sample, bytes] | None = None
        while True:
            async with self._changed:
                while self._newest is None or self._newest is given:
                    await self._changed.wait()
                given = self._newest
            yield given
