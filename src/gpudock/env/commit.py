"""What was changed in a running environment since its lock: packages that were added by hand, and how that is kept."""

import io
import re
from typing import NamedTuple

from gpudock.engine.containers import Container
from gpudock.env.inside import command
from gpudock.env.session import Session
from gpudock.errors import EngineError, InputError
from gpudock.plan.quote import quote
from gpudock.proc import Command

# What a container has, in one go: starting one may take an engine seconds. Not every image has pip, or apt.
_ASK = """python3 -m pip list --format freeze --disable-pip-version-check 2>/dev/null
echo == manual; apt-mark showmanual 2>/dev/null
echo == installed; dpkg-query --show --showformat '${binary:Package} ${Version}\\n' 2>/dev/null; true"""
_PYTHON_LINE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)$")
_SYSTEM_LINE = re.compile(r"^([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?(?: (\S+))?$")


class Packages(NamedTuple):
    python: dict[str, str]  # name -> version
    system: dict[str, str]


class Added(NamedTuple):
    python: tuple[str, ...]  # as pip writes them
    system: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.python or self.system)


def installed(session: Session, there: Container) -> Packages:
    """What the container has now, as its user sees it."""
    return read(session.run(Command(command(session, there, ("/bin/sh", "-c", _ASK), root=False), timeout=120.0)).out)


def of_image(session: Session, reference: str) -> Packages:
    """The same of a fresh container of the image, which is gone afterwards."""
    flags = ("--rm", "--network", "none", "--pull", "never", "--entrypoint", "/bin/sh")
    return read(session.ask("run", *flags, reference, "-c", _ASK, timeout=300.0).out)


def read(text: str) -> Packages:
    python, _, rest = text.partition("== manual\n")
    manual, _, versions = rest.partition("== installed\n")
    wanted = system(manual)
    return Packages(python_packages(python), {name: each for name, each in system(versions).items() if name in wanted})


def python_packages(text: str) -> dict[str, str]:
    found = (_PYTHON_LINE.match(line.strip()) for line in text.splitlines())
    return {each[1].lower().replace("_", "-"): each[2] for each in found if each}


def system(text: str) -> dict[str, str]:
    found = (_SYSTEM_LINE.match(line.strip()) for line in text.splitlines())
    return {each[1]: each[2] or "" for each in found if each}


def added(before: Packages, now: Packages) -> Added:
    """What is there now and was not, or in another version. Of the system only what was asked for by name."""
    python = tuple(
        f"{name}=={version}" for name, version in sorted(now.python.items()) if before.python.get(name) != version
    )
    return Added(python, tuple(sorted(set(now.system) - set(before.system))))


def write_back(text: str, found: Added) -> str:
    """gpudock.yaml with these packages among its own; comments and order stay. Raises InputError."""
    from ruamel.yaml import YAML  # noqa: PLC0415  start-up time
    from ruamel.yaml.comments import CommentedMap, CommentedSeq  # noqa: PLC0415
    from ruamel.yaml.error import MarkedYAMLError  # noqa: PLC0415

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        document = yaml.load(text)
    except MarkedYAMLError as error:
        raise InputError("gpudock.yaml is not YAML.", why=quote(str(error), 200)) from error
    document = CommentedMap() if document is None else document
    for key, values in (("python_packages", found.python), ("system_packages", found.system)):
        if not values:
            continue
        there = document.get(key)
        kept = there if isinstance(there, CommentedSeq) else CommentedSeq()
        names = {_bare(str(each)): at for at, each in enumerate(kept)}
        for value in values:
            if _bare(value) in names:
                kept[names[_bare(value)]] = value
            else:
                kept.append(value)
        document[key] = kept
    target = io.StringIO()
    yaml.dump(document, target)
    return target.getvalue()


def _bare(requirement: str) -> str:
    return re.split(r"[\s=<>!~\[;@]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def image(session: Session, there: Container, reference: str, message: str) -> None:
    """The container as it is, as an image. Its memory, where the secrets are, is in none."""
    words = ("commit", *(("--message", message) if message and not session.podman else ()), there.id, reference)
    done = session.ask(*words, timeout=3600.0)
    if not done.ok:
        raise EngineError(
            f"{session.client.name} cannot commit {there.name}.", why=quote(" ".join(done.err.split()), 300)
        )
