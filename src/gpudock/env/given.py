"""What a command line says about one start, over what the recipe says. Pure. Names and meanings are docker's."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from gpudock.env.recipe import Recipe, Resources
from gpudock.errors import UsageError
from gpudock.plan.quote import quote

_SIZE = "a size such as 32g"
_MEANT = {
    "cpus": ("--cpus", "a number such as 4 or 1.5"),
    "cpuset": ("--cpuset-cpus", "a list such as 0-3,8"),
    "memory": ("--memory", _SIZE),
    "memory_swap": ("--memory-swap", f"{_SIZE}, or -1"),
    "shm_size": ("--shm-size", _SIZE),
    "pids": ("--pids-limit", "a number, or -1"),
}


class Given(NamedTuple):
    gpus: str | None = None
    cpus: str | None = None
    cpuset_cpus: str | None = None
    memory: str | None = None
    memory_swap: str | None = None
    shm_size: str | None = None
    pids_limit: str | None = None
    volume: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    rm: bool = False

    @classmethod
    def of(cls, values: Mapping[str, object]) -> "Given":
        """Of a verb's options; others are left aside."""
        return cls(**{key: value for key, value in values.items() if key in cls._fields})  # type: ignore[arg-type]


def over(recipe: Recipe, given: Given) -> Recipe:
    """The recipe of this start. Raises UsageError."""
    limits = {
        "cpus": given.cpus,
        "cpuset": given.cpuset_cpus,
        "memory": given.memory,
        "memory_swap": given.memory_swap,
        "shm_size": given.shm_size,
        "pids": given.pids_limit,
    }
    resources = recipe.resources
    for name, value in limits.items():
        if value is not None:
            try:
                told = msgspec.convert({name: value}, Resources, strict=False)
            except msgspec.ValidationError as error:
                flag, meant = _MEANT[name]
                raise UsageError(f"{flag} {quote(str(value))} cannot be understood.", mend=f"give {meant}") from error
            resources = msgspec.structs.replace(resources, **{name: getattr(told, name)})
    variables = dict(recipe.env)
    for entry in given.env:
        name, equals, value = entry.partition("=")
        variables[name] = value if equals else None
    return msgspec.structs.replace(
        recipe,
        gpus=recipe.gpus if given.gpus is None else given.gpus,
        resources=resources,
        volumes=(*recipe.volumes, *given.volume),
        ports=(*recipe.ports, *given.publish),
        env=variables,
    )
