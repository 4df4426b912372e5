"""A session with an engine that is only recorded."""

from collections.abc import Mapping

from gpudock.engine.base import Answer
from gpudock.engine.endpoint import Endpoint
from gpudock.engine.podman import Podman
from gpudock.env.owner import Owner
from gpudock.env.session import Session
from gpudock.proc import Result
from unit.recorded import Recorder


def session(answers: Mapping[tuple[str, ...], Result | str], said: list[str] | None = None, uid: int = 1000) -> Session:
    heard = [] if said is None else said
    client = Podman("/usr/bin/podman", Endpoint("unix://"))
    return Session(client, Answer(version="4.3.1"), False, Owner(uid, uid, "ada"), {}, Recorder(answers), heard.append)
