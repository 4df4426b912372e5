"""nvidia-docker 1's search for command and image: which options take no value depends on docker's version.

Its tables are kept. Where it lost the image, and with it the GPU, without a word, docker's own reading is taken:
values in the same word (-p80:80, -v/a:/b, -Htcp://...), `create --no-healthcheck`, options younger than its tables.
"""

from typing import NamedTuple

from gpudock.compat import cli_words
from gpudock.compat.v1_docker import Docker
from gpudock.compat.v1_number import numbers
from gpudock.engine import flags

GLOBAL = frozenset(("debug", "D", "tls", "tlsverify"))
_CREATE = frozenset(
    (
        *("disable-content-trust", "help", "interactive", "i", "oom-kill-disable", "privileged", "publish-all", "P"),
        *("read-only", "tty", "t"),
    )
)
_RUN = _CREATE | {"detach", "d", "rm", "sig-proxy"}
_SINCE = {  # version of docker -> what came with it
    "1.9": frozenset[str](),
    "1.10": frozenset[str](),
    "1.11": frozenset[str](),
    "1.12": frozenset(("no-healthcheck",)),
    "1.13": frozenset(("no-healthcheck", "init")),
    "17.03": frozenset(("no-healthcheck", "init")),
}


class Image(NamedTuple):
    name: str
    at: int  # its position in the words
    hidden: bool = False  # behind "--", where nvidia-docker 1 took another word for it


def booleans(version: str, command: str) -> frozenset[str]:
    """The options of `docker run` or `create` that take no value; `version` as docker's client tells it."""
    numbers(version, 3, "docker's version")
    since = _SINCE.get(version.rpartition(".")[0])
    if since is None:  # not of nvidia-docker 1's time
        return flags.BOOLEAN | flags.SHORT_BOOLEAN
    return (_RUN if command == "run" else _CREATE) | since


def command(docker: Docker, words: tuple[str, ...]) -> cli_words.Call:
    """Docker's command. Raises V1Error for a docker that does not tell its version."""
    numbers(docker.client_version(), 3, "docker's version")
    return cli_words.call(words, GLOBAL)


def image(docker: Docker, name: str, words: tuple[str, ...]) -> Image | None:
    """The image in the words after `run` or `create`, None when there is none."""
    found = cli_words.options(words, booleans(docker.client_version(), name))
    if found.end == len(words) or not words[found.end]:
        return None
    hidden = words[found.end] == "--"
    return Image(words[found.end], found.end, hidden)
