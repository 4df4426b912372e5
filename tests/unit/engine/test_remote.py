"""Engines on other machines: their own facts, else what their docker lists, else a clear error."""

import msgspec
import pytest

from gpudock.engine import remote
from gpudock.engine.base import Answer
from gpudock.errors import EngineError
from gpudock.facts.engine import CdiSpecFile
from gpudock.host import codec
from gpudock.plan.capabilities import DEFAULT
from gpudock.plan.request import parse_gpus
from gpudock.proc import Command, Result
from unit import h200
from unit.engine.wishes import docker

LISTED = ("nvidia.com/gpu=0", "nvidia.com/gpu=all", "nvidia.com/gds=all")
SPEC = CdiSpecFile(
    path="/var/run/cdi/gpudock.json",
    kind="nvidia.com/gpu",
    devices=("0", "0.compute.utility", "all", "all.compute.utility"),
    plan="0123456789abcdef",
)
H200 = msgspec.structs.replace(codec.decode(h200.SNAPSHOT.read_bytes()), cdi_specs=(SPEC,))


def answer(*devices: str) -> Answer:
    return docker()._replace(devices=devices)


def nobody(command: Command) -> Result:
    raise AssertionError(command)


def test_a_machine_that_is_reached_by_ssh_tells_its_facts() -> None:
    asked: list[tuple[str, ...]] = []

    def run(command: Command) -> Result:
        asked.append(command.argv)
        return Result(0, codec.encode(H200).decode(), "")

    offer, notes = remote.offer(answer(), "ssh://me@lab", run)
    assert asked == [("ssh", "-o", "BatchMode=yes", "--", "me@lab", "gpudock", "host", "snapshot", "-o", "-")]
    assert notes == ()
    assert (offer.driver, offer.cuda) == ("580.159.04", "13.0")
    chosen = offer.choose(parse_gpus("1"), DEFAULT, named=True)
    assert chosen.devices == ("0.compute.utility",)
    assert chosen.uuids == (H200.gpus[0].uuid,)
    assert chosen.known


def test_without_gpudock_there_docker_lists_the_devices() -> None:
    offer, notes = remote.offer(answer(*LISTED), "ssh://lab", lambda _: Result(127, "", "gpudock: not found\n"))
    assert offer.names == ("0", "all")
    assert "gpudock: not found" in notes[0]


def test_a_broken_answer_is_not_believed() -> None:
    _, notes = remote.offer(answer(*LISTED), "ssh://lab", lambda _: Result(0, "{", ""))
    assert "does not tell its facts" in notes[0]


def test_other_addresses_are_asked_of_docker_alone() -> None:
    offer, notes = remote.offer(answer(*LISTED), "tcp://lab:2376", nobody)
    assert offer.names == ("0", "all")
    assert notes == ()


@pytest.mark.parametrize("address", ["tcp://lab:2376", "ssh://lab"])
def test_nobody_there_tells(address: str) -> None:
    bare = msgspec.structs.replace(H200, cdi_specs=())
    with pytest.raises(EngineError, match="not known here") as caught:
        remote.offer(answer("x/y=1"), address, lambda _: Result(0, codec.encode(bare).decode(), ""))
    assert "sudo gpudock refresh" in caught.value.mend
