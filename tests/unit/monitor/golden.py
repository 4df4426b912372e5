"""A machine of which each reading is another number, and what Prometheus is told of it, line by line.

The last digit of a number is its GPU (1, 2, 3), what stands before it the reading: 71, 72 and 73 are temperatures. So a
line that takes the wrong reading, the wrong unit or the wrong GPU differs from the file in tests/data/monitor/golden.
A new or changed line is written by

    PYTHONPATH=tests .venv/bin/python -m unit.monitor.golden

and then has to be read: the file is only as right as the eyes that saw it (git diff).
"""

from pathlib import Path

from msgspec.structs import replace

from gpudock import __version__
from gpudock.facts.base import Missing
from gpudock.monitor.exposition import GROUPS, Choice, Exposition
from gpudock.monitor.metrics_small import SMALL
from gpudock.monitor.sample import (
    Clocks,
    Container,
    Ecc,
    Encoder,
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
    Profiling,
    Remapped,
    Sample,
    Temperature,
    Use,
    Utilization,
    Xid,
)
from gpudock.monitor.shares import Tally

FOLDER = Path(__file__).parents[2] / "data/monitor/golden"
UUIDS = ("GPU-A1", "GPU-A2", "GPU-A3", "GPU-A4", "GPU-A5")
LLM, NOTEBOOK, PODMAN, POD = "a1" * 32, "b2" * 32, "c3" * 32, "d4" * 32
UNTOLD = Missing("Not Supported")
# In which of the three GPUs something is so: no two alike where they could be taken for one another.
THROTTLE = (
    ("gpu_idle", "sw_power_cap", "hw_slowdown", "sw_thermal_slowdown", "display_clock_setting"),
    ("applications_clocks_setting", "sw_power_cap", "sync_boost", "sw_thermal_slowdown", "display_clock_setting"),
    ("hw_slowdown", "sync_boost", "sw_thermal_slowdown", "hw_power_brake_slowdown", "hw_thermal_slowdown"),
)


def gpu(d: int) -> Gpu:
    """`d`: 1, 2 or 3."""
    return Gpu(
        index=d - 1,
        uuid=UUIDS[d - 1],
        bus_id=f"0000:{d}b:00.0",
        minor=d + 3,
        name=f"NVIDIA H20{d}",
        serial=f"16537240577{d}",
        vbios=f"96.00.A5.00.0{d}",
        compute_capability=f"9.{d}",
        utilization=Utilization(gpu=10 + d, memory=20 + d, encoder=30 + d, decoder=40 + d),
        memory=_memory(d),
        temperature=Temperature(gpu=70 + d, memory=80 + d, slowdown=90 + d, shutdown=100 + d),
        power=Power(
            draw=310.5 + d, limit=320.5 + d, enforced=330.5 + d, default=340.5 + d, lowest=350.5 + d, highest=360.5 + d
        ),
        energy=4000.25 + d,
        clocks=Clocks(graphics=1100 + d, sm=1200 + d, memory=1300 + d, video=1400 + d),
        clocks_max=Clocks(graphics=1500 + d, sm=1600 + d, memory=1700 + d, video=1800 + d),
        fan=50 + d,
        pstate=110 + d,
        throttle=THROTTLE[d - 1],
        ecc=Ecc(
            enabled=d in {1, 2},
            corrected_volatile=200 + d,
            uncorrected_volatile=210 + d,
            corrected_aggregate=220 + d,
            uncorrected_aggregate=230 + d,
            retired_pending=d == 1,
        ),
        remapped=Remapped(corrected=240 + d, uncorrected=250 + d, pending=d == 2, failed=d == 3),
        pcie=Link(
            sent=260000 + d,
            received=270000 + d,
            generation=120 + d,
            width=130 + d,
            generation_max=140 + d,
            width_max=150 + d,
            replays=280 + d,
        ),
        nvlink=Nvlink(
            active=290 + d,
            sent=300000 + d,
            received=310000 + d,
            sent_total=(3200 + d) << 10,
            received_total=(3300 + d) << 10,
        ),
        profiling=_profiling(d),
        encoder=Encoder(sessions=400 + d, fps=410 + d, latency=420 + d),
        fabric=160 + d,
        recovery=170 + d,
        licensed=d in {1, 3},
        xids=(
            Xid(code=30 + d, times=430 + d, last=1_800_000_440.5 + d),
            Xid(code=70 + d, times=450 + d, last=1_800_000_460.5 + d),
        ),
        compute_mode=180 + d,
        persistence=d in {2, 3},
        mig=d == 2,
        instances=(_instance(0, 4, 0, "1c.3g.71gb"), _instance(1, 4, 1, "2c.3g.71gb"), _instance(2, 9, 0, "1g.18gb"))
        if d == 2
        else (),
        idle=480.5 if d == 3 else None,
    )


