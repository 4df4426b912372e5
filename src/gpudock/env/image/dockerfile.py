"""The Dockerfile of an environment, and the files beside it. Pure."""

import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

from gpudock.env import naming
from gpudock.env.image.lock import Lock, Package
from gpudock.env.recipe import Recipe, Step
from gpudock.env.services.place import CODE_EXTENSIONS
from gpudock.errors import InputError
from gpudock.plan.quote import quote

ENTRY_FILE, SYSTEM_FILE, PYTHON_FILE, DOCKERFILE = "entry", "system.lock", "python.lock", "Dockerfile"
_APT_CACHE = "--mount=type=cache,target=/var/cache/apt,sharing=locked rm -f /etc/apt/apt.conf.d/docker-clean && "
_PIP_CACHE = "--mount=type=cache,target=/root/.cache/pip "
_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Written(NamedTuple):
    """Files of a build's context by name, with their mode."""

    files: dict[str, tuple[str, int]]

    @property
    def dockerfile(self) -> str:
        return self.files[DOCKERFILE][0]


def write(recipe: Recipe, lock: Lock, *, name: str, reference: str, path: str, buildkit: bool) -> Written:
    """`reference`: how FROM names the base. `path`: the base's PATH. `buildkit`: caches between builds can be used."""
    import jinja2  # noqa: PLC0415  start-up time

    template = resources.files("gpudock.env.image") / "dockerfile.jinja"
    made = jinja2.Environment(  # noqa: S701  no HTML
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    ).from_string(template.read_text())
    text = made.render(
        name=name,
        reference=reference,
        args=[_argument(key, value) for key, value in recipe.args.items()],
        system=lock.system_packages,
        python=lock.python,
        apt_cache=_APT_CACHE if buildkit else "",
        pip_cache=_PIP_CACHE if buildkit else "",
        path=path,
        node=lock.node_packages,
        extensions=recipe.served["code"].extensions if lock.node_packages else (),
        extensions_folder=CODE_EXTENSIONS,
        sudo=recipe.user.sudo,
        steps=[{"gpu": each.gpu, "text": command(each)} for each in recipe.steps],
        entry=naming.ENTRY,
        workspace=naming.WORKSPACE,
        shell=recipe.user.shell,
    )
    files = {DOCKERFILE: (text, 0o644), ENTRY_FILE: (entry(), 0o755)}
    if lock.system_packages:
        files[SYSTEM_FILE] = (
            "".join(f"{each.sha256} {each.name}={each.version}\n" for each in lock.system_packages),
            0o644,
        )
    if lock.python:
        files[PYTHON_FILE] = ("".join(f"{line}\n" for line in (*lock.pip, *map(_pinned, lock.python_packages))), 0o644)
    return Written(files)


def entry() -> str:
    return (resources.files("gpudock.env.image") / "entry.sh").read_text()


def _pinned(package: Package) -> str:
    at = f"{package.name} @ {package.url}" if package.url else f"{package.name}=={package.version}"
    return f"{at} --hash=sha256:{package.sha256}"


def _argument(name: str, value: str) -> tuple[str, str]:
    if not _ARGUMENT.fullmatch(name) or "\n" in value or "\r" in value:
        raise InputError(
            f"{quote(name)} cannot be a build argument.", why="a name is letters, digits and _, a value one line"
        )
    return name, _quoted(value)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def labelled(text: str, labels: Mapping[str, str]) -> str:
    """With labels in one instruction: as flags of a build each would be a step of its own."""
    for value in labels.values():
        if "\n" in value or "\r" in value:
            raise InputError(f"{quote(value)} has a line break.", mend="give the folder another name")
    return f"{text}LABEL {' '.join(f'{name}={_quoted(value)}' for name, value in labels.items())}\n"


def command(step: Step) -> str:
    """As RUN takes it: the shell form where one line says all, else the one that nothing in the text can end."""
    text = step.command.strip()
    plain = "\n" not in text and "<<" not in text and not text.endswith("\\") and not text.startswith(("[", "-", "#"))
    return text if plain else json.dumps(["/bin/sh", "-ec", text])
