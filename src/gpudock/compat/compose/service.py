"""What a service says about GPUs, over all files that say something: base services first, later files last."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from gpudock.compat.compose import project, variables
from gpudock.compat.compose.document import Tagged
from gpudock.compat.compose.project import Part, Project
from gpudock.errors import InputError
from gpudock.plan.quote import quote

OWN = "x-gpudock"
_SCALARS = ("gpus", OWN, "enable_cuda", "runtime", "image", "privileged", "volume_driver")
_LISTS = ("devices", "volumes", "env_file", "profiles")
_DEPTH = 32


class View(NamedTuple):
    """The merged values, with variables filled in, and where each was written last."""

    name: str
    values: dict[str, Any]
    places: dict[str, str]
    home: Part  # the last file that has the service
    place: str  # of the service in it

    @property
    def environment(self) -> dict[str, str]:
        found: dict[str, str] = self.values.get("environment", {})
        return found

    def at(self, key: str) -> str:
        return self.places.get(key, self.place)


def views(found: Project) -> tuple[View, ...]:
    """Each service once. Raises InputError."""
    return tuple(
        _view(found, group, name)
        for group in found.groups
        for name in dict.fromkeys(name for part in group for name in part.services)
    )


def _view(found: Project, group: tuple[Part, ...], name: str) -> View:
    merged = _Merged(found)
    home = group[0]
    for part in group:
        if name in part.services:
            merged.service(part, name, ())
            home = part
    merged.environment_files()
    return View(name, merged.values, merged.places, home, home.document.place("services", name))


class _Merged:
    def __init__(self, found: Project) -> None:
        self._project = found
        self.values: dict[str, Any] = {}
        self.places: dict[str, str] = {}

    def service(self, part: Part, name: str, way: tuple[tuple[str, str], ...]) -> None:
        body = part.services[name]
        step = (part.document.name, name)
        if step in way or len(way) > _DEPTH:
            raise InputError(
                f"{part.document.place('services', name, 'extends')}: service {name} extends itself.",
                why=" -> ".join(service for _, service in (*way, step)),
            )
        if body.get("extends"):
            self._base(part, name, body["extends"], (*way, step))
        for key, value in body.items():
            if key in (*_SCALARS, *_LISTS, "environment", "deploy"):
                self._take(part, name, key, value)

    def _base(self, part: Part, name: str, extends: object, way: tuple[tuple[str, str], ...]) -> None:
        place = part.document.place("services", name, "extends")
        base = extends.get("service") if isinstance(extends, dict) else extends
        file = extends.get("file") if isinstance(extends, dict) else None
        other = part
        if isinstance(file, str):
            path = project.absolute(variables.filled(file, self._project.variables), part.folder)
            other = self._project.others.get(path, part)
            if other is part and path != os.path.abspath(part.document.name):
                return  # an address: only the compose program fetches it
        if not isinstance(base, str) or base not in other.services:
            raise InputError(
                f"{place}: service {name} extends {quote(str(base))}, which {other.document.name} does not have."
            )
        self.service(other, base, way)

    def _take(self, part: Part, service: str, key: str, value: object) -> None:
        place = part.document.place("services", service, key)
        self.places[key] = place
        if isinstance(value, Tagged):
            self.values.pop(key, None)
            if value.tag == "!reset":
                return
            value = value.value
        try:
            value = _filled(value, self._project.variables)
        except InputError as error:
            raise InputError(f"{place}: service {service}: {error.what}", why=error.why) from error
        if key == "environment":
            self.values[key] = {**self.values.get(key, {}), **self._environment(value, place)}
        elif key == "deploy":
            self.values[key] = [*self.values.get(key, []), *reserved(value)]
        elif key == "env_file":
            paths = [each.get("path") if isinstance(each, dict) else each for each in _listed(value)]
            own = [project.absolute(each, part.folder) for each in paths if isinstance(each, str)]
            self.values[key] = [*self.values.get(key, []), *own]
        elif key in _LISTS:
            self.values[key] = [*self.values.get(key, []), *_listed(value)]
        else:
            self.values[key] = value

    def _environment(self, value: object, place: str) -> dict[str, str]:
        """A variable without a value has the caller's."""
        caller = self._project.variables
        found: dict[str, str] = {}
        if isinstance(value, dict):
            entries = [(str(name), each) for name, each in value.items()]
        elif isinstance(value, list):
            parts = (str(entry).partition("=") for entry in value)
            entries = [(name, each if equals else None) for name, equals, each in parts]
        elif value is None:
            entries = []
        else:
            raise InputError(f"{place}: environment must be a mapping or a list.")
        for name, each in entries:
            text = caller.get(name) if each is None else str(each)
            if text is not None:
                found[name] = text
        return found

    def environment_files(self) -> None:
        """Weaker than `environment`. A file that is missing is for the compose program to judge."""
        found: dict[str, str] = {}
        for path in self.values.get("env_file", []):
            if os.path.isfile(path):
                found |= variables.dotenv(project.text(path))
        self.values["environment"] = {**found, **self.values.get("environment", {})}


def reserved(deploy: object) -> list[Any]:
    """deploy.resources.reservations.devices, [] when it is not there."""
    value = deploy
    for key in ("resources", "reservations", "devices"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list) else []


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _filled(value: object, found: Mapping[str, str]) -> Any:  # noqa: ANN401  YAML
    if isinstance(value, str):
        return variables.filled(value, found)
    if isinstance(value, list):
        return [_filled(each, found) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, found) for key, each in value.items()}
    return value
