"""gpudock.lock as a value: all that an image is made of, by version and hash. Pure."""

import hashlib
import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gpudock.env.recipe import Recipe, Step
from gpudock.errors import InputError
from gpudock.plan.quote import quote

FORMAT = 1
LIMIT = 16 << 20
# What a hostile lock could otherwise put into a Dockerfile or a command line.
Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9+.:~_!-]*$", max_length=200)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, Meta(pattern=r"^[^\s'\"\\$`]*$", max_length=2000)]


class Locked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    pass


class Base(Locked, frozen=True):
    name: Line  # as gpudock.yaml names it, or gpudock by default
    image: Sha256  # of its configuration, by which an engine knows it
    digest: Annotated[str, Meta(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""  # the registry's; "": it is only here


class Package(Locked, frozen=True):
    name: Word
    version: Word
    sha256: Sha256
    url: Line = ""  # of one that is in no index


class NodePackage(Locked, frozen=True):
    """One that names all that it needs itself, with hashes."""

    name: Word
    version: Word
    sha512: Annotated[str, Meta(pattern=r"^[0-9a-f]{128}$")]


class Lock(Locked, frozen=True):
    format: int
    recipe: Sha256  # of what gpudock.yaml, and the files that it names, say about the image
    architecture: Annotated[str, Meta(pattern="^[a-z0-9_]*$")]  # as uname -m tells it; "": not known
    base: Base | None = None  # None: the user's own Dockerfile names it
    distribution: str = ""
    python: str = ""
    framework: str = ""
    cuda: str = ""  # "": none
    driver: str = ""  # the oldest that runs it
    architectures: tuple[str, ...] = ()  # of GPUs, as compute capabilities; (): not known
    pip: tuple[Line, ...] = ()  # options: other indexes than the usual one
    system_packages: tuple[Package, ...] = ()
    python_packages: tuple[Package, ...] = ()
    node_packages: tuple[NodePackage, ...] = ()


def encode(lock: Lock) -> bytes:
    """The file: JSON, a package a line, so that a change reads well."""
    entries = []
    for name, value in msgspec.to_builtins(lock).items():
        if isinstance(value, (list, tuple)) and value:
            lines = ",\n".join("    " + json.dumps(each) for each in value)
            entries.append(f"  {json.dumps(name)}: [\n{lines}\n  ]")
        else:
            entries.append(f"  {json.dumps(name)}: {json.dumps(value)}")
    return ("{\n" + ",\n".join(entries) + "\n}\n").encode()


def digest(lock: Lock) -> str:
    """The lock's hash, by which the image is named."""
    return hashlib.sha256(encode(lock)).hexdigest()


def decode(data: bytes, path: str) -> Lock:
    """Raises InputError."""
    try:
        if (found := msgspec.json.decode(data, type=_Format).format) != FORMAT:
            raise InputError(
                f"{path} has format {found}.", why=f"this gpudock knows format {FORMAT}", mend="gpudock lock"
            )
        return msgspec.json.decode(data, type=Lock)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"{path} is not a lock.", why=quote(str(error), 200), mend="make it anew: gpudock lock"
        ) from error


class _Format(msgspec.Struct):
    format: int


_OF_THE_IMAGE = (
    *("base", "from_", "python_version", "framework", "cuda", "python_requirements", "python_packages"),
    *("conda_environment", "system_packages", "args", "run", "display"),
)


def recipe_hash(recipe: Recipe, files: dict[str, bytes]) -> str:
    """Of what decides about the image. `files`: those that the recipe names, by path."""
    made: dict[str, Any] = {key: msgspec.to_builtins(getattr(recipe, key)) for key in _OF_THE_IMAGE}
    made["run"] = [msgspec.to_builtins(each) for each in recipe.steps if isinstance(each, Step)]
    made["user"] = [recipe.user.shell, recipe.user.multiplexer, recipe.user.sudo]
    made["services"] = {
        name: [service.version, service.extensions, bool(service.command)] for name, service in recipe.served.items()
    }
    made["files"] = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()
