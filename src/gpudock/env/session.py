"""What every verb of an environment works with: an engine that answers, a person, a way to do things."""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple

from gpudock import proc
from gpudock.engine import answering
from gpudock.engine.base import Answer, Client
from gpudock.env.owner import Owner


class Session(NamedTuple):
    client: Client
    answer: Answer
    rootless: bool  # the engine's root is this user
    owner: Owner
    environment: Mapping[str, str]
    run: proc.Runner
    say: Callable[[str], None]

    @property
    def remote(self) -> bool:
        """The engine has another machine's files, ports and devices."""
        return self.answer.remote

    @property
    def podman(self) -> bool:
        return self.client.name == "podman"

    def ask(self, *words: str, stdin: bytes = b"", timeout: float = 60.0) -> proc.Result:
        return self.run(proc.Command((*self.client.words, *words), stdin=stdin, timeout=timeout))

    def reading(self, *words: str) -> AbstractContextManager[Callable[[int], bytes]]:
        """What the engine gives as it comes: see proc.reading."""
        return proc.reading((*self.client.words, *words))

    def feeding(self, *words: str) -> AbstractContextManager[Callable[[bytes], object]]:
        """What the engine is given as it comes: see proc.feeding."""
        return proc.feeding((*self.client.words, *words))


def begin(
    clients: tuple[Client, ...],
    owner: Owner,
    environment: Mapping[str, str],
    run: proc.Runner,
    say: Callable[[str], None],
) -> Session:
    """Raises EngineError when no engine answers."""
    found = answering.first(clients, run)
    for note in found.notes:
        say(note)
    return Session(found.client, found.answer, _rootless(found), owner, environment, run, say)


def _rootless(found: answering.Answering) -> bool:
    if found.client.name == "podman":
        return os.geteuid() != 0 and not found.answer.remote
    try:
        told = json.loads(found.told)
    except ValueError:
        return False
    options = told.get("SecurityOptions") if isinstance(told, dict) else None
    return isinstance(options, list) and any("rootless" in str(each) for each in options)
