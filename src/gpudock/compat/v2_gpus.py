"""`nvidia-docker run` and `create` of mode 2: what `gpudock run` does, for whatever asks for the GPUs here."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gpudock.compat import cli_environment, cli_words, v2_asked
from gpudock.compat.cli_start import Start
from gpudock.engine import endpoint, flags
from gpudock.engine.asked import Asked, about
from gpudock.engine.base import KIND, Wish, plain
from gpudock.engine.docker import Docker
from gpudock.errors import HostError, UsageError
from gpudock.host.later import Later
from gpudock.plan.request import NONE, VOID
from gpudock.proc import Command, Result

if TYPE_CHECKING:
    from gpudock.compat.cli_words import Call
    from gpudock.compat.v2 import Tools
    from gpudock.engine.flags import Arguments
    from gpudock.engine.local import Here
    from gpudock.engine.prepare import Tools as EngineTools

_WITH_GPUS = (("runtime", "nvidia"), ("runtime", "gpudock"))
_NOT_STARTED = 125  # with which `docker run` ends when there is no image to start
_NO_DRIVER = "this machine has no NVIDIA driver, so the container is started without a GPU"
_REMOTE = "NV_HOST is of nvidia-docker 1 and has no effect here: use DOCKER_HOST, or set GPUDOCK_NVIDIA_DOCKER=1"


class NvDocker(Docker):
    """Docker by the words of NV_DOCKER, which `program` holds, and with docker's own options of the command line."""

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.program.split(), *self.endpoint.flags)


def start(docker: tuple[str, ...], call: "Call", environment: Mapping[str, str], tools: "Tools") -> Start | None:
    """The command with GPUs. None: docker itself has to say what is wrong with these words, or to help."""
    arguments = _arguments(call)
    if arguments is None:
        return None
    machine = tools.machine()
    if machine.program(docker[0]) is None:
        raise HostError(f"{docker[0]} is not installed or not on PATH.")
    where = _endpoint(docker, call, environment, machine.files)
    client = NvDocker(" ".join(docker), where, environment, machine.kernel, not machine.root)
    verb = call.name[-1]
    decided = Start(()) if _has_device(arguments) else _decided(arguments, client, verb, tools)
    if decided.failed:
        return decided
    argv = decided.argv or plain(client, verb, arguments.flags, arguments.rest)
    notes = ((_REMOTE,) if environment.get("NV_HOST") else ()) + decided.notes
    return Start(argv, notes=notes, dry_run=arguments.dry_run)


def _arguments(call: "Call") -> "Arguments | None":
    """The words after the command, but --runtime nvidia, which is how nvidia-docker 2 said "with GPUs"."""
    given = cli_words.options(call.after, flags.BOOLEAN | flags.SHORT_BOOLEAN | {flags.OWN_BOOLEAN})
    kept = [option for option in given.found if (option.name, option.value) not in _WITH_GPUS]
    words = (*(word for option in kept for word in option.words), *call.after[given.end :])
    try:
        arguments = flags.scan(words, call.name[-1])
    except (flags.HelpAsked, UsageError):
        return None
    return arguments if set(arguments.own) <= {"gpus"} else None


def _has_device(arguments: "Arguments") -> bool:
    """Whether the user names the CDI devices: then they are all that the container is to have."""
    named = [name for value in arguments.values.get("device", ()) for name in value.split(",")]
    return "gpus" not in arguments.own and any(name.startswith(KIND + "=") for name in named)


def _endpoint(
    docker: tuple[str, ...], call: "Call", environment: Mapping[str, str], files: endpoint.Files
) -> endpoint.Endpoint:
    """Where NV_DOCKER's words, docker's options before the command, and docker's configuration lead to."""
    inner = next((at for at, word in enumerate(docker) if os.path.basename(word) == "docker"), len(docker))
    before = tuple(word for option in call.before.found for word in option.words)
    given = cli_words.options((*docker[inner + 1 :], *before), cli_words.GLOBAL_BOOLEAN)
    named = {"host": given.last("H", "host"), "context": given.last("c", "context")}
    config = given.last("config")
    variables = {**environment, **({"DOCKER_CONFIG": config} if config else {})}
    found = endpoint.docker({name: value for name, value in named.items() if value}, variables, files)
    return found._replace(flags=before)


def _decided(arguments: "Arguments", client: NvDocker, verb: str, tools: "Tools") -> Start:
    """With the GPUs. Without a command when the container is to have none, or there is none to give."""
    asked = Asked(client, arguments.image, tools.run)  # answered while the rest is imported
    from gpudock.compat import v2_elsewhere  # noqa: PLC0415  start-up time
    from gpudock.engine import prepare  # noqa: PLC0415
    from gpudock.engine.image import PullFailed  # noqa: PLC0415

    files = {path: tools.text(path) for path in arguments.values.get("env-file", ())}
    variables = flags.environment(arguments, files, dict(client.environment))
    request = v2_asked.explicit(arguments, variables, cli_environment.gpus(client.environment))
    wish = Wish(verb, arguments, request or v2_asked.EVERY, variables)
    engine = tools.engine(wish)
    if request is None and _nothing_here(client, engine.here):
        return Start((), notes=(_NO_DRIVER,))
    try:
        if request is None:
            wish = _by_image(wish, asked, engine)
        if wish.request.devices in {NONE, VOID}:
            return Start(())
        elsewhere = v2_elsewhere.start(wish, asked)
        if elsewhere is not None:
            return elsewhere
        decision = prepare.prepare(wish, (client,), asked, engine)
    except PullFailed as failure:
        return Start((), failed=_NOT_STARTED if verb == "run" else failure.code)
    return Start(decision.argv, notes=decision.notes)


def _by_image(wish: Wish, asked: Asked, engine: "EngineTools") -> Wish:
    """With the request that the image's own variables make, once it is here."""
    from gpudock.engine import image  # noqa: PLC0415  start-up time

    pulled: list[tuple[str, ...]] = []
    first = asked.image.result()
    client, arguments = asked.client, wish.arguments

    def pull(argv: tuple[str, ...]) -> int:
        pulled.append(argv)
        return engine.pull(argv)

    def ask(question: tuple[str, ...]) -> Result:
        return engine.run(Command(question))

    if engine.dry_run:
        found = image.understand(client, arguments.image, first)
    else:
        found = image.ready(client, arguments, first, ask=ask, pull=pull)
    if pulled:  # as fresh as was wanted: it is not fetched again
        asked.image = Later(lambda: ask(about(client, arguments.image)))
        arguments = arguments._replace(values={**arguments.values, "pull": ("missing",)})
    return wish._replace(arguments=arguments, request=v2_asked.of_image(found, wish.environment))


def _nothing_here(client: NvDocker, here: "Here") -> bool:
    """Whether this machine has nothing to give: an image that does not ask then runs as it always has."""
    from gpudock.engine import local  # noqa: PLC0415  start-up time

    if client.endpoint.socket is None or any(os.path.exists(place.spec) for place in here.places):
        return False
    return not local.loaded_driver(here) and not os.path.exists("/dev/dxg") and local.foreign(here) is None
