"""Waiting for other programs while files are read."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """Starts `call` at once in a thread; `result()` waits for it and returns or raises what it returned or raised.

    A thread of its own instead of concurrent.futures, whose import alone costs more than most calls here.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._outcome: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome.append(self._call())
        except BaseException as error:  # noqa: BLE001  raised again in the thread that asks for the result
            self._error = error

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    @property
    def done(self) -> T | None:
        """The result if it is there already; None while it is awaited, and when there was an error."""
        return self._outcome[0] if self._outcome else None

    def result(self, seconds: float | None = None) -> T:
        """Raises TimeoutError when it takes longer than `seconds`; the call itself goes on."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._outcome[0]