def _memory(d: int) -> Memory:
    return Memory(total=(8000 + d) << 20, used=(5000 + d) << 20, free=(2000 + d) << 20, reserved=(600 + d) << 20)


def _profiling(d: int) -> Profiling:
    return Profiling(
        graphics=(500 + d) / 1000,
        sm=(510 + d) / 1000,
        occupancy=(520 + d) / 1000,
        tensor=(530 + d) / 1000,
        dram=(540 + d) / 1000,
        encoder=(550 + d) / 1000,
        decoder=(560 + d) / 1000,
        pcie_sent=570000 + d,
        pcie_received=580000 + d,
    )


def _instance(index: int, gi: int, ci: int, profile: str) -> Instance:
    """The last digit is that of its GPU instance: the first two share all that one has."""
    return Instance(
        index=index,
        gi=gi,
        ci=ci,
        uuid=f"MIG-B{index}",
        profile=profile,
        memory=_memory(gi),
        profiling=_profiling(gi),
    )


def _use(d: int, **changed: object) -> Use:
    fields: dict[str, object] = {
        "cpu": 0.5 + d,
        "cpu_seconds": 900.5 + d,
        "memory": 910000 + d,
        "memory_limit": 920000 + d,
        "read": 930000 + d,
        "written": 940000 + d,
    }
    return Use(**(fields | changed))  # type: ignore[arg-type]


ALICE, BOB, CAROL = Owner(name="alice", uid=1000), Owner(name="bob", uid=1001), Owner(name="carol", uid=1002)
SAM, OTHER_SAM = Owner(name="sam", uid=1003), Owner(name="sam", uid=2003)  # of two directories
INSIDE = Pod(uid="12345678-1234-1234-1234-123456789abc", name="trainer-0", namespace="research", container="train")


def _process(pid: int, of: int, memory: int | Missing, load: int | Missing, name: str, **more: object) -> Process:
    fields: dict[str, object] = {"gpu": UUIDS[of - 1], "memory": memory, "utilization": Utilization(gpu=load)}
    return Process(pid=pid, name=name, **(fields | more))  # type: ignore[arg-type]


