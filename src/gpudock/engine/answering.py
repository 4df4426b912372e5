"""Which engine answers: the first of those to try."""

from collections.abc import Sequence
from typing import NamedTuple

from gpudock import proc
from gpudock.engine.asked import QUICK
from gpudock.engine.base import Answer, Client
from gpudock.errors import EngineError


class Answering(NamedTuple):
    client: Client
    answer: Answer
    told: str  # what the engine said, as it said it
    notes: tuple[str, ...]  # why another one was not taken


def first(clients: Sequence[Client], run: proc.Runner) -> Answering:
    """When none answers, the error is that of the first."""
    failures: list[EngineError] = []
    for client in clients:
        result = run(proc.Command(client.question, timeout=QUICK))
        try:
            answer = client.understand(result)
            if answer.problem is not None:
                raise client.unusable(answer.problem)
        except EngineError as error:
            failures.append(error)
            continue
        notes = tuple(f"{failure.what} {client.name} is used instead." for failure in failures)
        return Answering(client, answer, result.out, notes)
    raise failures[0]
