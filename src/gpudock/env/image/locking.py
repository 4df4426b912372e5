"""From recipe and machine to a lock: refuse what cannot run, pull the base, ask for the packages."""

import os
from typing import NamedTuple

import msgspec

from gpudock.env.choose import choice, fitness
from gpudock.env.choose.choice import Choice
from gpudock.env.choose.machine import Machine
from gpudock.env.choose.tables import Tables
from gpudock.env.image import base, lock, needs, requirements, resolve
from gpudock.env.image.lock import Lock, Package
from gpudock.env.image.requirements import Requirements
from gpudock.env.image.resolve import Question, Resolved
from gpudock.env.naming import LOCK_FILE
from gpudock.env.owner import Owner, acting
from gpudock.env.project import Project
from gpudock.env.recipe import Recipe
from gpudock.env.session import Session
from gpudock.errors import InputError, RefusedError
from gpudock.gpu.cuda import numbers
from gpudock.plan import requirement
from gpudock.plan.quote import quote
from gpudock.publish import read_capped, write

PLAIN = "docker.io/library/python:{python}-slim-bookworm"  # where no base is named
_RUNTIMES = (
    "cuda-toolkit",
    "nvidia-cuda-runtime",
    "nvidia-cuda-runtime-cu13",
    "nvidia-cuda-runtime-cu12",
    "nvidia-cuda-runtime-cu11",
)


class Wish(NamedTuple):
    network: str = ""
    base: str = ""  # instead of the default one
    machine: Machine = Machine()
    tables: Tables | None = None


def make(session: Session, project: Project, wish: Wish, pull: base.Show) -> Lock:
    """Raises GpudockError. Nothing is pulled before it is known that the machine can run what is asked."""
    assert wish.tables is not None
    recipe, named, chosen = decide(project, wish.machine, wish.tables)
    recipe_hash = lock.recipe_hash(project.recipe, named.files)
    for note in (*named.notes, *chosen.notes):
        session.say(note)
    if recipe.dockerfile is not None:
        return Lock(format=lock.FORMAT, recipe=recipe_hash, architecture=wish.machine.machine, cuda=chosen.cuda)
    wanted = needs.needs(recipe)
    name = recipe.base or wish.base or _usual(recipe.framework_name, chosen, wish.tables)
    found = base.find(session.client, name, session.run, pull)
    told = {name: value for name, value in recipe.env.items() if value is not None}
    _required({**found.environment, **told}, wish.machine)
    python = (*chosen.pip, *named.lines, *chosen.requirements, *wanted.python)
    asked = bool(recipe.framework_name or recipe.python_version or python or wanted.node)
    system = tuple(dict.fromkeys((*wanted.system, *named.system)))
    question = Question(found.base.name, system, python if asked else None, wish.network, wanted.node)
    if system or asked:
        session.say(f"asking apt and pip for the packages, in a container of {quote(name, 100)}")
    resolved = resolve.resolve(session.client, question, session.run)
    _python_version(recipe.python_version or "", resolved, found.base.name)
    if wish.machine.machine not in {"", resolved.architecture}:
        raise RefusedError(
            f"The base image is for {resolved.architecture}, and the machine is {wish.machine.machine}.",
            why="packages are asked for in a container of the base, on the engine's own machine",
            mend="lock on such a machine, or with an engine there: --context, -H ssh://user@machine",
        )
    return _checked(_lock(recipe_hash, found, chosen, resolved, named), wish.machine, wish.tables)


def decide(project: Project, machine: Machine, tables: Tables) -> tuple[Recipe, Requirements, Choice]:
    """Framework, CUDA and Python; the recipe with the Python that an environment.yml names. Raises RefusedError."""
    recipe = project.recipe
    named = requirements.read(recipe, project.folder)
    if named.python_version and not recipe.python_version:
        recipe = msgspec.structs.replace(recipe, python_version=named.python_version)
    return recipe, named, choice.choose(recipe, machine, tables)


def _usual(framework: str, chosen: Choice, tables: Tables) -> str:
    """A plain image with Python, for wheels bring CUDA; NVIDIA's where CUDA itself is asked for."""
    if framework or not chosen.cuda:
        return PLAIN.format(python=chosen.python)
    if chosen.cuda not in tables.cuda.images:
        raise RefusedError(
            f"No base image of CUDA {chosen.cuda} is known.",
            why=f"known are those of {', '.join(tables.cuda.images)}",
            mend="name it: base: nvidia/cuda:TAG",
        )
    return tables.cuda.images[chosen.cuda]


