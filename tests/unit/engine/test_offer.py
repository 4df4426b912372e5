"""Which devices a request means: by our own plan, and by names alone."""

import pytest

from gpudock.engine.offer import MissingVariantError, NamesOffer, PlanOffer
from gpudock.errors import RefusedError
from gpudock.facts.gpu import Gpu, MigInstance
from gpudock.plan.capabilities import ALL as EVERYTHING
from gpudock.plan.capabilities import DEFAULT
from gpudock.plan.request import parse_gpus
from unit.plan.plans import UUIDS, gpu, plan_with

TWO = PlanOffer(plan_with(gpu(0), gpu(1)))
MIXED = PlanOffer(plan_with())  # GPU 0 whole, GPU 1 in two MIG devices
NVIDIA = ("0", "1", "10", UUIDS[0], UUIDS[1], "all")
NAMES = NamesOffer(NVIDIA, "/etc/cdi/nvidia.yaml")
FACTS = (
    Gpu(index=0, uuid=UUIDS[0], bus_id="0000:06:00.0", minor=0, name="H200", brand="nvidia", compute_capability="9.0"),
    Gpu(
        index=1,
        uuid=UUIDS[1],
        bus_id="0000:07:00.0",
        minor=1,
        name="H200",
        instances=(MigInstance(index=0, gi=1, ci=0, uuid="MIG-1", profile="1g.18gb"),),
    ),
)


def devices(offer: PlanOffer | NamesOffer, text: str, wanted: tuple[str, ...] = DEFAULT) -> tuple[str, ...]:
    return offer.choose(parse_gpus(text), wanted, named=True).devices


@pytest.mark.parametrize(
    ("offer", "text", "expected"),
    [
        (TWO, "all", ("all.compute.utility",)),
        (TWO, "2", ("0.compute.utility", "1.compute.utility")),  # not `all`: a third may come before the next start
        (TWO, "device=1,0", ("1.compute.utility", "0.compute.utility")),
        (TWO, "1", ("0.compute.utility",)),
        (TWO, f"device={UUIDS[1]}", (f"{UUIDS[1]}.compute.utility",)),
        (TWO, f"device=0,{UUIDS[1]}", ("0.compute.utility", f"{UUIDS[1]}.compute.utility")),
        (MIXED, "device=MIG-11aa", ("MIG-11aabbcc-5555-4666-8777-88889999aaaa.compute.utility",)),
        (MIXED, "all", ("all.compute.utility",)),
        (MIXED, "device=1:1,0", ("1:1.compute.utility", "0.compute.utility")),
    ],
)
def test_devices_of_our_plan(offer: PlanOffer, text: str, expected: tuple[str, ...]) -> None:
    assert devices(offer, text) == expected


def test_what_is_known_of_the_chosen() -> None:
    chosen = TWO.choose(parse_gpus("device=1"), DEFAULT, named=True)
    assert (chosen.number, chosen.uuids, chosen.visible) == (1, (UUIDS[1],), (UUIDS[1],))
    assert chosen.properties.gpus == (("9.0", "Nvidia"),)
    assert chosen.known
    assert not chosen.everything


def test_requirements_cannot_be_judged_without_the_version_of_cuda() -> None:
    silent = PlanOffer(plan_with(gpu(0), cuda=""))
    assert not silent.choose(parse_gpus("all"), DEFAULT, named=True).known


def test_capabilities_that_were_not_prepared() -> None:
    with pytest.raises(MissingVariantError) as caught:
        devices(TWO, "all", ("compute", "video"))
    assert caught.value.wanted == ("compute", "video")
    assert caught.value.mend == "sudo gpudock refresh --capabilities compute,video"
    assert TWO.choose(parse_gpus("all"), EVERYTHING, named=False).number == 2  # a runtime needs no names


def test_the_whole_driver_is_the_plain_name() -> None:
    plan = plan_with(gpu(0))
    plan["variants"]["all"] = plan["variants"]["compute.utility"]
    assert devices(PlanOffer(plan), "all", EVERYTHING) == ("all",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", ("all",)),
        ("1", ("0",)),
        ("2", ("0", "1")),
        ("3", ("0", "1", "10")),
        ("device=10", ("10",)),
        (f"device={UUIDS[0]}", (UUIDS[0],)),
        ("device=GPU-8f3c1", (UUIDS[0],)),
        ("device=8f3c1", (UUIDS[0],)),
        ("device=nvidia.com/gpu=1", ("1",)),
    ],
)
def test_names_of_somebody_elses(text: str, expected: tuple[str, ...]) -> None:
    assert devices(NAMES, text) == expected


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("4", r"asks for 4 GPUs, /etc/cdi/nvidia\.yaml has 3"),
        ("device=7", "does not have"),
        ("device=8f3c", "more than"),
    ],
)
def test_names_that_are_not_there(text: str, match: str) -> None:
    with pytest.raises(RefusedError, match=match) as caught:
        devices(NAMES, text)
    assert "0" in caught.value.why


def test_type_index_names_and_uuids_alone() -> None:
    assert devices(NamesOffer(("gpu0", "gpu1", "mig2:0"), "x"), "device=1") == ("gpu1",)
    assert devices(NamesOffer(("gpu0", "mig2:0"), "x"), "device=2:0") == ("mig2:0",)
    assert devices(NamesOffer((UUIDS[1], UUIDS[0]), "x"), "1") == (UUIDS[0],)
    assert devices(NamesOffer((UUIDS[1], UUIDS[0]), "x"), "all") == (UUIDS[0], UUIDS[1])
    with pytest.raises(RefusedError, match="x has none"):
        devices(NamesOffer((), "x"), "all")


def test_a_capability_is_taken_where_it_exists_and_said_where_not() -> None:
    filtered = NamesOffer(("0", "1", "0.utility", "1.utility", "all", "all.utility"), "x")
    assert devices(filtered, "device=0,capabilities=utility", ("utility",)) == ("0.utility",)
    chosen = NAMES.choose(parse_gpus("device=0,capabilities=utility"), ("utility",), named=True)
    assert chosen.devices == ("0",)
    assert "not only utility" in chosen.notes[0]
    assert NAMES.choose(parse_gpus("device=0"), ("utility",), named=True).notes == ()


def test_facts_about_gpus_behind_names() -> None:
    offer = NamesOffer(("0", "1:0", "all"), "x", driver="580.1", cuda="13.0", gpus=FACTS)
    chosen = offer.choose(parse_gpus("device=0000:06:00.0,1:0"), DEFAULT, named=True)
    assert chosen.devices == ("0", "1:0")
    assert chosen.uuids == (UUIDS[0], "MIG-1")
    assert chosen.properties.gpus == (("9.0", "nvidia"), ("", ""))
    assert chosen.known
    assert not NAMES.choose(parse_gpus("all"), DEFAULT, named=True).known
