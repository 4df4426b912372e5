"""Who is behind a process, and that nobody can make it look like somebody else."""

from typing import Any

import pytest

from gpudock.engine.containers import Container, Limits
from gpudock.monitor.cgroup import Place
from gpudock.monitor.owner import engine_user, owner
from gpudock.monitor.sample import Owner, Pod

ID = "a1" * 32
ROOTS = Place(ids=(ID,), engine="docker")
BOBS = Place(ids=(ID,), engine="podman", uid=1001, own=True)


class Names:
    """alice is 1000, bob 1001 with 65536 subordinate ids from 231072."""

    def name(self, uid: int) -> str:
        return {0: "root", 1000: "alice", 1001: "bob"}.get(uid, f"#{uid}")

    def holder(self, uid: int) -> tuple[str, int | None] | None:
        return ("bob", 1001) if 231072 <= uid < 231072 + 65536 else None


def container(**labels: str) -> Container:
    values: dict[str, Any] = dict.fromkeys(Container._fields, "")
    spelled = {name.replace("__", ".").replace("_", "-"): value for name, value in labels.items()}
    return Container(**(values | {"id": ID, "labels": spelled, "limits": Limits()}))


def who(place: Place, uid: int | None = 0, pod: Pod | None = None, **labels: Any) -> Owner | None:
    return owner(place, container(**labels) if labels else None, pod, uid, Names())


def test_a_label_of_the_machines_engine_is_believed() -> None:
    assert who(ROOTS, gpudock__owner="alice", gpudock__owner__uid="1000") == Owner(
        name="alice", uid=1000, source="label"
    )
    assert who(ROOTS, gpudock__owner="carol") == Owner(name="carol", source="label")
    assert who(ROOTS, gpudock__owner="carol", gpudock__owner__uid="4000") == Owner(
        name="carol", uid=4000, source="label"
    )
    assert who(ROOTS, gpudock__owner__uid="4000") == Owner(name="#4000", uid=4000, source="label")
    assert who(ROOTS, gpudock__owner="mallory", gpudock__owner__uid="1000") == Owner(
        name="alice", uid=1000, source="label"
    )


@pytest.mark.parametrize("uid", ["-1", "0x10", "99999999999", "\uff11\uff10", "nobody"])
def test_a_uid_that_is_none_is_not_one(uid: str) -> None:
    assert who(ROOTS, gpudock__owner="x", gpudock__owner__uid=uid) == Owner(name="x", source="label")


def test_then_service_then_compose_then_pod() -> None:
    labels: dict[str, Any] = {"com__docker__swarm__service__name": "web", "com__docker__compose__project": "llm"}
    assert who(ROOTS, **labels) == Owner(name="web", source="service")
    labels.pop("com__docker__swarm__service__name")
    assert who(ROOTS, **labels) == Owner(name="llm", source="compose")
    assert who(ROOTS, pod=Pod(uid="u" * 36, name="train-0", namespace="ml")) == Owner(name="ml/train-0", source="pod")
    assert who(ROOTS, pod=Pod(uid="12345678-0000")) == Owner(name="pod 12345678", source="pod")


def test_then_the_holder_of_a_subordinate_id_then_the_process_itself() -> None:
    assert who(ROOTS, uid=231080) == Owner(name="bob", uid=1001, source="subuid")
    assert who(ROOTS, uid=1000) == Owner(name="alice", uid=1000)
    assert who(Place(), uid=1000) == Owner(name="alice", uid=1000)
    assert who(Place(), uid=5555) == Owner(name="#5555", uid=5555)
    assert who(Place(), uid=None) is None


def test_what_a_user_runs_is_his_whatever_the_label_says() -> None:
    assert who(BOBS, uid=231080, gpudock__owner="alice") == Owner(name="bob", uid=1001, source="path")
    mounts = Place(ids=(ID,), by_mounts=True)
    assert who(mounts, uid=231080, gpudock__owner="alice") == Owner(name="bob", uid=1001, source="subuid")


def test_root_by_sudo_is_the_user_of_the_session() -> None:
    assert who(Place(uid=1001), uid=0) == Owner(name="bob", uid=1001, source="path")
    container = Place(ids=(ID,), engine="podman", uid=1001)
    assert who(container, uid=0, gpudock__owner="alice") == Owner(name="bob", uid=1001, source="path")


def test_a_job_is_its_users() -> None:
    job = Place(job="7", job_uid=1000, ids=(ID,))
    assert who(job, uid=0, gpudock__owner="bob") == Owner(name="alice", uid=1000, source="job")


@pytest.mark.parametrize(
    ("place", "uid", "user"),
    [
        (ROOTS, 0, 0),
        (ROOTS, 1000, 0),  # --user 1000 in a container of the machine's engine
        (BOBS, 231080, 1001),
        (BOBS, 0, 1001),  # a cgroup named like somebody's container, in bob's own part, and sudo
        (Place(ids=(ID,), uid=1001), 0, 0),  # by sudo in bob's session, where he makes no cgroups
        (Place(ids=(ID,), uid=1001, by_mounts=True), 0, 0),
        (Place(ids=(ID,), uid=1001, by_mounts=True), 300000, 1001),
        (Place(ids=(ID,), by_mounts=True), 0, 0),
        (Place(ids=(ID,), by_mounts=True), 1001, 1001),  # files mounted as if from somebody's container
        (Place(ids=(ID,), by_mounts=True), 231080, 1001),
    ],
)
def test_whose_engine_is_asked(place: Place, uid: int, user: int) -> None:
    assert engine_user(place, uid, Names()) == user


def test_long_names_are_cut() -> None:
    found = who(ROOTS, gpudock__owner="x" * 1000)
    assert found is not None
    assert len(found.name) == 64
