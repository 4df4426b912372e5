"""`--check`: what would be done for each service, and what may go wrong. Nothing is started or written."""

import re
from collections.abc import Iterator
from typing import Any

from gpudock import proc
from gpudock.compat.compose.document import Tagged
from gpudock.compat.compose.program import PLUGIN, PODMAN
from gpudock.compat.compose.project import Project
from gpudock.compat.compose.served import Served, unused
from gpudock.compat.compose.session import Session, Start, Way

_SECONDS = 15.0
_NEW = ("include", "gpus", "develop", "models", "provider", "use_api_socket")  # docker-compose 1.29 refuses them


def explained(found: Project, every: tuple[Served, ...], way: Way | None, around: Session) -> Start:
    lines = [way.describe if way else "No service asks for a GPU: the files are used as they are."]
    width = max((len(each.view.name) for each in every), default=0)
    lines += [f"  {each.view.name:<{width}}  {_says(each)}" for each in every]
    notes = [*(way.notes if way else ()), *(note for each in every if each.given for note in each.given.notes)]
    pitfalls = [*unused(every, then=""), *(_pitfalls(found, way, around) if way else ())]
    failed = next((each.problem for each in every if each.problem), None)
    return Start(notes=(*notes, *pitfalls), output="\n".join(lines) + "\n", code=failed.exit_code if failed else 0)


def _says(each: Served) -> str:
    if each.ask.request is None:
        return f"no GPU ({each.ask.place} says so)" if each.ask.how else "no GPU"
    by = "by the default" if each.ask.how == "default" else f"{each.ask.how} at {each.ask.place}"
    if each.problem is not None:
        return f"{by}: cannot be served"
    return f"{by}: {each.given.says}" if each.given else by


def _pitfalls(found: Project, way: Way, around: Session) -> Iterator[str]:
    told = around.tools.run(proc.Command(way.program.version_question, timeout=_SECONDS))
    version = _version(told.out)
    if way.client is not None and way.client.name == "podman" and way.program.name != PODMAN:
        yield "Podman before 5.4 drops CDI devices that come by its docker socket, without a word: use podman-compose."
    if way.program.name == PODMAN:
        if any("extends" in body for part in found.main for body in part.services.values()) and version < (1, 0, 6):
            yield "podman-compose before 1.0.6 merges `extends` incompletely: look at what its config command shows."
        return
    if way.program.name == PLUGIN or version >= (2,):
        return
    if version < (1, 28):
        shown = ".".join(map(str, version)) or "of unknown version"
        yield f"docker-compose {shown} knows no device reservations (1.28 does), nor runtime: in files of version 3."
    for part in found.main:
        new = sorted({key for key in _keys(part.document.value) if key in _NEW and key != "gpus"})
        if new:
            yield f"{part.document.name} uses {', '.join(new)}, which only docker compose 2 knows."
        if _tagged(part.document.value):
            yield f"{part.document.name} uses !reset or !override, which docker compose 2.24 was the first to know."
        if "version" not in (part.document.value or {}):
            yield f"{part.document.name} has no `version:`, which docker-compose before 1.27 needs."


def _version(text: str) -> tuple[int, ...]:
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups() if part) if match else ()


def _keys(value: Any) -> set[str]:  # noqa: ANN401  YAML
    services = (value or {}).get("services") or {}
    return {*map(str, value or {}), *(str(key) for body in services.values() for key in body)}


def _tagged(value: object) -> bool:
    if isinstance(value, Tagged):
        return True
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_tagged(each) for each in inside)
