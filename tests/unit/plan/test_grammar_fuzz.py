"""Whatever people, images and orchestrators write: an answer or one clear error, at once."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudock.errors import GpudockError
from gpudock.plan import capabilities
from gpudock.plan.request import Request, flag, parse_gpus, parse_imex, parse_visible_devices
from gpudock.plan.requirement import Properties, check, cuda_label, from_environment
from gpudock.plan.select import select
from unit.plan.plans import plan_with

if TYPE_CHECKING:
    from collections.abc import Callable

INPUTS = 10_000
MESSAGE_LIMIT = 2_000  # characters
SECONDS = 1  # a hundred times what the longest input takes: a slow machine passes, a quadratic reader does not
PLAN = plan_with()
HOST = Properties("12.4", "550.54.15", [("9.0", "Tesla"), ("7.5", "")])
UUID = "GPU-8f3c1a2b-0d4e-4f5a-9b6c-7d8e9f0a1b2c"
REQUESTS = [
    "all", "-1", "2", "device=0", '"device=0,1","capabilities=compute,utility"', f"device=0,{UUID},0:1", "none",
    'driver=nvidia,"options=foo=bar,baz=qux",count=1', "nvidia.com/gpu=0,runtime.nvidia.com/gpu=all", "void,0",
    f"MIG-{UUID}/1/0", "0000:06:00.0,00000000:07:00.0", "GPU-8f3c,8f3c", " 0 , 1,", '""""', "device=0,capabilities=all,2",
]  # fmt: skip
REQUIREMENTS = [
    "cuda>=12.4 brand=tesla,driver>=470,driver<471", "cuda>=99.0", "brand!=geforce,arch>=7.0", "driver=550.54.15",
    "cuda>=13.0 brand=unknown,driver>=535,driver<536 brand=grid,driver>=550,driver<551", "arch<10 foo>1", ",", "cuda==1",
]  # fmt: skip
PIECES = ["", ",", "=", '"', ":", "-", ".", "/", " ", "0", "9" * 40, "all", "none", "device=", "cuda>=", "<", "!", "\0", "\n", "é", "٣", "\udcff", "\x1b["]  # fmt: skip


def gpus(text: str) -> None:
    request = parse_gpus(text)
    assert parse_gpus(flag(request)) == request
    select(PLAN, request)


def visible(text: str) -> None:
    select(PLAN, parse_visible_devices(text))


def imex(text: str) -> None:
    assert parse_imex(",".join(parse_imex(text))) == parse_imex(text)


def requirement(text: str) -> None:
    cuda_label(text, "12.4")
    found, notes = from_environment({"NVIDIA_REQUIRE_" + text: text, "CUDA_VERSION": text})
    assert all(len(note) < MESSAGE_LIMIT for note in notes)
    check(found, HOST)


def outcome(take: Callable[[str], None], text: str) -> bool:
    """Whether the text was taken; anything but a short, printable GpudockError fails the test."""
    begin = time.process_time()
    refused: GpudockError | None = None
    try:
        take(text)
    except GpudockError as error:
        refused = error
    assert time.process_time() - begin < SECONDS, text
    if refused is None:
        return True
    assert refused.mend, text
    assert str(refused).isprintable(), text
    assert len(str(refused)) < MESSAGE_LIMIT, text
    return False


def mutated(dice: random.Random, seeds: list[str]) -> str:
    text = dice.choice(seeds)
    for _ in range(dice.randrange(4)):
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + dice.randrange(4))
        piece = dice.choice(PIECES) if dice.random() < 0.7 else dice.choice(seeds)
        text = text[:start] + piece + text[end:]
    return text


@pytest.mark.parametrize(
    ("take", "seeds"),
    [(gpus, REQUESTS), (visible, REQUESTS), (imex, ["0,1", "all", "1048575"]), (requirement, REQUIREMENTS)],
)
def test_mutated_inputs(take: Callable[[str], None], seeds: list[str]) -> None:
    dice = random.Random(take.__name__)
    taken = sum(outcome(take, mutated(dice, seeds)) for _ in range(INPUTS))
    assert INPUTS * 0.03 < taken < INPUTS * 0.97  # both ways were really tried


@given(st.text())
@pytest.mark.parametrize("take", [gpus, visible, imex, requirement])
def test_any_text(take: Callable[[str], None], text: str) -> None:
    outcome(take, text)


@pytest.mark.parametrize("take", [gpus, visible, imex, requirement])
@pytest.mark.parametrize(
    "piece", [",", '"', '""', "0,", "device=0,", " ", "1.", "9", "-", "cuda>=99 ", "driver<1,", "abcd,"]
)
def test_long_inputs_take_no_longer_than_they_are_long(take: Callable[[str], None], piece: str) -> None:
    outcome(take, piece * (131_072 // len(piece)))  # the longest environment variable that Linux takes
    outcome(take, '"' + piece * (131_072 // len(piece)) + '"')


ids = st.one_of(
    st.integers(0, 999_999).map(str),
    st.tuples(st.integers(0, 99), st.integers(0, 6)).map(lambda pair: f"{pair[0]}:{pair[1]}"),
    st.uuids().map(lambda uuid: f"GPU-{uuid}"),
    st.uuids().map(lambda uuid: f"MIG-{uuid}"),
    st.tuples(st.uuids(), st.integers(0, 14), st.integers(0, 7)).map(
        lambda each: f"MIG-GPU-{each[0]}/{each[1]}/{each[2]}"
    ),
    st.integers(0, 255).map(lambda bus: f"00000000:{bus:02x}:00.0"),
)
devices = st.one_of(
    st.sampled_from(["all", "none", "void"]),
    st.integers(1, 999_999),
    st.lists(ids, min_size=1, max_size=16, unique=True).map(tuple),
)
wanted = st.none() | st.sets(st.sampled_from(capabilities.ALL), min_size=1).map(capabilities.canonical)


@settings(max_examples=500)
@given(st.builds(Request, devices, wanted))
def test_canonical_requests_come_back(request: Request) -> None:
    assert parse_gpus(flag(request)) == request
    if isinstance(request.devices, tuple):
        assert parse_visible_devices(",".join(request.devices), "--gpus").devices == request.devices


versions = st.lists(st.integers(0, 999), min_size=1, max_size=4)


@settings(max_examples=500)
@given(versions, versions)
def test_versions_compare_as_numbers(have: list[int], asked: list[int]) -> None:
    host = Properties(".".join(map(str, have)), "")
    padded = [*have, 0, 0, 0][:4], [*asked, 0, 0, 0][:4]
    expected = {
        ">=": padded[0] >= padded[1],
        ">": padded[0] > padded[1],
        "<": padded[0] < padded[1],
        "<=": padded[0] <= padded[1],
        "=": padded[0] == padded[1],
        "!=": padded[0] != padded[1],
    }
    for operator, holds in expected.items():
        expression = f"cuda{operator}" + ".".join(map(str, asked))
        assert outcome(lambda text: check({"NVIDIA_REQUIRE_X": text}, host), expression) is holds
