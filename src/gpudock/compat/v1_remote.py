"""What nvidia-docker 1 gives a container on another machine: the plugin there says it.

Nobody proves that it is the plugin who answers, so its words are taken one by one, and only those that give NVIDIA
devices and the driver volume. nvidia-docker 1 took whatever came, error messages as well.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import quote_plus, urlencode

from gpudock.compat.v1_devices import VOLUME, WORD
from gpudock.compat.v1_error import V1Error
from gpudock.plan.quote import quote

INFO = "/gpu/info/json"
WORDS = "/docker/cli"
OK = 200
_EXPECTED = re.compile(
    r"--volume-driver=[a-zA-Z0-9][a-zA-Z0-9_.-]*"
    rf"|--volume={VOLUME}_[0-9][0-9.]*:/usr/local/nvidia:ro"
    rf"|--device=(?:{WORD.pattern})"
)
_SHOWN = 300  # characters of a foreign text in a message


class Reply(NamedTuple):
    status: int
    body: str


Fetch = Callable[[str], Reply]  # given path and query; raises V1Error


def cuda(fetch: Fetch) -> str:
    """The newest CUDA that the driver there has; "" when it does not tell."""
    reply = fetch(INFO)
    try:
        version = json.loads(_body(reply))["Version"]["CUDA"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise V1Error("the remote plugin's reply cannot be understood", why=quote(reply.body, _SHOWN)) from error
    return str(version)


def added(fetch: Fetch, wanted: tuple[str, ...], needed: Iterable[str]) -> list[str]:
    """The words that stand before the image, in the plugin's order. None `wanted`: all of its GPUs."""
    volumes = [name for name in needed if name == VOLUME] or list(needed)
    parts = {"vol": " ".join(volumes), **({"dev": " ".join(wanted)} if wanted else {})}
    words = _body(fetch(f"{WORDS}?{urlencode(parts, quote_via=quote_plus)}")).split(" ")
    foreign = [word for word in words if word and not _EXPECTED.fullmatch(word)]
    if foreign:
        raise V1Error(
            "the remote plugin answers with words that do not belong into a command",
            why=f"one is {quote(foreign[0], _SHOWN)}",
            mend="see that it is nvidia-docker-plugin that listens there",
        )
    return [word for word in words if word]


def _body(reply: Reply) -> str:
    if reply.status != OK:
        text = quote(reply.body.strip(), _SHOWN) if reply.body.strip() else f"HTTP status {reply.status}"
        raise V1Error(text, why="the remote plugin refuses")
    return reply.body
