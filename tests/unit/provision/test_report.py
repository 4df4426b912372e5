"""What people and programs read of the findings."""

import json

from gpudock.facts.base import Missing
from gpudock.facts.container import ContainerFact, ImageFact, Software
from gpudock.provision import doctor, report
from unit.provision import hosts

LOST = {
    "containers": [
        {
            "engine": "docker",
            "id": "123456789abc",
            "name": "train",
            "image": "x",
            "running": True,
            "refused": ["/dev/nvidiactl"],
        }
    ]
}


def test_short_by_default_with_the_command() -> None:
    seen = doctor.findings(hosts.host(LOST))
    text = report.text(seen, verbose=False)
    assert text.splitlines() == [
        "ERROR   A running container has lost its GPUs  [container-lost-gpu]",
        "        train (docker) may not open /dev/nvidiactl",
        "   mend docker restart train",
        "",
        f"1 error of {len(doctor.CHECKS)} checks; causes and threads: --verbose",
    ]
    assert "https://github.com/NVIDIA/nvidia-container-toolkit/issues/48" in report.text(seen, verbose=True)
    assert report.text([], verbose=False) == f"Nothing is wrong: {len(doctor.CHECKS)} checks."


def test_many_pieces_of_evidence_are_counted() -> None:
    members = [{"code": code, "bus_id": "0000:3b:00", "count": 1} for code in (48, 61, 62, 63, 64)]
    seen = doctor.findings(hosts.host({"setup.xids": members}))
    assert "and 2 more" in report.text(seen, verbose=False)
    assert "and 2 more" not in report.text(seen, verbose=True)


def test_for_programs() -> None:
    machine = hosts.host(LOST)
    plain = json.loads(json.dumps(report.plain(doctor.findings(machine), machine)))
    assert plain["exit_code"] == 4
    assert plain["findings"][0]["id"] == "container-lost-gpu"
    assert plain["findings"][0]["fix"] == ["docker restart train"]


def test_what_is_in_an_image() -> None:
    image = ImageFact(
        engine="docker", name="x", software=(Software(name="CUDA", version="12.4", where="CUDA_VERSION"),), layers=3
    )
    assert report.images((image,)).splitlines() == [
        "x: 3 layers, no code of it was run",
        "  CUDA  12.4    CUDA_VERSION",
    ]
    assert "no CUDA, cuDNN or framework" in report.images((ImageFact(engine="docker", name="x"),))


def test_what_a_container_has() -> None:
    each = ContainerFact(
        engine="docker", id="", name="train", image="x", running=True, nodes=("/dev/nvidia0",), driver="580.1"
    )
    assert report.container(each).splitlines() == [
        "train (docker, x): running, runtime not told",
        "  GPU nodes: /dev/nvidia0; driver 580.1",
    ]
    silent = ContainerFact(
        engine="docker", id="", name="t", image="x", running=False, nodes=Missing("only root may look")
    )
    assert "not running" in report.container(silent)
    assert "only root may look" in report.container(silent)


def test_safe_fixes_are_said_with_the_way_back() -> None:
    machine = hosts.host({"nodes[/dev/nvidia-uvm]": None, "gpus[0].persistence": False})
    offered = doctor.mends(machine, doctor.findings(machine))
    assert [mend.argv for _, mend in offered] == [("nvidia-modprobe", "-c", "0", "-u"), ("nvidia-smi", "-pm", "1")]
    text = report.offers(offered)
    assert "to take it back: sudo nvidia-smi -pm 0" in text
    assert "gone after a reboot" in text


def test_only_our_own_specification_is_made_anew() -> None:
    path = "setup.specs[/var/run/cdi/gpudock.json].missing"
    ours = hosts.host({path: ["/gone"]})
    assert [mend.argv for _, mend in doctor.mends(ours, doctor.findings(ours))] == [("gpudock", "refresh")]
    foreign = hosts.host({path: ["/gone"], "cdi_specs[/var/run/cdi/gpudock.json].plan": None})
    assert doctor.findings(foreign)
    assert doctor.mends(foreign, doctor.findings(foreign)) == []


def test_commands_are_safe_to_paste() -> None:
    path = "/etc/cdi/$(reboot).yaml"
    lost = {**LOST["containers"][0], "name": "x; reboot"}
    spec = {"path": path, "kind": "nvidia.com/gpu", "devices": ["0"]}
    seen = doctor.findings(hosts.host({"containers": [lost], "cdi_specs[+]": spec}))
    commands = [command for finding in seen for command in finding.fix]
    assert "docker restart 'x; reboot'" in commands
    assert any(f"'{path}'" in command for command in commands)


def test_every_safe_fix_says_what_it_does_and_how_it_is_undone() -> None:
    for cases in hosts.cases().values():
        for case in cases["wrong"]:
            machine = hosts.host(case["set"])
            for _, mend in doctor.mends(machine, doctor.findings(machine)):
                assert mend.does
                assert mend.undo
                assert mend.argv[0] in {"modprobe", "nvidia-modprobe", "nvidia-smi", "chmod", "ldconfig", "gpudock"}
