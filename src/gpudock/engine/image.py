"""What an image says of itself: variables and labels."""

import json
import shlex
from collections.abc import Callable
from typing import NamedTuple

from gpudock.engine.asked import about
from gpudock.engine.base import Client
from gpudock.engine.flags import Arguments
from gpudock.errors import EngineError
from gpudock.plan.quote import quote
from gpudock.proc import Result

# Flags of `run` that `pull` knows too, and which then mean the same.
_PULL_FLAGS = (
    *("arch", "authfile", "cert-dir", "creds", "decryption-key", "disable-content-trust", "os", "platform", "quiet"),
    *("retry", "retry-delay", "signature-policy", "tls-verify", "variant"),
)
_ABSENT = ("no such image", "image not known", "no such object")


class Image(NamedTuple):
    environment: dict[str, str]
    labels: dict[str, str]


class PullFailed(Exception):  # noqa: N818  it carries the engine's own exit code and message
    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def understand(client: Client, image: str, result: Result) -> Image | None:
    """None when the image is not there. Raises EngineError."""
    if not result.ok:
        if any(word in result.err.lower() for word in _ABSENT):
            return None
        raise EngineError(
            f"{client.name} cannot tell about the image {quote(image)}.",
            why=quote(" ".join(result.err.split()) or f"exit code {result.code}", 300),
            mend="see what this says: " + shlex.join((*client.words, "image", "inspect", "--", quote(image, 200))),
        )
    try:
        config = json.loads(result.out)
        entries = (str(entry).partition("=") for entry in config.get("Env") or ())
        labels = {str(name): str(value) for name, value in (config.get("Labels") or {}).items()}
        return Image({name: value for name, _, value in entries}, labels)
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise EngineError(
            f"{client.name}'s answer about {quote(image)} cannot be understood.", why=str(error)
        ) from error


def wants_pull(arguments: Arguments, *, present: bool) -> bool:
    """Whether the image is to be fetched before it can be looked at. What `never` means is left to the engine."""
    policy = arguments.last("pull") or "missing"
    return policy in {"always", "newer"} or (not present and policy != "never")


def pull_command(client: Client, arguments: Arguments) -> tuple[str, ...]:
    flags = [f"--{name}={value}" for name in _PULL_FLAGS if (value := arguments.last(name)) is not None]
    return (*client.words, "pull", *flags, "--", arguments.image)


def ready(
    client: Client,
    arguments: Arguments,
    first: Result,
    *,
    ask: Callable[[tuple[str, ...]], Result],
    pull: Callable[[tuple[str, ...]], int],
) -> Image | None:
    """The image, fetched when it has to be; `first` answers `about`. None: not there, by --pull never.

    Raises PullFailed and EngineError.
    """
    image = understand(client, arguments.image, first)
    if wants_pull(arguments, present=image is not None):
        code = pull(pull_command(client, arguments))
        if code:
            raise PullFailed(code)
        image = understand(client, arguments.image, ask(about(client, arguments.image)))
    return image
