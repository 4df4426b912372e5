"""A report for strangers holds nothing private, and still says what is wrong."""

import json
import os

import msgspec

from gpudock.facts.container import ContainerFact
from gpudock.host import codec
from gpudock.provision import doctor
from gpudock.provision.bundle import redacted
from unit.provision import hosts

PRIVATE = {
    "setup.caller": {
        "uid": 1000,
        "name": "annabel",
        "groups": ["docker"],
        "proxies": ["https_proxy"],
        "no_proxy": True,
    },
    "setup.docker_group": ["annabel", "zoltan"],
    "setup.contexts": [{"name": "labserver", "address": "ssh://annabel@gpu7.lab.example:2222"}],
    "setup.mirrors": [
        {"address": "https://mirror.lab.example/", "problem": "lookup mirror.lab.example on 10.1.2.3:53"}
    ],
    "engines[docker].mirrors": ["https://mirror.lab.example/"],
    "engines[docker].problem": "dial tcp 192.168.17.4:2376: token ghp_abcdefghijklmnopqrstuvwxyz0123456789 refused by fe80::1ff:fe23:4567:890a at aa:bb:cc:dd:ee:ff",
    "engines[docker].config_path": "/home/annabel/.config/docker/daemon.json",
    "package_sources": [
        {
            "path": "/etc/apt/sources.list.d/x.list",
            "line": "deb https://annabel:pw@repo.lab.example/debian stable main",
        },
        {"path": "/etc/apt/sources.list.d/d.list", "line": "deb https://download.docker.com/linux/ubuntu noble stable"},
    ],
    "containers": [
        {
            "engine": "docker",
            "id": "fedcba987654",
            "name": "secret-project",
            "image": "registry.lab.example/annabel/x",
            "running": True,
            "nodes": ["/dev/nvidia0"],
            "refused": ["/dev/nvidiactl"],
        },
    ],
    "images": [
        {
            "engine": "docker",
            "name": "registry.lab.example/x",
            "variables": {"NVIDIA_REQUIRE_CUDA": "cuda>=99", "LD_LIBRARY_PATH": "/opt/hush"},
        }
    ],
    "packages[+]": {"name": "libcudnn9-cuda-13", "version": "9.14.0.64-1", "manager": "dpkg"},
    "nvml.problems": ["GPU 1 of workhorse: GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fb is lost"],
}
HUSH = (
    *(
        "annabel",
        "zoltan",
        "lab.example",
        "labserver",
        "192.168",
        "10.1.2.3",
        "fe80",
        "aa:bb",
        "ghp_",
        "secret-project",
    ),
    *("registry", "hush", "workhorse", "0cc352ac", "fedcba987654", ":pw@", "0f0e0d0c"),
)


def test_nothing_private_is_left() -> None:
    made = redacted(hosts.host(PRIVATE), "workhorse")
    data = codec.encode(made)
    assert [word for word in HUSH if word in data.decode()] == []
    assert codec.decode(data) == made
    for kept in (
        "download.docker.com",
        "NVIDIA H200",
        "580.159.04",
        "9.14.0.64-1",
        "cuda>=99",
        "libcuda.so.580.159.04",
    ):
        assert kept in data.decode()


def test_what_is_wrong_is_still_found() -> None:
    for name, cases in hosts.cases().items():
        for case in cases["wrong"]:
            machine = hosts.host(case["set"])
            before = [(each.check.id, len(each.evidence)) for each in doctor.findings(machine)]
            after = [(each.check.id, len(each.evidence)) for each in doctor.findings(redacted(machine, "vm"))]
            if name != "image-hides":  # its LD_LIBRARY_PATH is not given away
                assert after == before, name


def test_the_same_word_stays_the_same() -> None:
    machine = hosts.host(PRIVATE)
    assert isinstance(machine.containers, tuple)
    twice = msgspec.structs.replace(machine, containers=(*machine.containers, *machine.containers))
    made = redacted(twice, "workhorse")
    assert isinstance(made.containers, tuple)
    assert made.containers[0] == made.containers[1]
    assert made.containers[0] != ContainerFact(engine="docker", id="", name="", image="", running=True)


def test_a_machines_own_snapshot_can_be_given_away() -> None:
    plain = json.loads(codec.encode(redacted(hosts.host(), os.uname().nodename)))
    assert plain["gpus"][0]["uuid"] == "GPU-00000001-0000-0000-0000-000000000000"
