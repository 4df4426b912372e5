"""Times programs in turns, A B A B, so that whatever else the machine does falls on all alike."""

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

Samples = dict[str, list[float]]  # case -> milliseconds, one for each round; the first case is what others are held to
Figures = dict[str, dict[str, float]]


SETTLED = 0.05  # seconds: the kernel clears namespaces away after their last process has ended


class FailedError(Exception):
    """A program that had to succeed did not."""


def timed(argv: Sequence[str], env: Mapping[str, str] | None = None) -> float:
    """Milliseconds that the program takes, from its start to its end. Raises FailedError with what it said."""
    with tempfile.TemporaryFile() as said:
        files = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, said.fileno(), 2),
        ]
        begun = time.perf_counter()
        pid = os.posix_spawnp(argv[0], list(argv), os.environ if env is None else env, file_actions=files)
        _, status = os.waitpid(pid, 0)
        taken = 1000 * (time.perf_counter() - begun)
        if status:
            said.seek(0)
            raise FailedError(f"{' '.join(argv)}\nended with {status}: {said.read()[-2000:].decode(errors='replace')}")
    return taken


def rounds(cases: Mapping[str, Callable[[], Mapping[str, float]]], number: int) -> dict[str, Samples]:
    """Each case once a round, in an order of its own. A case gives milliseconds by operation."""
    found: dict[str, Samples] = {}
    names = list(cases)
    for name in names:  # warms caches up
        for operation in cases[name]():
            found.setdefault(operation, {})[name] = []
    order = random.Random(number)
    for _ in range(number):
        order.shuffle(names)  # else each would always follow the same one, and what that one leaves to be cleared away
        for name in names:
            time.sleep(SETTLED)
            for operation, taken in cases[name]().items():
                found[operation][name].append(taken)
    return found


def figures(samples: Samples) -> Figures:
    """Median and spread of each case; how much more and how many times what the first one takes in the same round."""
    base = next(iter(samples.values()))
    return {name: _figures(values, base) for name, values in samples.items()}


def _figures(values: list[float], base: list[float]) -> dict[str, float]:
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    more = statistics.median(value - other for value, other in zip(values, base, strict=True))
    return {
        "ms": round(statistics.median(values), 2),
        "p10": round(tenths[0], 2),
        "p90": round(tenths[-1], 2),
        "more": round(more, 2),
        "ratio": round(statistics.median(values) / statistics.median(base), 3),
    }
