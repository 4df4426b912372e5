"""A busy server that moves by the clock: eight GPUs, six people, hostile names, readings that are missing.

For surfaces that are looked at while they run; what has to be the same each time uses demo.
"""

import math
import time
from collections.abc import Callable

from gpudock.facts.base import Missing
from gpudock.monitor.sample import (
    Clocks,
    Container,
    Engine,
    Gpu,
    Memory,
    Owner,
    Person,
    Power,
    Process,
    Profiling,
    Sample,
    Temperature,
    Use,
    Utilization,
    Xid,
)
from gpudock.monitor.source import By, Chart, Metric, Series, Subject, Usage, UsageRow
from unit.monitor import demo

GIB = demo.GIB
HOSTILE = '<img src=x onerror="alert(1)">\x1b[31m\u202egpj.exe'
TOTAL = 143771 << 20
UUIDS = tuple(f"GPU-{index}{index}{index}{index}0000-aaaa-bbbb-cccc-dddddddddddd" for index in range(8))
UNTOLD = Missing("nvmlDeviceGetUtilizationRates: Not Supported")

# container: name, image, environment, person, uid, GPUs, GiB on each, load of each
_HELD = (
    ("train-llm", "gpudock/llm:2026.11", "llm", "alice", 1000, (0, 1, 2), 118, 97),
    ("notebook", "gpudock/torch:2.9", "torch", "bob", 1001, (3,), 21, 44),
    ("diffusion", "docker.io/nvidia/cuda:13.0.1-runtime-ubuntu24.04", "", "chiyo", 1002, (3,), 48, 41),
    (HOSTILE, "registry.example/eve/<script>:latest", "", "eve", 1003, (4,), 9, 3),
    ("left-open", "gpudock/torch:2.9", "torch", "bob", 1001, (5,), 64, 0),
    ("inference", "vllm/vllm-openai:v0.11", "", "王芳", 1005, (6,), 132, 71),
)


def sample(now: float) -> Sample:
    processes = tuple(_processes(now))
    return Sample(
        time=now,
        number=int(now),
        took=0.011,
        host="lab-03",
        simulated=True,
        driver="580.159.04",
        cuda="13.0",
        gpus=tuple(_gpu(index, processes, now) for index in range(8)),
        processes=processes,
        containers=tuple(_container(place, processes, now) for place in range(len(_HELD))),
        people=_people(processes),
        engines=(Engine(name="docker"), Engine(name="podman", problem="it gave no answer within 5 s")),
        problems=("podman: it gave no answer within 5 s",),
    )


def _moving(load: int, index: int, now: float) -> int:
    return max(
        0,
        min(100, round(load + (8 * math.sin(now / 9 + index) + 5 * math.sin(now / 2.3 * (index + 1)) if load else 0))),
    )


