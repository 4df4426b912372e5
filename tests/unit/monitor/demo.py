"""A lab server that is always the same: four GPUs (one of them with MIG), three people, and samples that move."""

import time

from gpudock.facts.base import Missing
from gpudock.monitor.sample import (
    Clocks,
    Container,
    Ecc,
    Engine,
    Gpu,
    Instance,
    Link,
    Memory,
    Nvlink,
    Owner,
    Person,
    Pod,
    Power,
    Process,
    Remapped,
    Sample,
    Temperature,
    Use,
    Utilization,
    Xid,
)
from gpudock.monitor.source import By, Chart, Metric, Series, Subject, Usage, UsageRow

START = 1_795_996_800.0  # 2026-11-30 00:00 UTC
GIB = 1 << 30
NAMES = ("00000000", "11111111", "22222222", "33333333")
UUIDS = tuple(f"GPU-{name}-aaaa-bbbb-cccc-dddddddddddd" for name in NAMES)
MIGS = tuple(f"MIG-{name}-aaaa-bbbb-cccc-dddddddddddd" for name in ("55555555", "66666666"))
JUPYTER, TRAINING, OTHER = "a1" * 32, "b2" * 32, "c3" * 32
UNTOLD = Missing("nvmlDeviceGetFanSpeed: Not Supported")
ALICE, BOB, CAROL = (
    Owner(name="alice", uid=1000, source="label"),
    Owner(name="bob", uid=1001, source="subuid"),
    Owner(name="carol", uid=1002, source="process"),
)


def busy(index: int, tick: int) -> int:
    """0: swings around 60; 1: steady; 2: held but idle; 3: free."""
    return (60 + (tick * 7 + 13) % 30, 97, 0, 0)[index]


