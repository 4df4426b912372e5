"""Command lines read without click: what is read is what click would read, and all else is left to click."""

from collections.abc import Mapping
from typing import Any

import click
import pytest

from gpudock.cli import by_click, generate, refresh, run
from gpudock.cli.main import HELP, VERBS
from gpudock.cli.verb import Verb, Verbs
from gpudock.refresh.making import EXTRA_KINDS

ALL = Verbs(HELP, VERBS)


def as_click(verb: Verb, words: list[str]) -> Mapping[str, Any]:
    command = by_click.command(verb, "verb")
    return command.make_context("verb", words).params


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (refresh.refresh, []),
        (refresh.refresh, ["-q", "--simulated", "/x", "--way=bind"]),
        (refresh.refresh, ["--capabilities", "compute", "--capabilities=utility,video", "--library-links"]),
        (refresh.refresh, ["--library-links", "--no-library-links", "--adopt", "--install-units"]),
        (generate.generate, []),
        (generate.generate, ["-o", "-", "--format", "json", "--discovery-mode=management", "--devices", "0"]),
        (generate.generate, ["--output", "--format", "--vendor", "", "--class=a=b", "--no-all-device"]),
        (generate.generate, ["--mode", "wsl", "--mode", "nvml", "--device-id", "0", "--device", "1"]),
        (generate.generate, ["--device-name-strategy", "uuid", "--hook-path=/h", "--driver-root", "-x"]),
    ],
)
def test_it_reads_what_click_reads(verb: Verb, words: list[str]) -> None:
    found = verb.read(words)
    assert found is not None
    assert found == as_click(verb, words)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["-h"],
        ["--nonsense"],
        ["word"],
        [""],
        ["--"],
        ["--quiet=1"],
        ["-q=1"],
        ["-qq"],
        ["--way"],
        ["--way", "carry"],
        ["--dry"],
        ["--simulated", "/x", "more"],
    ],
)
def test_all_else_is_left_to_click(words: list[str]) -> None:
    assert refresh.refresh.read(words) is None


@pytest.mark.parametrize("words", [["--help"], ["--rm", "--help", "image"], ["-h"]])
def test_help_of_the_engine_verbs_is_left_to_click(words: list[str]) -> None:
    assert run.run.read(words) is None


def test_the_modes_beside_gpus_are_those_that_have_a_kind() -> None:
    assert tuple(EXTRA_KINDS) == generate.BESIDE


def test_verbs_below_verbs_are_found() -> None:
    assert ALL.find(["cdi", "generate", "-o", "x"]) == (generate.generate, ["-o", "x"])
    assert ALL.find(["run", "-it", "image"]) == (run.run, ["-it", "image"])
    group, rest = ALL.find(["cdi", "nonsense"])
    assert isinstance(group, Verbs)
    assert rest == ["nonsense"]
    assert ALL.find(["nonsense"]) == (ALL, ["nonsense"])
    assert ALL.find([]) == (ALL, [])


def test_every_command_that_the_tables_name_is_there() -> None:
    def names(verbs: Verbs) -> int:
        found = [verbs.get(name) for name in verbs.table]
        assert all(isinstance(each, Verb | Verbs | click.Command) for each in found)
        return len(found) + sum(names(each) for each in found if isinstance(each, Verbs))

    assert names(ALL) >= 11
