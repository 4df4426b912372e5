"""nvidia-docker 2: `run` and `create` give GPUs to any image, all else is docker's own.

The wrapper of old looked for the words run and create anywhere. Here the command line is read as docker reads it, and
the GPUs come by whatever this docker has: a CDI device, or an OCI runtime.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from gpudock.compat import cli_environment, cli_words
from gpudock.compat.cli_start import Start

if TYPE_CHECKING:
    from gpudock.engine.base import Wish
    from gpudock.engine.detect import Machine
    from gpudock.engine.prepare import Tools as EngineTools
    from gpudock.proc import Runner

BANNER = "NVIDIA Docker: 2.13.0\n"  # the last release with the wrapper, whose behaviour this is
_TELLS = ("help", "h", "version", "v")  # docker tells something and runs nothing
VERBS = (("run",), ("create",), ("container", "run"), ("container", "create"))


class Tools(NamedTuple):
    """How things are done."""

    run: "Runner"
    machine: "Callable[[], Machine]"
    engine: "Callable[[Wish], EngineTools]"  # as `gpudock run` does this wish
    text: Callable[[str], str]  # of an --env-file; "" when it cannot be read


def start(words: tuple[str, ...], environment: Mapping[str, str], tools: Tools) -> Start:
    """What `nvidia-docker WORDS` becomes. Raises GpudockError."""
    docker = cli_environment.docker(environment)
    unchanged = Start((*docker, *words))
    call = cli_words.call(words)
    if call.name == ("version",):
        return unchanged._replace(banner=BANNER)
    if call.name not in VERBS or call.before.last(*_TELLS):
        return unchanged
    from gpudock.compat import v2_gpus  # noqa: PLC0415  start-up time: most commands are docker's own

    return v2_gpus.start(docker, call, environment, tools) or unchanged
