"""A built image gets its names only after every file of every layer was looked at."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from gpudock import proc
from gpudock.engine.base import Client
from gpudock.engine.build import buildah, layers
from gpudock.engine.build.arguments import Arguments
from gpudock.engine.build.driver_files import Driver, Judge
from gpudock.errors import EngineError, HostError, RefusedError
from gpudock.plan.quote import quote

Reading = Callable[[tuple[str, ...]], AbstractContextManager[Callable[[int], bytes]]]


class Image(NamedTuple):
    """As the engine inspects it."""

    layers: tuple[str, ...]
    config: dict[str, object]


def inspect(
    client: Client,
    image: str,
    run: proc.Runner,
    absent: str = "The image was built, but the engine does not have it.",
    mend: str = "use a builder that puts images into the engine's own store: docker buildx use default",
) -> Image:
    """Raises EngineError, which says `absent` when it is not there."""
    result = run(proc.Command(buildah.inspect_words(client, image)))
    try:
        names, config = buildah.inspected(result.out)
        return Image(tuple(map(str, names)), dict(config))
    except (ValueError, RecursionError, TypeError, LookupError, AttributeError) as error:
        raise EngineError(
            absent,
            why=quote(result.err.strip() or str(error), 300),
            mend=mend,
        ) from error


def check(client: Client, image: str, driver: Driver, run: proc.Runner, reading: Reading) -> tuple[str, ...]:
    """What to say of an image without the driver. Raises RefusedError, naming the files, and EngineError."""
    expected = inspect(client, image, run).layers
    try:
        with reading(buildah.save_words(client, image)) as read:
            found = layers.look(read, expected, Judge(driver).reason)
    except HostError as error:
        raise EngineError("The image cannot be looked at.", why=error.why, mend="build it again") from error
    if found.number:
        raise RefusedError(
            f"The image would hold {found.number} file{'s' * (found.number > 1)} of the driver, so it gets no name.",
            why="\n        ".join(layers.lines(found)),
            mend="an image works with every driver only without one: do not copy or install these files; the image is "
            f"left as {image[:19]}",
        )
    number = f"{len(expected)} layer{'s' * (len(expected) != 1)}"
    cache = ("its linker cache may list the driver's libraries, which does no harm",) if found.cache else ()
    return (f"looked at {number}: no file of the driver is in the image", *cache)


def name(client: Client, image: str, arguments: Arguments, run: proc.Runner) -> None:
    """Give the image what the user asked for: --tag and --iidfile. Raises EngineError and HostError."""
    for tag in arguments.values("tag"):
        result = run(proc.Command((*client.words, "tag", image, tag)))
        if not result.ok:
            raise EngineError(f"The image cannot be tagged {quote(tag)}.", why=quote(result.err.strip(), 300))
    for path in arguments.values("iidfile"):
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write(image)
        except OSError as error:
            raise HostError(f"{quote(path, 200)} cannot be written.", why=error.strerror or str(error)) from error


def forget(arguments: Arguments) -> None:
    """Take away an --iidfile of an earlier build, as the engines do before they begin. Raises HostError."""
    for path in arguments.values("iidfile"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HostError(f"{quote(path, 200)} cannot be removed.", why=error.strerror or str(error)) from error
