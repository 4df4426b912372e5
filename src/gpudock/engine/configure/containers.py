"""Containers that name a runtime, also stopped ones: without it they could neither start nor be entered."""

import glob
import json
import os
from collections.abc import Collection, Iterable
from typing import NamedTuple

from gpudock import proc
from gpudock.engine.docker import Docker
from gpudock.errors import EngineError, RefusedError
from gpudock.plan.quote import quote

_SHOWN = 8
_FORM = '{{.Name}}{{"\\t"}}{{.HostConfig.Runtime}}{{"\\t"}}{{.State.Status}}'
_PODMAN_FORM = '{{.Name}}{{"\\t"}}{{.OCIRuntime}}{{"\\t"}}{{.State.Status}}'


class Container(NamedTuple):
    name: str
    runtime: str
    state: str


def of_docker(client: Docker, run: proc.Runner) -> tuple[Container, ...]:
    return _asked(client.words, ("ps", "--all", "--quiet", "--no-trunc"), _FORM, run)


def of_podman(run: proc.Runner) -> tuple[Container, ...]:
    """The caller's own: those of other users are not to be seen."""
    return _asked(("podman",), ("ps", "--all", "--quiet", "--no-trunc", "--external=false"), _PODMAN_FORM, run)


def _asked(words: tuple[str, ...], listing: tuple[str, ...], form: str, run: proc.Runner) -> tuple[Container, ...]:
    listed = run(proc.Command((*words, *listing)))
    if not listed.ok:
        raise _unknown(listed, words[0])
    ids = listed.out.split()
    if not ids:
        return ()
    told = run(proc.Command((*words, "container", "inspect", "--format", form, *ids)))
    if not told.ok and not told.out.strip():  # one that has gone meanwhile makes it fail too
        raise _unknown(told, words[0])
    rows = (line.split("\t") for line in told.out.splitlines())
    return tuple(Container(row[0].lstrip("/"), row[1], row[2]) for row in rows if len(row) == 3)


def _unknown(answer: proc.Result, engine: str) -> EngineError:
    lines = [line for line in answer.err.splitlines() if line.strip()] or [f"exit code {answer.code}"]
    mend = f"see what this says: {engine} ps --all"
    return EngineError(f"{engine} does not list its containers.", why=quote(lines[-1], 300), mend=mend)


def of_folder(data_root: str) -> tuple[Container, ...]:
    """As a docker that does not run has left them in its data folder; with user namespaces one level deeper."""
    found: list[Container] = []
    paths = (f"{data_root}/containers/*/hostconfig.json", f"{data_root}/[0-9]*.[0-9]*/containers/*/hostconfig.json")
    for path in sorted(path for pattern in paths for path in glob.glob(pattern)):
        host = _object(path)
        name = str(_object(os.path.join(os.path.dirname(path), "config.v2.json")).get("Name", path)).lstrip("/")
        found.append(Container(name, str(host.get("Runtime", "")), "not running"))
    return tuple(found)


def _object(path: str) -> dict[str, object]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            value = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError(f"{path} cannot be read.", why=str(error), mend="start docker, then try again") from error
    return value if isinstance(value, dict) else {}


def refuse(containers: Iterable[Container], names: Collection[str], remove: str, instead: str) -> None:
    """Raise RefusedError when some of them name one of these runtimes."""
    using = [each for each in containers if each.runtime in names]
    if not using:
        return
    shown = ", ".join(f"{quote(each.name)} ({each.state})" for each in using[:_SHOWN])
    more = f" and {len(using) - _SHOWN} more" if len(using) > _SHOWN else ""
    plural = "containers name" if len(using) > 1 else "container names"
    raise RefusedError(
        f"{len(using)} {plural} the runtime {using[0].runtime}, which would be taken away.",
        why=f"without it they could not be started, entered or stopped: {shown}{more}",
        mend=f"remove them first ({remove}); {instead}",
    )
