"""Which packages an image gets: asked of pip and apt in a container of its own base, so that Python, C library,
architecture and package sources are the image's, and thrown away after.
"""

import base64
import re
import secrets
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from gpudock import proc
from gpudock.engine.base import Client
from gpudock.env.image.lock import NodePackage, Package
from gpudock.env.image.requirements import canonical
from gpudock.errors import EngineError, InputError, RefusedError
from gpudock.plan.quote import quote

_SECONDS = 3600.0  # an index may send gigabytes for one package that tells nothing of itself
_INST = re.compile(r"^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) ")
_VANISHED = re.compile(r"E: Version '(\S+)' for '(\S+)' was not found")


class Question(NamedTuple):
    image: str
    system: tuple[str, ...]  # for apt
    python: tuple[str, ...] | None  # lines for pip; None: no Python is wanted
    network: str = ""
    node: str = ""  # for npm: name@version


class Resolved(NamedTuple):
    distribution: str
    architecture: str
    python: str
    system_packages: tuple[Package, ...]
    python_packages: tuple[Package, ...]
    node_packages: tuple[NodePackage, ...] = ()


def resolve(client: Client, question: Question, run: proc.Runner) -> Resolved:
    """Raises EngineError, RefusedError for what cannot be had, InputError for requirements that pip does not read."""
    network = ("--network", question.network) if question.network else ()
    words = ("run", "--rm", "-i", *network, "--user", "0:0", "--entrypoint", "/bin/sh", question.image, "-s")
    told = run(proc.Command((*client.words, *words), stdin=script(question).encode(), timeout=_SECONDS))
    if not told.ok:
        said = [line for line in told.err.splitlines() if line.strip() and not line.startswith("Run 'docker ")]
        last = said[-1] if said else f"exit code {told.code}"  # docker's own last line points at its help
        raise EngineError(
            f"The base image {quote(question.image, 100)} cannot be asked for packages.",
            why=quote(last, 300),
            mend="it needs /bin/sh and, for packages, apt and a network (--network host where the engine has no other)",
        )
    return understand(told.out, question)


def script(question: Question) -> str:
    end = secrets.token_hex(16)  # no line of a hostile requirements.txt ends the text
    lines = "\n".join(question.python or ())
    given = f"PACKAGES='{' '.join(map(_apt_word, question.system))}'\nPYTHON={int(question.python is not None)}\n"
    given += f"NODE='{question.node}'\n"
    text = (resources.files("gpudock.env.image") / "resolve.sh").read_text()
    return f"{given}cat >/tmp/gpudock-requirements <<'{end}'\n{lines}\n{end}\n{text}"


def _apt_word(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.:-]*(=[A-Za-z0-9+.:~-]+)?", name):
        raise InputError(
            f"{quote(name)} cannot be a system package.", mend="write it as apt does: ffmpeg, git=1:2.39.5-0"
        )
    return name


def understand(said: str, question: Question) -> Resolved:
    """What the script said. Raises RefusedError and EngineError."""
    parts = dict(_sections(said))
    problem = parts.get("problem")
    if problem is not None:
        raise _problem(problem, question, parts)
    system = tuple(_system(parts.get("apt", ""), parts.get("hashes", "")))
    release = dict(line.partition("=")[::2] for line in parts.get("system", "").splitlines())
    try:
        return Resolved(
            " ".join(release.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID")).strip()[:60],
            parts["machine"].strip(),
            parts.get("python", "").strip(),
            system,
            tuple(_python(parts["pip"])) if "pip" in parts else (),
            _node(parts["npm"], question.node) if "npm" in parts else (),
        )
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise EngineError("What the base image says of its packages cannot be understood.", why=str(error)) from error


def _sections(said: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^=== ", said, flags=re.MULTILINE)[1:]:
        name, _, text = part.partition("\n")
        yield name, text


def _system(installed: str, shown: str) -> Iterator[Package]:
    hashes = {}
    for entry in shown.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in entry.splitlines())
        if "SHA256" in fields:
            hashes[fields["Package"], fields["Version"]] = fields["SHA256"]
    for line in installed.splitlines():
        found = _INST.match(line)
        if found:
            name, version = found[1], found[2]
            sha256 = hashes.get((name.partition(":")[0], version))
            if sha256 is None:
                raise EngineError(f"apt does not tell the hash of {quote(name)} {quote(version)}.")
            yield msgspec.convert({"name": name, "version": version, "sha256": sha256}, Package)


class _Metadata(msgspec.Struct):
    name: str
    version: str


class _Download(msgspec.Struct):
    url: str
    archive_info: dict[str, Any] | None = None


class _Installed(msgspec.Struct):
    metadata: _Metadata
    download_info: _Download
    is_direct: bool = False


class _Report(msgspec.Struct):
    install: list[_Installed]


def _python(report: str) -> Iterator[Package]:
    """In order of names."""
    for each in sorted(msgspec.json.decode(report, type=_Report).install, key=lambda one: canonical(one.metadata.name)):
        info = each.download_info.archive_info or {}
        hashes = info.get("hashes") or dict([str(info.get("hash", "=")).split("=", 1)])
        if not hashes.get("sha256"):
            raise RefusedError(
                f"{quote(each.metadata.name)} cannot be locked.",
                why=f"{quote(each.download_info.url, 100)} has no hash: it is a repository or a folder",
                mend="name a version of an index, or the URL of an archive",
            )
        url = each.download_info.url if each.is_direct else ""
        yield msgspec.convert(
            {
                "name": canonical(each.metadata.name),
                "version": each.metadata.version,
                "sha256": hashes["sha256"],
                "url": url,
            },
            Package,
        )


def _node(told: str, wanted: str) -> tuple[NodePackage, ...]:
    """Of `npm view`: npm's hash is base64, and that of sha512sum is not."""
    found = msgspec.json.decode(told, type=dict[str, str])
    kind, _, digest = found["dist.integrity"].partition("-")
    sha512 = base64.b64decode(digest).hex() if kind == "sha512" else ""
    told_of = {"name": wanted.partition("@")[0], "version": found["version"], "sha512": sha512}
    return (msgspec.convert(told_of, NodePackage),)


def _problem(text: str, question: Question, parts: Mapping[str, str]) -> RefusedError:
    said = quote(" ".join(text.split()) or "it does not say why", 400)
    if "no apt-get" in text:
        return RefusedError(
            f"The base image {quote(question.image, 100)} has no apt.",
            why=f"wanted: {' '.join(question.system) or 'python3'}",
            mend="use a base of Debian or Ubuntu, or your own Dockerfile (from:)",
        )
    if "npm" in parts and "pip" not in parts:
        return RefusedError(
            f"{quote(question.node)} cannot be had.",
            why=said,
            mend="another version is named by services: {code: {version: VERSION}}",
        )
    if "python" in parts:
        return RefusedError(
            "The Python packages cannot be had together.", why=said, mend="change what gpudock.yaml asks"
        )
    return RefusedError("The system packages cannot be had.", why=said, mend="see how the distribution calls them")
