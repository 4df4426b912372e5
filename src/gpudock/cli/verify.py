"""`gpudock verify`: containers really get working GPUs, shown on each engine."""

from typing import TYPE_CHECKING

import click

from gpudock.cli.by_click import host_options
from gpudock.cli.options import HostOptions
from gpudock.cli.terminal import show

if TYPE_CHECKING:
    from gpudock.facts.engine import Engine
    from gpudock.facts.snapshot import Snapshot
    from gpudock.provision.verify.run import Step

_MARKS = {True: "ok", False: "WRONG", None: "-"}


@click.command()
@host_options
@click.option("--engine", metavar="docker|podman", help="Only on this engine. [default: on each that answers]")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def verify(host: HostOptions, *, engine: str | None, as_json: bool) -> int:
    """Start a container on each engine, and prove that its GPUs work.

    In it every GPU's device node must be there, libnvidia-ml and libcuda must load, versions and GPUs must be the
    host's own, and each GPU must compute a kernel whose result is looked at. The image is made of this machine's
    Python, for as long as it takes: no registry is asked. Simulated GPUs prove all but the computation.

    Exit code 4 when something is wrong.
    """
    import json
    import sys

    from gpudock import proc
    from gpudock.provision.verify import image, run

    machine, engines = _engines(host, engine)
    made = image.make(proc.run, sys.executable)
    results = [run.verify(each, machine, made, proc.run) for each in engines]
    if as_json:
        plain = [{"engine": each.engine, "steps": [step._asdict() for step in each.steps]} for each in results]
        print(json.dumps(plain, indent=2))
    else:
        show("\n\n".join("\n".join((each.engine, *map(_line, each.steps))) for each in results))
    return 0 if all(each.ok for each in results) else 4


def _line(step: "Step") -> str:
    return f"  {_MARKS[step.ok]:6}{step.what:12}{step.says}"


def _engines(host: HostOptions, wanted: str | None) -> "tuple[Snapshot, list[Engine]]":
    """The machine as the containers' GPUs were read from, and its engines that can be tried."""
    from gpudock.cli.earlier import before
    from gpudock.errors import EngineError, HostError, UsageError
    from gpudock.plan.quote import quote
    from gpudock.provision.machine import working
    from gpudock.refresh.paths import default_paths

    if host.snapshot:
        raise UsageError("verify cannot use a snapshot.", why="it starts containers, and those are this machine's")
    if wanted not in {None, "docker", "podman"}:
        raise UsageError(f"--engine {quote(str(wanted))} is not an engine.", mend="use docker or podman")
    machine = before(host, default_paths()).host.load(engines=True)
    if not machine.gpus:
        raise HostError("There is no GPU to verify.", mend="gpudock doctor says why")
    found = [each for each in working(machine) if each.name in ({wanted} if wanted else {"docker", "podman"})]
    if not found:
        what = f"{wanted} does not answer on this machine." if wanted else "No engine of this machine answers."
        raise EngineError(what, mend="gpudock doctor says why")
    return machine, found
