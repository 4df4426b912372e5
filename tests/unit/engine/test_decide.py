"""Facts and a wish in, the engine's command line out."""

import pytest

from gpudock.engine.base import Answer, Client, Decision
from gpudock.engine.decide import decide, mechanism
from gpudock.engine.image import Image
from gpudock.engine.offer import NamesOffer, PlanOffer
from gpudock.errors import EngineError, RefusedError, UsageError
from unit.engine.wishes import DOCKER, PLAIN, PODMAN, docker, wish
from unit.plan.plans import UUIDS, gpu, plan_with

PLAN = plan_with(gpu(0), gpu(1))
OFFER = PlanOffer(PLAN)
FACTS = docker()
OLD = docker("20.10.24", cdi=False, runtimes=("runc",))


def decided(
    *words: str, client: Client = DOCKER, answer: Answer = FACTS, image: Image | None = PLAIN, verb: str = "run"
) -> Decision:
    return decide(client, answer, wish(*words, verb=verb), image, OFFER)


def test_a_cdi_device_before_the_image() -> None:
    found = decided("--rm", "-it", "--gpus", "all", "-v", "/a:/b", "image", "nvidia-smi", "--gpus")
    assert found.argv == (
        *("docker", "run", "--rm", "-it", "-v", "/a:/b"),
        *("--device", "nvidia.com/gpu=all.compute.utility", "image", "nvidia-smi", "--gpus"),
    )
    assert found.notes == ()


def test_each_device_by_its_name_and_the_double_dash_stays() -> None:
    plan = plan_with(gpu(0), gpu(1), gpu(2))
    asked = wish("--gpus", "device=2,0", "--", "image", verb="create")
    found = decide(PODMAN, FACTS, asked, PLAIN, PlanOffer(plan))
    assert found.argv == (
        *("podman", "create", "--annotation", "run.oci.hooks.stderr=/dev/stderr"),  # crun hides what hooks say
        *("--device", "nvidia.com/gpu=2.compute.utility"),
        *("--device", "nvidia.com/gpu=0.compute.utility", "--", "image"),
    )


@pytest.mark.parametrize(("runtimes", "chosen"), [(("nvidia", "runc"), "nvidia"), (("gpudock", "nvidia"), "gpudock")])
def test_without_cdi_a_runtime_is_told_by_variables(runtimes: tuple[str, ...], chosen: str) -> None:
    facts = docker("20.10.24", cdi=False, runtimes=runtimes)
    found = decided("-e", "NVIDIA_VISIBLE_DEVICES=all", "--gpus", "device=1", "image", answer=facts)
    assert found.argv == (
        *("docker", "run", "-e", "NVIDIA_VISIBLE_DEVICES=all", "--runtime", chosen),
        *("-e", f"NVIDIA_VISIBLE_DEVICES={UUIDS[1]}", "-e", "NVIDIA_DRIVER_CAPABILITIES=compute,utility", "image"),
    )


def test_a_runtime_that_the_user_names() -> None:
    facts = docker("20.10.24", cdi=False, runtimes=("gpudock", "nvidia", "runsc"))
    found = decided("--runtime", "nvidia", "--gpus", "all", "image", answer=facts)
    assert found.argv[:4] == ("docker", "run", "--runtime", "nvidia")
    assert found.argv.count("--runtime") == 1
    with pytest.raises(UsageError, match="--runtime runsc cannot be combined"):
        decided("--runtime=runsc", "--gpus", "all", "image", answer=facts)
    assert "--runtime=runsc" in decided("--runtime=runsc", "--gpus", "all", "image").argv  # CDI goes with any


def test_an_engine_without_a_way_says_so() -> None:
    with pytest.raises(EngineError, match="cannot give containers GPUs") as caught:
        decided("--gpus", "all", "image", answer=OLD)
    assert caught.value.exit_code == 6
    with pytest.raises(EngineError, match=r"Podman 3\.4\.4"):
        mechanism(PODMAN, Answer("3.4.4"), wish("--gpus=1", "i"))