def _lock(recipe_hash: str, found: base.Found, chosen: Choice, resolved: Resolved, named: Requirements) -> Lock:
    options = tuple(each for each in named.lines if each.startswith("-"))
    version = {each.name: each.version for each in resolved.python_packages}
    framework = chosen.framework.partition(" ")[0]
    package = {"pytorch": "torch"}.get(framework, framework)
    return Lock(
        format=lock.FORMAT,
        recipe=recipe_hash,
        base=found.base,
        architecture=resolved.architecture,
        distribution=resolved.distribution,
        python=resolved.python,
        framework=f"{framework} {version[package]}" if package in version else "",
        cuda=_cuda(resolved.python_packages) or chosen.cuda or _of_base(found),
        driver=chosen.driver,
        architectures=chosen.architectures,
        pip=(*chosen.pip, *options),
        system_packages=resolved.system_packages,
        python_packages=resolved.python_packages,
        node_packages=resolved.node_packages,
    )


def _checked(made: Lock, machine: Machine, tables: Tables) -> Lock:
    """With the driver that its CUDA needs, also where a requirements.txt chose it. Raises RefusedError."""
    if not made.cuda:
        return made
    problems = tuple(fitness.problems(made.cuda, made.architectures, machine, tables.cuda))
    if problems:
        raise RefusedError(
            f"The packages bring CUDA {made.cuda}, which does not run on this machine.",
            why="; ".join(problems),
            mend="name another version of the framework: framework: {pytorch: VERSION} chooses one that fits",
        )
    return msgspec.structs.replace(made, driver=fitness.oldest_driver(made.cuda, tables.cuda))


def _cuda(packages: tuple[Package, ...]) -> str:
    """The CUDA runtime among Python packages."""
    versions = {each.name: each.version for each in packages}
    found = next((versions[name] for name in _RUNTIMES if name in versions), "")
    return ".".join(map(str, numbers(found)[:2]))


def _of_base(found: base.Found) -> str:
    told = found.environment.get("CUDA_VERSION", "")
    return ".".join(map(str, numbers(told)[:2]))


def _required(variables: dict[str, str], machine: Machine) -> None:
    """What the base image itself requires of the driver (NVIDIA_REQUIRE_CUDA). Raises RefusedError."""
    conditions = requirement.from_environment(variables)[0]
    if conditions and machine.driver:
        requirement.check(conditions, machine.properties)


def _python_version(wished: str, resolved: Resolved, base_name: str) -> None:
    if wished and resolved.python and numbers(resolved.python)[: len(numbers(wished))] != numbers(wished):
        raise RefusedError(
            f"The base image has Python {resolved.python}, not {wished}.",
            why=f"{quote(base_name, 100)} was asked",
            mend="leave base: out (then it is an image of that Python), name another base, or another python_version",
        )


def read(folder: str) -> Lock | None:
    """The lock of a project; None when there is none. Raises InputError."""
    path = os.path.join(folder, LOCK_FILE)
    try:
        return lock.decode(read_capped(path, lock.LIMIT), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read.", why=error.strerror or str(error)) from error


def save(folder: str, made: Lock, who: Owner) -> None:
    """Raises InputError for one that could not be read again."""
    data = lock.encode(made)
    lock.decode(data, LOCK_FILE)
    with acting(who, folder):
        write(os.path.join(folder, LOCK_FILE), data)


def stale(project: Project, locked: Lock) -> bool:
    """Whether gpudock.yaml, or a file that it names, says something else than when it was locked."""
    return locked.recipe != lock.recipe_hash(project.recipe, requirements.read(project.recipe, project.folder).files)


def unfit(locked: Lock, machine: Machine, tables: Tables) -> tuple[str, ...]:
    """Why a machine does not run the image of a lock; () when it does."""
    found = []
    if "" not in {locked.architecture, machine.machine} and locked.architecture != machine.machine:
        found.append(f"it is for {locked.architecture}, and the machine is {machine.machine}")
    if not locked.cuda:
        return tuple(found)
    if locked.driver and not machine.driver:
        found.append(f"it needs an NVIDIA driver, {locked.driver} or newer, and none is loaded")
    elif locked.driver and numbers(machine.driver) < numbers(locked.driver):
        found.append(f"it needs driver {locked.driver} or newer, and {machine.driver} is loaded")
    without = machine._replace(driver="")
    return (*found, *fitness.problems(locked.cuda, locked.architectures, without, tables.cuda))
