"""A docker on another machine that gives GPUs by a runtime: what there is, nobody needs to know here. The runtime
there reads the request and judges it, as it did for nvidia-docker 2.
"""

from gpudock.compat.cli_start import Start
from gpudock.engine import decide
from gpudock.engine.asked import Asked
from gpudock.engine.base import Wish, plain
from gpudock.plan.environment import CAPABILITIES
from gpudock.plan.request import VISIBLE_DEVICES, Request


def start(wish: Wish, asked: Asked) -> Start | None:
    """None: the engine is on this machine, does not answer, or is asked by device names."""
    client = asked.client
    if client.endpoint.socket is not None:
        return None
    answer = client.understand(asked.engine.result())
    if answer.problem is not None:
        return None
    runtime = decide.mechanism(client, answer, wish).runtime
    if runtime is None:
        return None
    arguments, capabilities = wish.arguments, wish.request.capabilities
    added: tuple[str, ...] = ("--runtime", runtime, "-e", f"{VISIBLE_DEVICES}={_visible(wish.request)}")
    if capabilities is not None:
        added = (*added, "-e", f"{CAPABILITIES}={','.join(capabilities)}")
    return Start(plain(client, wish.verb, (*arguments.flags, *added), arguments.rest))


def _visible(request: Request) -> str:
    if isinstance(request.devices, tuple):
        return ",".join(request.devices)
    return ",".join(map(str, range(request.devices))) if isinstance(request.devices, int) else request.devices