@pytest.mark.parametrize("device", ["nvidia.com/gpu=0", "/dev/fuse,nvidia.com/gpu=all"])
def test_gpus_asked_for_twice_are_refused(device: str) -> None:
    with pytest.raises(UsageError, match="asked for twice"):
        decided("--device", device, "--gpus", "all", "image")
    assert decided("--device", "/dev/fuse", "--gpus", "all", "image").argv[2:4] == ("--device", "/dev/fuse")


def test_capabilities_by_precedence() -> None:
    plan = plan_with(gpu(0))
    for label in ("utility", "video", "compute"):
        plan["variants"][label] = plan["variants"]["compute.utility"]
    image = Image({"NVIDIA_DRIVER_CAPABILITIES": "video"}, {})
    offer = PlanOffer(plan)

    def device(*words: str) -> str:
        return decide(DOCKER, FACTS, wish(*words), image, offer).argv[-2].partition("=")[2]

    flag = ("-e", "NVIDIA_DRIVER_CAPABILITIES=utility")
    assert device("--gpus", 'all,"capabilities=compute"', *flag, "image") == "all.compute"
    assert device("--gpus", "all", *flag, "image") == "all.utility"
    assert device("--gpus", "all", "image") == "all.video"
    assert device("--gpus", "all", "-e", "NVIDIA_DRIVER_CAPABILITIES", "image") == "all.compute.utility"  # taken away


def test_an_unknown_capability_of_the_image_is_named() -> None:
    with pytest.raises(UsageError, match="NVIDIA_DRIVER_CAPABILITIES=cuda"):
        decided("--gpus", "all", "image", image=Image({"NVIDIA_DRIVER_CAPABILITIES": "cuda"}, {}))


def test_an_unmet_requirement_is_refused_before_anything_starts() -> None:
    image = Image({"NVIDIA_REQUIRE_CUDA": "cuda>=99.0"}, {})
    with pytest.raises(RefusedError, match=r"CUDA at least 99\.0") as caught:
        decided("--gpus", "all", "image", image=image)
    assert caught.value.exit_code == 5
    for allowed in ("NVIDIA_DISABLE_REQUIRE=1", "NVIDIA_REQUIRE_CUDA=cuda>=12.0", "NVIDIA_REQUIRE_CUDA"):
        assert decided("--gpus", "all", "-e", allowed, "image", image=image).notes == ()


def test_a_requirement_that_cannot_be_judged_is_said() -> None:
    image = Image({"NVIDIA_REQUIRE_CUDA": "cuda>=99.0"}, {})
    found = decide(DOCKER, FACTS, wish("--gpus", "all", "image"), image, NamesOffer(("0", "all"), "the other machine"))
    assert found.argv[2:4] == ("--device", "nvidia.com/gpu=all")
    assert "NVIDIA_REQUIRE_CUDA" in found.notes[0]


def test_names_of_an_images_variables_are_quoted() -> None:
    image = Image({"NVIDIA_REQUIRE_\x1b[2J": "driver>=1"}, {})
    offer = PlanOffer(plan_with(gpu(0), cuda=""))
    notes = decide(DOCKER, FACTS, wish("--gpus", "all", "image"), image, offer).notes
    assert r"'NVIDIA_REQUIRE_\x1b[2J' of the image was not fully checked" in notes[0]


def test_an_image_that_is_not_here_is_said() -> None:
    assert "not looked at" in decided("--gpus", "all", "image", image=None).notes[0]


def test_simulated_gpus_are_said_first() -> None:
    plan = plan_with(gpu(0))
    plan["simulated"] = True
    found = decide(DOCKER, FACTS, wish("--gpus", "all", "image"), None, PlanOffer(plan))
    assert found.notes[0].startswith("SIMULATED")


def test_all_warnings_at_once() -> None:
    image = Image({"NVIDIA_DISABLE_REQUIRES": "1"}, {"com.nvidia.cuda.version": "99.1"})
    words = ("--gpus", "device=1", "--privileged", "-e", "CUDA_VISIBLE_DEVICES=1", "image")
    notes = decided(*words, image=image).notes
    assert len(notes) == 4
    for part in ("NVIDIA_DISABLE_REQUIRE=1 is meant", "CUDA 99.1", "from 0", "--privileged"):
        assert any(part in note for note in notes)
