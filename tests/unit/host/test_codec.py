"""Snapshots in files: what gpudock wrote comes back, and nothing that a stranger wrote can do harm."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpudock.errors import InputError
from gpudock.facts.driver import DriverFile, DriverFiles, Elf
from gpudock.facts.gpu import Gpu, GpuProcess, MigInstance
from gpudock.facts.snapshot import FORMAT, Snapshot
from gpudock.host import codec
from unit import h200

GOOD = h200.SNAPSHOT.read_bytes()
MUTATIONS = 10_000
UUID = "-0cc352ac-c7ba-d67c-df19-77e0366c92fa"


def rich() -> Snapshot:
    """The H200 with everything that it does not have: MIG instances, processes and driver files."""
    snapshot = codec.decode(GOOD)
    instances = tuple(
        MigInstance(index=n, gi=n + 7, ci=0, uuid=f"MIG{UUID[:-1]}{n}", profile="1g.18gb", memory=1 << 34)
        for n in range(2)
    )
    gpu = msgspec.structs.replace(
        snapshot.gpus[0],
        mig=True,
        instances=instances,
        drm=("card0", "renderD128"),
        processes=(GpuProcess(pid=17, used_memory=5, gi=7, ci=0),),
    )
    path = "/usr/lib/libcuda.so.580.159.04"
    file = DriverFile(
        role="library",
        name="libcuda.so.580.159.04",
        path=path,
        host="/driver" + path,
        size=5,
        mtime_ns=1,
        inode=2,
        mode=0o755,
        version="580.159.04",
        elf=Elf(soname="libcuda.so.1", bits=64, machine=62, cache_flags=0x303),
        links=("libcuda.so", "libcuda.so.1"),
    )
    driver = DriverFiles(root="/driver", version="580.159.04", files=(file,), library_folders=("/usr/lib",))
    return msgspec.structs.replace(snapshot, gpus=(gpu,), driver=driver)


def test_the_kept_snapshot_is_what_the_readers_make_of_the_recordings(tmp_path: Path) -> None:
    assert codec.encode(h200.snapshot(tmp_path)) == GOOD


def test_what_was_written_comes_back() -> None:
    snapshot = rich()
    data = codec.encode(snapshot)
    assert codec.decode(data) == snapshot
    assert codec.encode(codec.decode(data)) == data
    assert data.endswith(b"}\n")


def why(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        codec.decode(data)
    assert caught.value.mend
    assert str(caught.value).isprintable()
    return caught.value.why


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "broken or cut off"),
        (b"null", "Expected `object`, got `null`"),
        (b"\xff\xfe", "broken or cut off"),
        (GOOD[: len(GOOD) // 2], "broken or cut off"),
        (GOOD + b"x", "broken or cut off"),
        (b" " * (codec.LIMIT + 1), "larger than 16 MiB"),
        (b'{"format":1,"x":' + b"[" * 1_000_000, "nested too deeply"),
        (b'{"format":' + b"9" * 5000 + b"}", ""),
        (b'{"format":99,"unknown":true}', f"its format is 99, gpudock 0.1.0 reads up to {FORMAT}"),
        (b'{"format":0' + GOOD[GOOD.index(b"1") + 1 :], "its format is 0"),
        (b'{"format":"1"}', "Expected `int`, got `str`"),
        (b'{"format":1}', "missing required field"),
        (GOOD.replace(b'"gpus": [', b'"gpus": ["\x1b[2J",'), "broken or cut off"),
        (GOOD.replace(b'"taken"', b'"evil": 1, "taken"'), "unknown field `evil`"),
    ],
)
def test_broken_newer_and_huge_files(data: bytes, reason: str) -> None:
    assert reason in why(data)


HOSTILE: list[tuple[list[str | int], Any, str]] = [
    (["roots", "driver"], "../etc", "Roots.driver is not a plain absolute path"),
    (["roots", "dev"], "/a/../b", "Roots.dev is not a plain absolute path"),
    (["nodes", 0, "host"], "/dev/\0x", "DeviceNode.host holds control characters"),
    (["nodes", 0, "path"], "dev/nvidia0", "DeviceNode.path is not a plain absolute path"),
    (["nodes", 0, "minor"], 1 << 20, "DeviceNode.minor is 1048576"),
    (["nodes", 0, "major"], -1, "DeviceNode.major is -1"),
    (["nodes", 0, "mode"], 0o100666, "DeviceNode.mode"),
    (["nodes", 0, "uid"], 1 << 32, "DeviceNode.uid"),
    (["kernel_driver", "majors", "nvidia"], 4096, "KernelDriver.majors is 4096"),
    (["kernel_driver", "version"], "580/../../etc", "KernelDriver.version cannot be"),
    (["kernel_driver", "params", "x\x1b[2J"], "1", "KernelDriver.params key holds control characters"),
    (["kernel_driver", "capabilities", 0, "name"], "../config", "Capability.name cannot be"),
    (["gpus", 0, "uuid"], "GPU-$(reboot)", "Gpu.uuid cannot be"),
    (["gpus", 0, "bus_id"], "0000:00:06.9", "Gpu.bus_id cannot be"),
    (["gpus", 0, "drm", 0], "../sda", "Gpu.drm cannot be"),
    (["gpus", 0, "minor"], -1, "GPU 0 has no minor"),
    (["gpus", 0, "memory"], -5, "Gpu.memory is -5"),
    (["gpus", 0, "mig"], False, "GPU 0 has MIG instances without MIG"),
    (["gpus", 0, "name"], "x" * 5000, "Gpu.name is longer than 4096 characters"),
    (["gpus", 0, "instances", 1, "uuid"], f"MIG{UUID[:-1]}0", "the same MIG UUID"),
    (["gpus", 0, "instances", 1, "index"], 0, "GPU 0 has one MIG index twice"),
    (["gpus", 0, "instances", 1, "gi"], 7, "GPU 0 has one MIG instance twice"),
    (["gpus", 0, "instances", 0, "uuid"], "MIG-a/1/2/3", "MigInstance.uuid cannot be"),
    (["driver", "files", 0, "host"], "/etc/shadow", "is not below its root"),
    (["nodes", 0, "path"], "/dev/nvidia-caps-imex-channels/channelX", "channelX has no number"),
    (["driver", "files", 0, "role"], "socket", "DriverFile.role cannot be"),
    (["driver", "files", 0, "name"], "a/../../b", "DriverFile.name cannot be"),
    (["driver", "files", 0, "links", 0], "../x", "DriverFile.links cannot be"),
    (["driver", "files", 0, "elf", "soname"], "/etc/ld.so.preload", "Elf.soname cannot be"),
    (["driver", "library_folders", 0], "usr", "DriverFiles.library_folders is not a plain absolute path"),
    (["system", "cgroup_version"], 3, "System.cgroup_version is 3"),
    (["taken"], "yesterday", "Snapshot.taken cannot be"),
]


@pytest.mark.parametrize(("place", "value", "reason"), HOSTILE, ids=[".".join(map(str, row[0])) for row in HOSTILE])
def test_impossible_values(place: list[str | int], value: object, reason: str) -> None:
    document: Any = json.loads(codec.encode(rich()))
    part = document
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    assert reason in why(json.dumps(document).encode())


def test_two_gpus_cannot_share_anything() -> None:
    snapshot = codec.decode(GOOD)
    first = snapshot.gpus[0]
    other: Gpu = msgspec.structs.replace(first, index=1, uuid="GPU-1" + UUID[1:], bus_id="0000:00:07.0", minor=1)
    assert codec.decode(codec.encode(msgspec.structs.replace(snapshot, gpus=(first, other)))).gpus == (first, other)
    for field in ("index", "uuid", "bus_id", "minor"):
        twin = msgspec.structs.replace(other, **{field: getattr(first, field)})
        assert "two entries have the same GPU" in why(
            codec.encode(msgspec.structs.replace(snapshot, gpus=(first, twin)))
        )
    doubled = msgspec.structs.replace(snapshot, nodes=snapshot.nodes[:1] * 2)
    assert "the same device node: /dev/nvidia0" in why(codec.encode(doubled))


def test_too_many_values() -> None:
    document = json.loads(GOOD)
    document["cdi_specs"] = [{"path": "/x", "kind": "a", "devices": ["d"] * 50_000}] * 3
    assert "more than 100000 values" in why(json.dumps(document).encode())


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def splice(data: bytes, chance: random.Random) -> bytes:
    start, at = chance.randrange(len(data)), chance.randrange(len(data))
    return data[:at] + data[start : start + chance.randrange(200)] + data[at:]


def exchange(data: bytes, chance: random.Random) -> bytes:
    """One value replaced by one of another kind, so that the JSON stays whole."""
    document = json.loads(data)
    part: Any = document
    while True:
        key = chance.choice(list(part) if isinstance(part, dict) else range(len(part)))
        if not isinstance(part[key], dict | list) or not part[key] or chance.random() < 0.2:
            break
        part = part[key]
    strange: list[Any] = [
        None,
        -1,
        1 << 70,
        1e308,
        "",
        "\0",
        "../x",
        "\ud800",
        [],
        {},
        [[]],
        {"is": "missing"},
        True,
        "/dev/null",
    ]
    part[key] = chance.choice(strange)
    return json.dumps(document).encode()


@pytest.mark.parametrize("mutate", [cut, flip, splice, exchange])
def test_mutated_snapshots_are_refused_or_read(mutate: Callable[[bytes, random.Random], bytes]) -> None:
    chance = random.Random(20261123)
    data = codec.encode(rich())
    refused = []
    for _ in range(MUTATIONS // 4):
        try:
            snapshot = codec.decode(mutate(data, chance))
        except InputError as error:
            refused.append(str(error))
        else:
            assert codec.decode(codec.encode(snapshot)) == snapshot
    assert len(refused) > MUTATIONS // 20
    assert all(text.isprintable() for text in refused)