PROCESSES = (
    # GPU 0: alice's two containers, the first one on GPU 3 as well, the display, and one that was gone at once.
    _process(1001, 1, 710001, 7, "torchrun", container=LLM, owner=ALICE),
    _process(1002, 1, 720001, 8, "torchrun", container=LLM, owner=ALICE),
    _process(1001, 4, 730004, 9, "torchrun", container=LLM, owner=ALICE),
    _process(1003, 1, 740001, UNTOLD, "jupyter", container=NOTEBOOK, owner=ALICE),
    _process(1004, 1, 750001, 0, "Xorg", kind="G", owner=Owner(name="root", uid=0)),
    _process(1005, 1, 760001, 1, ""),
    # GPU 1, divided: carol's container has both parts of one instance, bob's job the other.
    _process(2001, 2, 770002, UNTOLD, "python3", container=PODMAN, owner=CAROL, gi=4, ci=0),
    _process(2002, 2, 780002, UNTOLD, "python3", container=PODMAN, owner=CAROL, gi=4, ci=1),
    _process(2003, 2, UNTOLD, UNTOLD, "namd3", owner=BOB, gi=9, ci=0, job="7012"),
    # GPU 2: one pod and one job, of two people of one name.
    _process(3001, 3, 790003, 3, "train", container=POD, owner=SAM, pod=INSIDE, job="8013"),
    _process(3002, 3, 800003, 4, "train", container=POD, owner=OTHER_SAM, pod=INSIDE, job="8013"),
)
CONTAINERS = (
    Container(
        id=LLM,
        engine="docker",
        name="llm",
        image="gpudock/llm:2026.11",
        project="big",
        service="train",
        owner=ALICE,
        gpus=(UUIDS[0], UUIDS[3]),
        use=_use(1),
    ),
    Container(
        id=NOTEBOOK,
        engine="docker",
        name='note"book\\',
        image="gpudock/torch:2.9",
        environment="torch",
        owner=ALICE,
        gpus=(UUIDS[0],),
        use=_use(2, memory_limit=None),
    ),
    Container(
        id=PODMAN,
        engine="podman",
        name="carols",
        image="docker.io/nvidia/cuda:13.0.1-runtime-ubuntu24.04",
        owner=CAROL,
        gpus=(UUIDS[1],),
        use=_use(3, read=UNTOLD, written=UNTOLD),
    ),
    Container(id=POD, pod=INSIDE, owner=SAM, gpus=(UUIDS[2],), use=Use()),
)
PEOPLE = (
    Person(name="alice", uid=1000, gpus=(UUIDS[0], UUIDS[3]), memory=810001, utilization=UNTOLD, processes=3),
    Person(name="bob", uid=1001, gpus=(UUIDS[1],), memory=UNTOLD, utilization=UNTOLD, processes=1),
    Person(name="carol", uid=1002, gpus=(UUIDS[1],), memory=820002, utilization=142, processes=2),
    Person(name="sam", uid=1003, gpus=(UUIDS[2],), memory=830003, utilization=3, processes=1),
    Person(name="sam", uid=2003, gpus=(UUIDS[2],), memory=840003, utilization=4, processes=1),
)


def sample() -> Sample:
    # Of the last two GPUs nothing is told; one of them is held.
    untold = [Gpu(index=index, uuid=UUIDS[index], bus_id=f"0000:{index + 1}b:00.0", minor=-1) for index in (3, 4)]
    return Sample(
        time=1_800_000_500.25,
        number=1,
        age=0.125,
        took=0.0625,
        host="lab",
        driver="580.159.04",
        cuda="13.0",
        gpus=(gpu(1), gpu(2), gpu(3), *untold),
        processes=PROCESSES,
        containers=CONTAINERS,
        people=PEOPLE,
        engines=(Engine(name="docker"), Engine(name="podman", problem="it gave no answer within 5 s")),
    )


class _Still:
    def __init__(self, sample: Sample) -> None:
        self._sample = sample

    def latest(self) -> Sample:
        return self._sample

    def wait(self, after: int, timeout: float) -> Sample:  # noqa: ARG002  it never changes
        return self._sample


def tally() -> Tally:
    made = Tally()
    made.held |= {"alice": 8501.25, "bob": 8502.25}
    made._used._total |= {"alice": 8601.25, "bob": 8602.25}
    made._joules._total |= {"alice": 8701.25, "bob": 8702.25}
    return made


def made() -> dict[str, str]:
    """What each file has to be."""
    choices = {"all": Choice(GROUPS, processes=True), **{name: Choice(small=small) for name, small in SMALL.items()}}
    texts = {name: Exposition(_Still(sample()), tally(), choice).text() for name, choice in choices.items()}
    # What is left of it when the driver hangs, and when there was never an answer.
    for name, less in {
        "hanging": replace(sample(), age=30.0),
        "no-gpu": replace(sample(), gpus=UNTOLD, processes=(), containers=(), people=()),
    }.items():
        texts[name] = Exposition(_Still(less), Tally(), Choice(GROUPS)).text()
    version = f'{{version="{__version__}"}}'
    return {f"{name}.prom": text.decode().replace(version, '{version="X"}') for name, text in texts.items()}


if __name__ == "__main__":
    for name, text in made().items():
        (FOLDER / name).write_text(text)
