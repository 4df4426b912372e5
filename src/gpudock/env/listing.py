"""Environments as rows: who has what, and how much of it is used. Pure but for the asking."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from gpudock.engine import labels
from gpudock.engine.containers import Container
from gpudock.env import cgroup, mine
from gpudock.env.cgroup import Cgroup
from gpudock.env.recipe import Resources
from gpudock.env.session import Session


class Row(msgspec.Struct, frozen=True):
    name: str
    container: str
    owner: str
    uid: str
    project: str
    state: str
    gpus: str
    ports: tuple[str, ...]
    image: str
    created: str
    age_seconds: int | None
    host: str
    limits: dict[str, int | float | str | None]
    use: dict[str, int | None]


def rows(session: Session, found: Sequence[Container], now: datetime) -> list[Row]:
    """Limits and use of the user's own running ones are the kernel's; of others, what their engine was asked for."""
    return [_row(session, each, now) for each in found]


def _row(session: Session, each: Container, now: datetime) -> Row:
    told = each.labels
    own = mine.belongs(each, session.owner.uid)
    read = real(session, each) if own and each.state == "running" else asked(each)
    age = _age(each.created, now)
    return Row(
        name=told.get(labels.ENV, ""),
        container=each.name,
        owner=told.get(labels.OWNER, ""),
        uid=told.get(labels.OWNER_UID, ""),
        project=mine.project(each),
        state=each.state,
        gpus=told.get(labels.GPUS, ""),
        ports=tuple(f"{port.address or '*'}:{port.outside}->{port.inside}" for port in each.ports),
        image=each.image,
        created=each.created,
        age_seconds=age,
        host=session.client.endpoint.address if session.remote else "here",
        limits={
            "memory": read.memory,
            "memory_swap": read.memory_swap,
            "cpus": read.cpus,
            "cpuset": read.cpuset,
            "shm": each.limits.shm or None,
            "pids": read.pids,
        },
        use={"memory": read.memory_used, "pids": read.pids_used},
    )


def real(session: Session, container: Container) -> Cgroup:
    told = session.ask("exec", container.id, *cgroup.command(), timeout=20.0)
    return cgroup.read(told.out) if told.ok and "== " in told.out else asked(container)


def unheld(session: Session, container: Container, wanted: Resources) -> tuple[str, ...]:
    """Limits that were asked for and that the kernel does not have: an engine without root may drop them in silence."""
    names = [each for each in ("memory", "cpus", "pids") if getattr(wanted, each) not in {None, "-1", -1}]
    found = real(session, container) if names else Cgroup()
    return tuple(each for each in names if getattr(found, each) is None)


def asked(container: Container) -> Cgroup:
    told = container.limits
    swap = told.memory_swap if told.memory_swap > 0 else None
    return Cgroup(told.memory or None, None, swap, told.cpus or None, told.cpuset, told.pids or None)


def _age(created: str, now: datetime) -> int | None:
    """Engines tell nanoseconds, which Python does not read."""
    head, dot, rest = created.partition(".")
    zone = rest.lstrip("0123456789") if dot else ""
    try:
        then = datetime.fromisoformat(head + (zone or ("" if not dot else "+00:00")))
    except ValueError:
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0, int((now - then).total_seconds()))


def as_json(found: Sequence[Row]) -> str:
    return json.dumps(msgspec.to_builtins(found), indent=2)
