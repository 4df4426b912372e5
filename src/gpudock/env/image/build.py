"""The image of a lock, built by the engine's own build; with GPU steps by gpudock's, which keeps drivers out."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from gpudock import proc
from gpudock.engine import labels, local
from gpudock.engine.build import arguments, dockerfile, perform, work
from gpudock.env.image import base, lock
from gpudock.env.image import dockerfile as own
from gpudock.env.image.lock import Lock
from gpudock.env.project import Project
from gpudock.env.session import Session
from gpudock.errors import EngineError, RefusedError
from gpudock.plan.quote import quote
from gpudock.plan.request import parse_gpus

_USER_ARGUMENTS = ("user_id", "group_id")  # of a Dockerfile that makes its own user
_GONE = (
    re.compile(r"E: Version '(?P<version>\S+)' for '(?P<name>\S+)' was not found"),
    re.compile(r"E: Unable to locate package (?P<name>\S+)"),
    re.compile(r"No matching distribution found for (?P<name>[^\s=]+)==(?P<version>\S+)"),
    re.compile(r"gpudock: not as locked: \S+ (?P<name>[^\s=]+)=(?P<version>\S+)"),
    re.compile(r"No matching version found for (?P<name>[^\s@]+)@(?P<version>[^\s]+?)\.?$"),  # npm
    re.compile(r"^(?P<name>[a-z-]+)-(?P<version>[0-9][0-9.]*)\.tgz: FAILED"),  # sha512sum
    re.compile(r"^\s+(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+) from .*:$"),  # pip: the hashes do not match
)


class Reporter(Protocol):
    """Shows a build as it goes on."""

    def heard(self, line: str) -> None: ...

    def finished(self, code: int) -> None: ...


class Wish(NamedTuple):
    network: str = ""  # for the steps, as docker's --network
    no_cache: bool = False
    gpus: str = "all"  # for steps that need one


class Tools(NamedTuple):
    reporter: Reporter
    here: local.Here  # where this machine's CDI specification is
    pull: base.Show


def image(session: Session, project: Project, locked: Lock, wish: Wish, tools: Tools) -> str:
    """Build, and return the image's name. Raises GpudockError."""
    name = project.names.image(lock.digest(locked))
    folder = tempfile.mkdtemp(prefix="gpudock-env-")
    try:
        words = _words(session, project, locked, folder, tools)
        flags = (
            *(("--network", wish.network) if wish.network else ()),
            *(("--no-cache",) if wish.no_cache else ()),
        )
        code = _build(session, (*flags, "--tag", name, *words.flags), words, wish, tools)
    finally:
        shutil.rmtree(folder)
    if code:
        raise EngineError("The image was not built.", why="the step that failed is above", mend="change gpudock.yaml")
    return name


class _Words(NamedTuple):
    flags: tuple[str, ...]
    context: str
    gpu: bool  # a step needs one


def _words(session: Session, project: Project, locked: Lock, folder: str, tools: Tools) -> _Words:
    told = _labels(session, project, locked)
    if project.recipe.dockerfile is not None:
        users = _users(project, session)
        named = (word for key, value in told.items() for word in ("--label", f"{key}={value}"))
        return users._replace(flags=(*named, *users.flags))
    written = context(session, project, locked, buildkit=buildkit(session), pull=tools.pull)
    files = {**written.files, own.DOCKERFILE: (own.labelled(written.dockerfile, told), 0o644)}
    for name, (text, mode) in files.items():
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        os.utime(path, (0, 0))  # podman's cache looks at times
    return _Words(
        ("--file", os.path.join(folder, own.DOCKERFILE)), folder, any(each.gpu for each in project.recipe.steps)
    )


def context(session: Session, project: Project, locked: Lock, *, buildkit: bool, pull: base.Show) -> own.Written:
    """The files that the image is built of. Raises RefusedError when the base is no longer to be had."""
    assert locked.base is not None
    reference, found = base.locked(session.client, locked.base, session.run, pull)
    name = project.names.name
    return own.write(project.recipe, locked, name=name, reference=reference, path=found.path, buildkit=buildkit)


def _users(project: Project, session: Session) -> _Words:
    """The user's own Dockerfile, as it is: ids for those build arguments that it declares."""
    told = project.recipe.dockerfile
    assert told is not None
    path = os.path.join(project.folder, told.dockerfile)
    with open(path, encoding="utf-8", errors="replace") as file:
        parsed = dockerfile.parse(file.read(dockerfile.LIMIT), path)
    declared = {each.arguments.partition("=")[0].strip() for each in parsed.instructions if each.keyword == "ARG"}
    ids = dict(zip(_USER_ARGUMENTS, (session.owner.uid, session.owner.gid), strict=True))
    given = {**{name: str(value) for name, value in ids.items() if name in declared}, **project.recipe.args}
    flags = tuple(word for name, value in given.items() for word in ("--build-arg", f"{name}={value}"))
    target = ("--target", told.target) if told.target else ()
    where = os.path.normpath(os.path.join(project.folder, told.context))
    return _Words(("--file", path, *flags, *target), where, any(each.marked for each in parsed.instructions))


def _labels(session: Session, project: Project, locked: Lock) -> dict[str, str]:
    return {
        labels.ENV: project.names.name,
        labels.OWNER: session.owner.name,
        labels.OWNER_UID: str(session.owner.uid),
        labels.PROJECT: project.folder,
        labels.LOCK: lock.digest(locked),
    }


def buildkit(session: Session) -> bool:
    """Whether docker's build is BuildKit's: only then caches between builds are known to work."""
    if session.podman or session.environment.get("DOCKER_BUILDKIT", "").lower() in {"0", "false", "f"}:
        return False
    return session.ask("buildx", "version").ok


def _build(session: Session, flags: tuple[str, ...], words: _Words, wish: Wish, tools: Tools) -> int:
    said: list[str] = []

    def heard(line: str) -> None:
        said.append(line)
        tools.reporter.heard(line)

    def follow(argv: tuple[str, ...], env: Mapping[str, str] | None = None) -> int:
        return proc.following(argv, heard, env)

    code = 1
    try:
        code = _run(session, flags, words, gpus=wish.gpus, here=tools.here, follow=follow)
    finally:  # also when it is interrupted: what is drawn gives the terminal back
        tools.reporter.finished(code)
    gone = _gone(said) if code else ""
    if gone:
        raise RefusedError(
            f"{gone} is no longer to be had as it was locked.",
            why="the package source has another version, or other content",
            mend="lock anew: gpudock lock",
        )
    return code


def _run(
    session: Session,
    flags: tuple[str, ...],
    words: _Words,
    *,
    gpus: str,
    here: local.Here,
    follow: Callable[[tuple[str, ...], Mapping[str, str] | None], int],
) -> int:
    if not words.gpu:
        # BuildKit draws on terminals; what it says plainly is read here.
        plain = ("--progress", "plain") if buildkit(session) else ()
        return follow((*session.client.words, "build", *plain, *flags, "--", words.context), None)
    given = arguments.scan((*flags, words.context))
    tools = work.Tools(
        session.run, follow, lambda argv: follow(argv, None), proc.reading, session.say, session.environment
    )
    return perform.perform(given, parse_gpus(gpus), (session.client,), here, tools)


def _gone(said: list[str]) -> str:
    """The package that a source no longer has."""
    for line in said:
        for pattern in _GONE:
            found = pattern.search(line)
            if found:
                told = found.groupdict()
                return " ".join(quote(value, 80) for value in (told["name"], told.get("version")) if value)
    return ""