def _processes(now: float) -> list[Process]:
    found = []
    for place, (_, _, _, person, uid, gpus, memory, load) in enumerate(_HELD):
        for index in gpus:
            lost = person == "eve"
            found.append(
                Process(
                    pid=4000 + 100 * place + index,
                    gpu=UUIDS[index],
                    memory=Missing("the driver does not tell it here") if lost else memory * GIB,
                    utilization=Utilization(gpu=_moving(load, index, now), memory=load // 2),
                    name="python3" if not lost else "a\x1b[2Jb",
                    uid=0,
                    user="root",
                    started=now - 5000 * (place + 1),
                    container=f"{place:x}" * 64,
                    owner=Owner(name=person, uid=uid, source="label"),
                )
            )
    found.append(
        Process(pid=911, gpu=UUIDS[0], kind="G", memory=310 << 20, name="Xorg", uid=0, user="root", owner=Owner(name="root", uid=0))
    )  # fmt: skip
    return found


def _gpu(index: int, processes: tuple[Process, ...], now: float) -> Gpu:
    its = [each for each in processes if each.gpu == UUIDS[index]]
    used = sum(each.memory for each in its if isinstance(each.memory, int)) + (9 * GIB if index == 4 else 0)
    load = min(100, sum(each.utilization.gpu for each in its if isinstance(each.utilization.gpu, int)))
    base = demo.gpu(1 if load else 3, 0)
    hot = index == 2
    return Gpu(
        index=index,
        uuid=UUIDS[index],
        bus_id=f"0000:{0x1B + 0x11 * index:02x}:00.0",
        minor=index,
        name="NVIDIA H200",
        utilization=Utilization(gpu=UNTOLD if index == 4 else load, memory=load // 2, encoder=0, decoder=0),
        memory=Memory(total=TOTAL, used=used, free=TOTAL - used - (615 << 20), reserved=615 << 20),
        temperature=Temperature(gpu=88 if hot else 33 + load // 3, memory=40 + load // 3, slowdown=89, shutdown=92),
        power=Power(draw=86.0 + load * 5.9, limit=700.0, enforced=700.0),
        clocks=Clocks(graphics=1980, sm=1980 if load else 345, memory=3201, video=1545),
        fan=Missing("nvmlDeviceGetFanSpeed: Not Supported"),
        pstate=0,
        throttle=("hw_thermal_slowdown",) if hot else ("sw_power_cap",) if load > 96 else (),
        ecc=base.ecc,
        remapped=base.remapped,
        pcie=base.pcie,
        nvlink=base.nvlink,
        profiling=Profiling(graphics=load / 100, sm=load / 110, tensor=load / 200, dram=load / 150),
        xids=(Xid(code=79, times=1, last=now - 7000), Xid(code=31, times=2, last=now - 600)) if index == 6 else (),
        mig=False,
        idle=7200.0 + now % 3600 if index == 5 else None,
    )


def _container(place: int, processes: tuple[Process, ...], now: float) -> Container:
    name, image, environment, person, uid, _, _, load = _HELD[place]
    its = [each for each in processes if each.container == f"{place:x}" * 64]
    return Container(
        id=f"{place:x}" * 64,
        engine="docker",
        name=name,
        image=image,
        environment=environment,
        owner=Owner(name=person, uid=uid, source="label"),
        gpus=tuple(each.gpu for each in its),
        memory=_memory(its),
        utilization=sum(each.utilization.gpu for each in its if isinstance(each.utilization.gpu, int)),
        use=Use(
            cpu=load / 12,
            cpu_seconds=now % 1e6 * load / 12,
            memory=(place + 2) * 7 * GIB,
            memory_limit=None if place % 2 else 256 * GIB,
        ),
    )


def _memory(processes: list[Process]) -> int | Missing:
    told = [each.memory for each in processes]
    return next((each for each in told if isinstance(each, Missing)), None) or sum(
        each for each in told if isinstance(each, int)
    )


def _people(processes: tuple[Process, ...]) -> tuple[Person, ...]:
    people = []
    for name in sorted({each.owner.name for each in processes if each.owner}):
        its = [each for each in processes if each.owner and each.owner.name == name]
        people.append(
            Person(
                name=name,
                uid=its[0].owner.uid if its[0].owner else None,
                gpus=tuple(sorted({each.gpu for each in its})),
                memory=_memory(its),
                utilization=sum(each.utilization.gpu for each in its if isinstance(each.utilization.gpu, int)),
                processes=len(its),
                containers=tuple(sorted({each.container for each in its if each.container})),
            )
        )
    return tuple(people)


class SceneSource:
    """A Source by the clock. `changed` makes something else of each Sample; while `frozen` nothing new comes."""

    def __init__(self, changed: Callable[[Sample], Sample] = lambda sample: sample) -> None:
        self.changed = changed
        self.frozen: float | None = None

    def latest(self) -> Sample:
        now = time.time()
        at = self.frozen or math.floor(now)
        made = self.changed(sample(at))
        return Sample(**{**{name: getattr(made, name) for name in made.__struct_fields__}, "age": now - at})

    def wait(self, after: int, timeout: float) -> Sample:
        end = time.monotonic() + timeout
        while (newest := self.latest()).number == after and time.monotonic() < end:
            time.sleep(0.05)
        return newest


class SceneHistory:
    """What such a server would have recorded; GPU 7 was put in half-way."""

    def chart(self, metric: Metric, subject: Subject, since: float, until: float, points: int = 300) -> Chart:
        step = max((until - since) / points, 10.0)
        times = tuple(since + step * place for place in range(int((until - since) / step)))
        labels = {
            "gpu": [(uuid, f"GPU {index}") for index, uuid in enumerate(UUIDS)],
            "user": [(name, name) for name in ("alice", "bob", "chiyo", "eve", "王芳")],
            "container": [(f"{place:x}" * 64, held[0]) for place, held in enumerate(_HELD)],
            "env": [("llm", "llm"), ("torch", "torch")],
        }[subject]
        scale = {"utilization": 1.0, "memory": 1.3 * GIB, "power": 6.5, "temperature": 0.7, "held": 0.03}[metric]
        series = tuple(
            Series(key=key, label=label, values=tuple(_recorded(place, time, since, until, scale) for time in times))
            for place, (key, label) in enumerate(labels)
        )
        return Chart(metric=metric, subject=subject, step=step, times=times, series=series)

    def usage(self, by: By, since: float, until: float) -> Usage:
        labels = {
            "user": ["alice", "bob", "chiyo", "eve", "王芳"],
            "container": [held[0] for held in _HELD],
            "env": ["llm", "torch"],
            "gpu": [f"GPU {index}" for index in range(8)],
            "day": ["2026-11-29", "2026-11-30"],
        }[by]
        span = until - since
        rows = tuple(
            UsageRow(
                key=label, label=label, held=span * (3 - place * 0.4), used=span * (3 - place * 0.4) * (0.96 / (place + 1)),
                energy=Missing("the GPU does not tell") if label == "eve" else span * 600 / (place + 1), gpus=1, first=since, last=until,
            )
            for place, label in enumerate(labels)
        )  # fmt: skip
        return Usage(by=by, since=since, until=until, recorded_since=max(since, until - 86400 * 5), rows=rows)


def _recorded(place: int, at: float, since: float, until: float, scale: float) -> float | None:
    share = (at - since) / (until - since)
    if (place == 7 and share < 0.5) or 0.62 < share < 0.64:
        return None
    level = (95, 93, 96, 80, 12, 0, 70, 30)[place % 8]
    swing = 9 * math.sin(at / 400 + place) + 6 * math.sin(at / 97 * (place + 1))
    return max(0.0, min(100.0, level + swing if level else 0.0)) * scale
