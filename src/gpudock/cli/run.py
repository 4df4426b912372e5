"""`gpudock run` and `gpudock create`: docker's or podman's own, with GPUs."""

import os
import sys
from typing import TYPE_CHECKING

from gpudock.cli.terminal import say
from gpudock.cli.verb import Option, Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpudock.engine.base import Wish
    from gpudock.engine.flags import Arguments
    from gpudock.engine.local import Here, Refresh
    from gpudock.engine.prepare import Tools
    from gpudock.env.owner import Owner
    from gpudock.plan.request import Request

WHICH_ENGINE = (
    Option(
        ("--engine",),
        "engine",
        "Which to use. [default: $GPUDOCK_ENGINE, else docker, podman]",
        metavar="docker|podman",
    ),
    Option(("--context",), "context", "Docker's context: an engine on another machine, for example.", metavar="NAME"),
    Option(("-H", "--host"), "host", "Docker's address, such as ssh://user@machine.", metavar="ADDRESS"),
)
OPTIONS = (
    Option(("--gpus",), "gpus", "all, a number, device=0,GPU-8f3c,0:1, none; docker's full form.", metavar="REQUEST"),
    *WHICH_ENGINE,
    Option(("--dry-run",), "dry_run", "Print the engine's command instead of running it.", default=False),
    Option(("--snapshot",), "snapshot", "With --dry-run: what another machine would run.", metavar="FILE"),
    Option(("--help",), "help", "Show this message and exit.", default=False),
)

_NOT_HERE = ("simulated", "driver-root", "dev-root")  # gpudock's options, but of other verbs


def _run(arguments: "Arguments") -> int:
    """Run a command in a new container, with the GPUs asked for.

    Every option of `docker run` (or `podman run`) works and keeps its meaning. With --gpus, gpudock checks what would
    fail later, chooses the best way that the engine has, and becomes the engine's command: exit code, signals and
    terminal are the engine's own. Without --gpus it is that command from the start.

    \b
    gpudock run --rm --gpus all nvidia/cuda:12.4.1-base-ubuntu22.04 nvidia-smi
    gpudock run --rm --gpus device=0,1 -v "$PWD":/work -w /work IMAGE python a.py
    gpudock run --rm --gpus '1,"capabilities=compute,utility,video"' IMAGE
    """
    return _engine("run", arguments, os.environ)


def _create(arguments: "Arguments") -> int:
    """Create a container with the GPUs asked for, without starting it.

    Every option of `docker create` (or `podman create`) works and keeps its meaning; see gpudock run --help. The GPUs
    are settled now: start the container with the engine's own start.
    """
    return _engine("create", arguments, os.environ)


def _scan(words: "Sequence[str]", verb: str) -> "dict[str, Arguments] | None":
    """The words are the engine's, and only the engine knows all its options. None: the user asks for help."""
    from gpudock.engine import flags

    try:
        arguments = flags.scan(tuple(words), verb)
    except flags.HelpAsked:
        return None
    _refuse_others(arguments, verb)
    return {"arguments": arguments}


run = Verb(_run, OPTIONS, lambda words: _scan(words, "run"))
create = Verb(_create, OPTIONS, lambda words: _scan(words, "create"))


def _refuse_others(arguments: "Arguments", verb: str) -> None:
    from gpudock.errors import UsageError

    for name in _NOT_HERE:
        if name in arguments.values:
            raise UsageError(
                f"gpudock {verb} does not know --{name}.",
                why="a container gets the GPUs of the CDI specification that is in place",
                mend=f"leave it out; to set up what containers get: sudo gpudock refresh --{name} FOLDER",
            )


def _engine(verb: str, arguments: "Arguments", environment: "Mapping[str, str]") -> int:
    from gpudock.engine import detect
    from gpudock.engine.base import plain
    from gpudock.plan.request import NONE, VISIBLE_DEVICES, VOID, parse_gpus

    gpus = arguments.own.get("gpus")
    request = parse_gpus(gpus) if gpus is not None else None
    if request is not None and request.devices in {NONE, VOID}:  # CUDA images ask by themselves where a runtime listens
        arguments = arguments._replace(flags=(*arguments.flags, "-e", f"{VISIBLE_DEVICES}={VOID}"))
    if "snapshot" in arguments.own:
        return _elsewhere(verb, arguments, request, environment)
    clients = detect.clients(arguments.own, detect.this_machine(environment))
    if request is None or request.devices in {NONE, VOID}:
        return become(plain(clients[0], verb, arguments.flags, arguments.rest), dry_run=arguments.dry_run)

    from gpudock import proc
    from gpudock.engine.asked import Asked

    asked = Asked(clients[0], arguments.image, proc.run)  # answered while the rest is imported

    from gpudock.engine import flags, prepare
    from gpudock.engine.base import Wish
    from gpudock.engine.image import PullFailed
    from gpudock.env import owner

    arguments = owned(arguments, owner.here(environment))
    files = {path: file_text(path) for path in arguments.values.get("env-file", ())}
    wish = Wish(verb, arguments, request, flags.environment(arguments, files, dict(environment)))
    try:
        decision = prepare.prepare(wish, clients, asked, tools(wish, environment))
    except PullFailed as failure:
        return failure.code
    for note in decision.notes:
        say(note)
    return become(decision.argv, dry_run=arguments.dry_run)


