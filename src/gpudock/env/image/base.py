"""The image that an environment begins with, as the engine has it."""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from gpudock import proc
from gpudock.engine.base import Client
from gpudock.env.image.lock import Base
from gpudock.errors import EngineError, InputError, RefusedError
from gpudock.plan.quote import quote

_REFERENCE = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9._/:-]{0,250}(@sha256:[0-9a-f]{64})?$")
_ABSENT = ("no such image", "image not known", "no such object")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Show = Callable[[tuple[str, ...]], int]


class Found(NamedTuple):
    base: Base
    environment: dict[str, str]

    @property
    def path(self) -> str:
        """Where programs are looked for; an image need not say."""
        return self.environment.get("PATH") or _DEFAULT_PATH


def find(client: Client, name: str, run: proc.Runner, pull: Show) -> Found:
    """The image, pulled when it is not here. Raises InputError, EngineError."""
    if not _REFERENCE.match(name):
        raise InputError(f"{quote(name)} is not the name of an image.", mend='write it as docker does: "debian:12"')
    found = inspect(client, name, run)
    if found is None:
        code = pull((*client.words, "pull", name))
        found = inspect(client, name, run) if not code else None
    if found is None:
        raise EngineError(
            f"The base image {quote(name, 100)} is not here and cannot be pulled.",
            why="the engine says why above",
            mend="name another one in gpudock.yaml (base:), or load it",
        )
    return found


def inspect(client: Client, name: str, run: proc.Runner) -> Found | None:
    """None: it is not here."""
    told = run(proc.Command((*client.words, "image", "inspect", "--", name)))
    if not told.ok:
        if any(word in told.err.lower() for word in _ABSENT):
            return None
        raise EngineError(f"{client.name} does not tell about {quote(name, 100)}.", why=quote(told.err.strip(), 300))
    try:
        image = json.loads(told.out)[0]
        entries = (str(each).partition("=") for each in (image["Config"] or {}).get("Env") or ())
        base = Base(name=name, image=str(image["Id"]).removeprefix("sha256:"), digest=_digest(name, image))
        return Found(base, {key: value for key, _, value in entries})
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise EngineError(f"{client.name}'s answer about {quote(name, 100)} cannot be understood.") from error


def _digest(name: str, image: dict[str, object]) -> str:
    """The registry's, where the image came from one. Podman makes digests up for what was built or loaded here."""
    if name.startswith("localhost/"):
        return ""
    told = image.get("RepoDigests")
    digests = [str(each).partition("@")[2] for each in told] if isinstance(told, list) else []
    return next((each for each in digests if re.fullmatch("sha256:[0-9a-f]{64}", each)), "")


def locked(client: Client, base: Base, run: proc.Runner, pull: Show) -> tuple[str, Found]:
    """How FROM names the very image of a lock, and that image. Raises RefusedError when it is no longer to be had."""
    if base.digest:
        name = base.name.partition("@")[0]
        repository, colon, tag = name.rpartition(":")
        reference = f"{repository if colon and '/' not in tag else name}@{base.digest}"
        return reference, find(client, reference, run, pull)
    found = inspect(client, base.name, run)
    if found is None or found.base.image != base.image:
        now = f"here it is {found.base.image[:12]}" if found else "it is not here, and it is in no registry"
        raise RefusedError(
            f"The base image {quote(base.name, 100)} is not the locked one, {base.image[:12]}.",
            why=now,
            mend="load that image, or lock anew: gpudock lock",
        )
    return base.name, found
