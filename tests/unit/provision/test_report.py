"""What people and programs read of the findings."""

import json

from gpudock.facts.container import ImageFact, Software
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


def test_safe_fixes_are_said_with_the_way_back() -> None:
    machine = hosts.host({"nodes[/dev/nvidia-uvm]": None, "gpus[0].persistence": False})
    offered = doctor.mends(machine, doctor.findings(machine))
    assert [mend.argv for _, mend in offered] == [("nvidia-modprobe", "-c", "0", "-u"), ("nvidia-smi", "-pm", "1")]
    text = report.offers(offered)
    assert "to take it back: sudo nvidia-smi -pm 0" in text
    assert "gone after a reboot" in text


def test_every_safe_fix_says_what_it_does_and_how_it_is_undone() -> None:
    for cases in hosts.cases().values():
        for case in cases["wrong"]:
            machine = hosts.host(case["set"])
            for _, mend in doctor.mends(machine, doctor.findings(machine)):
                assert mend.does
                assert mend.undo
                assert mend.argv[0] in {"modprobe", "nvidia-modprobe", "nvidia-smi", "chmod", "ldconfig", "gpudock"}