def gpu(index: int, tick: int) -> Gpu:
    used = (40 * GIB + tick % 10 * GIB, 120 * GIB, 12 * GIB, 0)[index]
    load = busy(index, tick)
    total, reserved = 143771 << 20, 615 << 20
    return Gpu(
        index=index,
        uuid=UUIDS[index],
        bus_id=f"0000:{3 + 7 * index:02x}:00.0",
        minor=index,
        name="NVIDIA H200",
        serial=f"165372405774{index}",
        vbios="96.00.A5.00.1A",
        compute_capability="9.0",
        utilization=Utilization(gpu=load, memory=load // 2, encoder=0, decoder=0),
        memory=Memory(total=total, used=used, free=total - reserved - used, reserved=reserved),
        temperature=Temperature(gpu=34 + load // 3, memory=40 + load // 3, slowdown=89, shutdown=92),
        power=Power(draw=88.0 + load * 5.5, limit=700.0, enforced=700.0, default=700.0, lowest=200.0, highest=700.0),
        energy=5_000_000.0 + tick * (88.0 + load * 5.5),
        clocks=Clocks(graphics=1980 if load else 345, sm=1980 if load else 345, memory=3201, video=1545),
        clocks_max=Clocks(graphics=1980, sm=1980, memory=3201, video=1980),
        fan=UNTOLD,
        pstate=0,
        throttle=("sw_power_cap",) if index == 1 else () if load else ("gpu_idle",),
        ecc=Ecc(
            enabled=True,
            corrected_volatile=0,
            uncorrected_volatile=0,
            corrected_aggregate=3,
            uncorrected_aggregate=0,
            retired_pending=Missing("nvmlDeviceGetRetiredPagesPendingStatus: Not Supported"),
        ),
        remapped=Remapped(corrected=1 if index == 2 else 0, uncorrected=0, pending=False, failed=False),
        pcie=Link(
            sent=load << 20, received=load << 21, generation=5, width=16, generation_max=5, width_max=16, replays=0
        ),
        nvlink=Nvlink(
            active=18, sent=load << 24, received=load << 24, sent_total=tick << 24, received_total=tick << 24
        ),
        xids=(Xid(code=31, times=2, last=START - 600),) if index == 1 else (),
        compute_mode=0,
        persistence=True,
        mig=index == 2,
        instances=(instance(0), instance(1)) if index == 2 else (),
        idle=1800.0 + tick if index == 2 else None,
    )


def instance(index: int) -> Instance:
    used = (12 * GIB, 0)[index]
    return Instance(
        index=index,
        gi=(1, 7)[index],
        ci=0,
        uuid=MIGS[index],
        profile=("3g.71gb", "1g.18gb")[index],
        memory=Memory(total=(71, 18)[index] * GIB, used=used, free=(71, 18)[index] * GIB - used, reserved=0),
    )


def process(pid: int, index: int, memory: int | Missing, load: int, *, owner: Owner, container: str = "") -> Process:
    return Process(
        pid=pid,
        gpu=UUIDS[index],
        gi=1 if index == 2 else None,
        ci=0 if index == 2 else None,
        memory=memory,
        utilization=Utilization(gpu=load, memory=load // 2, encoder=0, decoder=0),
        name="python3",
        uid=0 if container else owner.uid,
        user="root" if container else owner.name,
        started=START - 7200,
        container=container,
        owner=owner,
    )


def containers(tick: int) -> tuple[Container, ...]:
    use = Use(
        cpu=1.5,
        cpu_seconds=5400.0 + 1.5 * tick,
        memory=9 * GIB,
        memory_limit=64 * GIB,
        read=tick << 20,
        written=tick << 18,
    )
    return (
        Container(
            id=JUPYTER,
            engine="docker",
            name="alice-jupyter",
            image="gpudock/torch:2.9",
            environment="torch",
            owner=ALICE,
            gpus=(UUIDS[0],),
            memory=40 * GIB + tick % 10 * GIB,
            utilization=busy(0, tick),
            use=use,
        ),
        Container(
            id=TRAINING,
            engine="podman",
            name="training",
            image="docker.io/nvidia/cuda:13.0.1-runtime-ubuntu24.04",
            project="llm",
            service="train",
            owner=BOB,
            gpus=(UUIDS[1],),
            memory=120 * GIB,
            utilization=97,
            use=unlimited(use),
        ),
        Container(
            id=OTHER,
            pod=Pod(uid="12345678-1234-1234-1234-123456789abc"),
            owner=CAROL,
            gpus=(UUIDS[2],),
            memory=Missing("NVML does not tell"),
            utilization=0,
            use=Use(memory=GIB, memory_limit=None, cpu=Missing("seen once only")),
        ),
    )


def unlimited(use: Use) -> Use:
    """The same without a limit."""
    return Use(cpu=7.9, cpu_seconds=90_000.0, memory=use.memory, memory_limit=None, read=0, written=use.written)


def sample(tick: int = 0, **changed: object) -> Sample:
    """The `tick`-th second of the same day. `changed` are fields of the Sample."""
    people = (
        Person(name="bob", uid=1001, gpus=(UUIDS[1],), memory=120 * GIB, utilization=97, processes=1, containers=(TRAINING,)),
        Person(
            name="alice", uid=1000, gpus=(UUIDS[0],), memory=40 * GIB, utilization=busy(0, tick), processes=2, containers=(JUPYTER,)
        ),
        Person(
            name="carol", uid=1002, gpus=(UUIDS[2],), memory=Missing("NVML does not tell"), utilization=0, processes=1, containers=(OTHER,)
        ),
    )  # fmt: skip
    fields: dict[str, object] = {
        "time": START + tick,
        "number": tick + 1,
        "took": 0.012,
        "host": "lab",
        "driver": "580.159.04",
        "cuda": "13.0",
        "gpus": tuple(gpu(index, tick) for index in range(4)),
        "processes": (
            process(4242, 0, 36 * GIB, busy(0, tick) - 10, owner=ALICE, container=JUPYTER),
            process(4243, 0, 4 * GIB + tick % 10 * GIB, 10, owner=ALICE, container=JUPYTER),
            process(5151, 1, 120 * GIB, 97, owner=BOB, container=TRAINING),
            process(6161, 2, Missing("NVML does not tell"), 0, owner=CAROL, container=OTHER),
        ),
        "containers": containers(tick),
        "people": people,
        "engines": (Engine(name="docker"), Engine(name="podman")),
    }
    return Sample(**(fields | changed))  # type: ignore[arg-type]


class DemoSource:
    """A Source whose clock moves only by `step`, so that every test sees the same."""

    def __init__(self) -> None:
        self.tick = 0

    def step(self, ticks: int = 1) -> None:
        self.tick += ticks

    def latest(self) -> Sample:
        return sample(self.tick)

    def wait(self, after: int, timeout: float) -> Sample:  # noqa: ARG002  nothing moves meanwhile
        time.sleep(min(timeout, 0.02))
        return self.latest()


class DemoHistory:
    """A History in which GPU 0 worked all day and alice had it."""

    def chart(self, metric: Metric, subject: Subject, since: float, until: float, points: int = 300) -> Chart:
        step = max((until - since) / points, 1.0)
        count = int((until - since) // step)
        times = tuple(since + step * index for index in range(count))
        subjects = {
            "gpu": [(uuid, f"GPU {index}") for index, uuid in enumerate(UUIDS)],
            "user": [(name, name) for name in ("bob", "alice", "carol")],
            "container": [(JUPYTER, "alice-jupyter"), (TRAINING, "training"), (OTHER, OTHER[:12])],
            "env": [("torch", "torch")],
        }[subject]
        series = tuple(
            Series(
                key=key,
                label=label,
                values=tuple(None if index % 50 == 49 else float((index * 3 + place * 20) % 100) for index in range(count)),
            )
            for place, (key, label) in enumerate(subjects)
        )  # fmt: skip
        return Chart(metric=metric, subject=subject, step=step, times=times, series=series)

    def usage(self, by: By, since: float, until: float) -> Usage:
        rows = {
            "user": [("bob", 36_000.0, 35_000.0), ("alice", 18_000.0, 9_000.0), ("carol", 7_200.0, 0.0)],
            "container": [(TRAINING, 36_000.0, 35_000.0), (JUPYTER, 18_000.0, 9_000.0)],
            "env": [("torch", 18_000.0, 9_000.0)],
            "gpu": [(UUIDS[1], 36_000.0, 35_000.0), (UUIDS[0], 18_000.0, 9_000.0)],
            "day": [("2026-11-29", 30_000.0, 22_000.0), ("2026-11-30", 31_200.0, 22_000.0)],
        }[by]
        return Usage(
            by=by,
            since=since,
            until=until,
            recorded_since=since,
            rows=tuple(
                UsageRow(
                    key=key, label=key[:12], held=held, used=used, energy=used * 500.0, gpus=1, first=since, last=until
                )
                for key, held, used in rows
            ),
        )