def owned(arguments: "Arguments", who: "Owner") -> "Arguments":
    """With labels that say whose container it is, as an environment's: to the machine everybody in it may be root."""
    from gpudock.engine import labels

    if not who.uid or any(labels.OWNER in word for word in arguments.flags):  # root's, or it was said already
        return arguments
    mine = ("--label", f"{labels.OWNER}={who.name}", "--label", f"{labels.OWNER_UID}={who.uid}")
    return arguments._replace(flags=(*mine, *arguments.flags))


def _elsewhere(verb: str, arguments: "Arguments", request: "Request | None", environment: "Mapping[str, str]") -> int:
    """Print what would run on the machine of a snapshot."""
    from gpudock.cli.options import HostOptions
    from gpudock.engine import flags, replay
    from gpudock.engine.base import Wish
    from gpudock.errors import UsageError
    from gpudock.plan.request import NONE, Request

    if not arguments.dry_run or not {"context", "host"}.isdisjoint(arguments.own):
        raise UsageError(
            "--snapshot shows what another machine would run; nothing can be started there.",
            mend="add --dry-run, without --context and --host",
        )
    files = {path: file_text(path) for path in arguments.values.get("env-file", ())}
    wish = Wish(verb, arguments, request or Request(NONE), flags.environment(arguments, files, dict(environment)))
    argv, notes = replay.replay(HostOptions(snapshot=arguments.own["snapshot"]).load(), wish)
    for note in notes:
        say(note)
    return become(argv, dry_run=True)


def become(argv: tuple[str, ...], *, dry_run: bool) -> int:
    """Replace this process by the engine's client; in a dry run print its command."""
    if dry_run:
        from shlex import join

        print(join(argv))
        return 0
    import signal

    from gpudock import proc

    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python; the engine starts as from a shell
        signal.signal(ignored, signal.SIG_DFL)
    sys.stderr.flush()
    proc.become(argv)
    return 0


def tools(wish: "Wish", environment: "Mapping[str, str]") -> "Tools":
    """How things are done for this wish: on this machine, with what this user may do."""
    from gpudock import proc
    from gpudock.engine import known_flags
    from gpudock.engine.prepare import Tools

    dry_run = wish.arguments.dry_run
    unknown = known_flags.unknown(wish.arguments)
    return Tools(
        run=proc.run,
        pull=_no_pull(", ".join(unknown), wish.arguments.image) if unknown else _pull,
        here=here(environment),
        refresh=None if dry_run else refresher(environment),
        dry_run=dry_run,
        uid=os.geteuid(),
    )


def here(environment: "Mapping[str, str]") -> "Here":
    """Where specifications for this user's containers may lie."""
    from gpudock.engine.local import Here
    from gpudock.refresh import paths

    system = paths.paths(environment, uid=0)
    own = paths.paths(environment, uid=os.geteuid())
    return Here((system,) if own == system else (system, own))


def _pull(argv: tuple[str, ...]) -> int:
    """Fetch an image; what the engine says goes to standard error, because standard output is the container's."""
    from gpudock import proc

    say(" ".join(argv))
    return proc.show(argv)


def _no_pull(unknown: str, image: str) -> "Callable[[tuple[str, ...]], int]":
    """After a mistyped switch the image's name is its value, and the command's name would be fetched."""

    def leave(argv: tuple[str, ...]) -> int:
        del argv
        say(f"{image} is not fetched in advance: {unknown} is not known here, so this may not be the image")
        return 0

    return leave


def refresher(environment: "Mapping[str, str]") -> "Refresh | None":
    """Makes our specification anew as `gpudock refresh` does, from where it was made before. None: only root may."""
    if os.geteuid() != 0:
        return None
    from gpudock.refresh import paths

    where = paths.paths(environment, uid=0)

    def refresh(wanted: tuple[tuple[str, ...], ...]) -> object:
        from gpudock.cli.earlier import earlier
        from gpudock.refresh import cycle, install, making

        before = earlier(where)
        reason = f"for {','.join(wanted[0])}" if wanted else "because none fits this machine"
        say(f"the CDI specification is made anew, {reason}")
        return cycle.refresh(
            lambda: before.host.for_refresh(announce=False),  # the container's own notes say it
            lambda: install.installed(where.libexec, where=where),
            where,
            making.Settings(wanted=wanted, library_links=before.library_links),
        )

    return refresh


def file_text(path: str) -> str:
    """The text of a file; "" when it cannot be read: the engine, which reads it too, says so better."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 23)
    except OSError:
        return ""
