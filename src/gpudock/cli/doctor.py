"""`gpudock doctor`: what is wrong with a machine, and the command that mends it."""

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from gpudock.cli.by_click import host_options
from gpudock.cli.options import HostOptions
from gpudock.cli.terminal import say, show

if TYPE_CHECKING:
    from gpudock.engine.base import Client
    from gpudock.facts.snapshot import Snapshot
    from gpudock.provision.check import Finding, Mend


@click.command()
@host_options
@click.option("-v", "--verbose", is_flag=True, help="Add causes, all evidence, and where it was reported.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--fix", is_flag=True, help="Show the safe fixes, and apply them when you agree.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
@click.option("--image", "images", multiple=True, metavar="IMAGE", help="What is in this image, and does it fit?")
@click.option("--container", metavar="NAME", help="Look at this container alone.")
@click.option("--engine", metavar="docker|podman", help="Whose image or container. [default: as gpudock run]")
@click.option("--bundle", metavar="FILE", help="Write a snapshot without private facts, for a bug report.")
def doctor(host: HostOptions, *, bundle: str | None, **asked: Any) -> int:  # noqa: ANN401  by name, below
    """Say what keeps GPUs out of containers, worst first, each with the command that mends it.

    Looks and changes nothing: driver, device nodes, GPUs, CDI specifications, docker and podman, NVIDIA's toolkit,
    running containers, packages, disks, WSL. Exit code 4 with an error, 1 with a warning, 0 with notes alone.

    \b
    sudo gpudock doctor                root sees more: kernel log, containers
    sudo gpudock doctor --fix          shows the safe fixes first, and asks
    gpudock doctor --image IMAGE       CUDA, cuDNN, frameworks; runs none of it
    gpudock doctor --snapshot FILE     of gpudock host snapshot -o FILE

    Nobody's share of GPUs is enforced: members of the group docker are root, and may take any.
    """
    from gpudock.provision import doctor as checks
    from gpudock.provision import report

    _check(host, asked)
    machine = _taken(host, asked)
    if bundle:
        return _bundled(machine, bundle)
    seen = checks.findings(machine)
    if asked["images"] or asked["container"]:
        subjects = ("image-",) if asked["images"] else ("container-", "nvidia-docker-1")
        seen = [finding for finding in seen if finding.check.id.startswith(subjects)]
    if asked["as_json"]:
        import json

        print(json.dumps(report.plain(seen, machine), indent=2))
        return checks.exit_code(seen)
    if machine.images:
        show(report.images(machine.images) + "\n")
    if asked["container"] and isinstance(machine.containers, tuple):
        show("\n".join(map(report.container, machine.containers)) + "\n")
    show(report.text(seen, verbose=asked["verbose"]))
    return _fixed(host, machine, seen, yes=asked["yes"]) if asked["fix"] else checks.exit_code(seen)


def _check(host: HostOptions, asked: dict[str, Any]) -> None:
    from gpudock.errors import UsageError

    for option in ("fix", "container"):
        if host.snapshot and asked[option]:
            raise UsageError(
                f"--{option} cannot be combined with --snapshot.",
                why="a snapshot is another machine's, or an earlier time's",
                mend="run gpudock doctor on that machine",
            )
    if asked["yes"] and not asked["fix"]:
        raise UsageError("--yes belongs to --fix.", mend="gpudock doctor --fix --yes")


def _taken(host: HostOptions, asked: dict[str, Any]) -> "Snapshot":
    import msgspec

    from gpudock import proc
    from gpudock.cli.earlier import before
    from gpudock.provision.probe import containers, image
    from gpudock.refresh.paths import default_paths

    where = host if host.snapshot else before(host, default_paths()).host
    machine = where.load(engines=True, packages=True, setup=True)
    if asked["container"]:
        return msgspec.structs.replace(machine, containers=_container(asked, machine))
    if asked["images"]:
        client = _client(asked)
        found = tuple(image.read(client, name, proc.run, proc.reading) for name in asked["images"])
        return msgspec.structs.replace(machine, images=found)
    return machine if host.snapshot else containers.complete(machine, proc.run)


def _clients(asked: dict[str, Any]) -> "tuple[Client, ...]":
    from gpudock.engine.detect import clients, this_machine

    return clients({"engine": asked["engine"]} if asked["engine"] else {}, this_machine(os.environ))


def _client(asked: dict[str, Any]) -> "Client":
    """The first that answers; the last when none does, so that its own message is seen."""
    from gpudock import proc

    found = _clients(asked)
    for each in found[:-1]:
        if not each.understand(proc.run(proc.Command(each.question))).problem:
            return each
    return found[-1]


def _container(asked: dict[str, Any], machine: "Snapshot") -> Any:  # noqa: ANN401  imported lazily
    from gpudock import proc
    from gpudock.errors import RefusedError
    from gpudock.plan.quote import quote
    from gpudock.provision.probe import containers

    client = _client(asked)
    found = containers.one(client, asked["container"], machine, proc.run)
    if not found:
        raise RefusedError(
            f"{client.name} has no container {quote(asked['container'])}.",
            mend=f"{client.name} ps -a shows them; --engine names another engine",
        )
    return found


def _bundled(machine: "Snapshot", path: str) -> int:
    from gpudock.cli.output import write
    from gpudock.host import codec
    from gpudock.provision.bundle import redacted

    write(path, codec.encode(redacted(machine, os.uname().nodename)))
    if path != "-":
        say(f"wrote {path}. Read it before you send it; gpudock doctor --snapshot {path} shows what it tells")
    return 0


def _fixed(host: HostOptions, machine: "Snapshot", seen: "list[Finding]", *, yes: bool) -> int:
    from gpudock.errors import HostError
    from gpudock.provision import doctor as checks
    from gpudock.provision import report

    offered = checks.mends(machine, seen)
    if not offered:
        say("nothing of this can be mended safely by itself: see the commands above")
        return checks.exit_code(seen)
    show("\nSafe fixes:\n" + report.offers(offered) + "\n")
    if os.geteuid() != 0:
        raise HostError("Only root can apply them.", mend="sudo gpudock doctor --fix")
    if not yes and not _agreed():
        say("nothing was changed; --yes applies them without asking")
        return checks.exit_code(seen)
    for _, mend in offered:
        _apply(mend)
    again = checks.findings(_taken(host, {"images": (), "container": None}))
    show("\nNow:\n" + report.text(again, verbose=False))
    return checks.exit_code(again)


def _agreed() -> bool:
    return sys.stdin.isatty() and click.confirm("Apply them?", default=False, err=True)


def _apply(mend: "Mend") -> None:
    from gpudock import proc

    say(" ".join(mend.argv))
    own = (sys.executable, "-m", "gpudock") if mend.argv[0] == "gpudock" else mend.argv[:1]
    code = proc.attached((*own, *mend.argv[1:]))
    if code:
        say(f"it ended with {code}" + (": no such program here" if code == proc.NOT_FOUND else ""))
