"""The files that the compose program reads instead of the user's."""

from collections.abc import Callable
from typing import Any, NamedTuple

from gpudock.compat.compose import change, edit, variables
from gpudock.compat.compose.ask import RUNTIMES
from gpudock.compat.compose.project import Part, Project, absolute
from gpudock.compat.compose.relocate import relocated
from gpudock.compat.compose.served import Served
from gpudock.errors import InputError

HEAD = "# Made by gpudock from {}: changes here are lost.\n"


class Made(NamedTuple):
    """`main`: what -f names, in order; `texts`: path -> content, of those that have to be written."""

    main: tuple[str, ...]
    texts: dict[str, str]


class Where(NamedTuple):
    """`path`: the place of a made file. `everywhere`: relative paths must not depend on where a file lies."""

    path: Callable[[Part, int], str]
    everywhere: bool
    every_file: bool = False  # also those that need no change


def made(found: Project, every: tuple[Served, ...], where: Where, volumes: tuple[str, ...] = ()) -> Made:
    """`volumes`: names that the first file declares whoever uses them."""
    services = {
        (id(part), each.view.name): each
        for group in found.groups
        for part in group
        for each in every
        if each.view.home in group
    }
    parts = (*found.main, *found.others.values())
    values = [_value(part, services, volumes if part is found.main[0] else ()) for part in parts]
    changed = [value != part.document.value for part, value in zip(parts, values, strict=True)]
    others_move = where.everywhere or any(changed[len(found.main) :])
    numbered = dict(zip(found.others, range(len(found.main), len(parts)), strict=True))
    moved = {path: where.path(parts[number], number) for path, number in numbered.items()} if others_move else {}
    texts: dict[str, str] = {}
    main = []
    for number, (part, value) in enumerate(zip(parts, values, strict=True)):
        is_main = number < len(found.main)
        if not is_main and not others_move:
            continue
        extended = not is_main and next(path for path, at in numbered.items() if at == number) not in found.included
        value = relocated(value, _absolute(found, part), moved, paths=where.everywhere or extended)  # noqa: PLW2901
        if is_main and value == part.document.value and not where.every_file and part.document.name.startswith("/"):
            main.append(part.document.name)
            continue
        path = where.path(part, number)
        texts[path] = HEAD.format(part.document.name.encode("unicode_escape").decode()) + edit.edited(
            part.document, value
        )
        if is_main:
            main.append(path)
    return Made(tuple(main), texts)


def _absolute(found: Project, part: Part) -> Callable[[str], str]:
    def path(text: str) -> str:
        try:
            return absolute(variables.filled(text, found.variables), part.folder)
        except InputError:
            return text  # for the compose program to judge

    return path


def _value(part: Part, services: dict[tuple[int, str], Served], volumes: tuple[str, ...]) -> dict[str, Any]:
    value = change.without_fragments(part.document)
    bodies = {}
    names: dict[str, None] = dict.fromkeys(volumes)
    for name, body in part.services.items():
        each = services.get((id(part), name))
        bodies[name] = _body(part, body, each)
        if each is not None and each.given is not None and each.view.home is part:
            names |= dict.fromkeys(each.given.gift.volume_names)
    if not bodies:
        return value
    return change.volumes({**value, "services": bodies}, bodies.values(), names)


def _body(part: Part, body: dict[str, Any], each: Served | None) -> dict[str, Any]:
    if each is None:  # it is only extended
        return change.stripped(body, nodes=body.get("enable_cuda") is not False)
    if each.given is not None and each.given.as_is:
        return body
    refused = each.ask.request is None
    by_nodes = bool(each.given and each.given.gift.volumes and each.ask.nodes)
    variable = each.view.values.get("runtime") in RUNTIMES
    new = change.stripped(body, nodes=not refused and not by_nodes, volumes=not refused, variable=variable)
    if each.given is not None and each.view.home is part:
        new = change.given(new, each.given.gift)
    return new
