"""Where docker's and podman's own flags end, and which of them are gpudock's."""

import pytest

from gpudock.engine.flags import BOOLEAN, SHORT_BOOLEAN, Arguments, HelpAsked, environment, scan
from gpudock.errors import UsageError


def scanned(text: str) -> Arguments:
    return scan(tuple(text.split()))


@pytest.mark.parametrize(
    "text",
    [
        "busybox",
        "--rm -it busybox sh -c --gpus",
        "-v /a:/b -p 80:80 -e A=B -d busybox",
        "--name=x --privileged=true --net host busybox",
        "--entrypoint bash busybox -c exit",
        "--sig-proxy=false -a stdin -a stdout busybox",
        "-eA=B -w/tmp -itw /tmp -uroot busybox",
        "-it=false -m=1g busybox",
        "-h box -P -q --no-healthcheck busybox",
        "--use-api-socket --tls-verify --replace --rootfs /tree /bin/sh",
        "--init -- --odd-image --gpus all",
        "-- busybox",
        "--new-flag=1 --other-new-flag 2 busybox",
        "- sh",
    ],
)
def test_the_engines_own_words_pass_through_in_order(text: str) -> None:
    found = scanned(text)
    assert " ".join((*found.flags, *found.rest)) == text
    assert found.own == {}
    assert not found.dry_run


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("busybox sh", "busybox"),
        ("--rm busybox", "busybox"),
        ("-v x busybox", "busybox"),
        ("-itv x busybox", "busybox"),
        ("-vx busybox", "busybox"),
        ("-- -i", "-i"),
        ("-e a -e b image image", "image"),
        ("-tid image sh -i", "image"),
        ("-c 512 image", "image"),
    ],
)
def test_the_image_is_the_first_word_that_is_no_flag(text: str, image: str) -> None:
    assert scanned(text).image == image


def test_own_flags_are_taken_out_in_each_spelling() -> None:
    found = scanned("--gpus all --rm --engine=podman -itH tcp://x --dry-run -eA=1 --context=lab image --gpus 1")
    assert found.own == {"gpus": "all", "engine": "podman", "host": "tcp://x", "context": "lab"}
    assert found.dry_run
    assert found.flags == ("--rm", "-it", "-eA=1")
    assert found.rest == ("image", "--gpus", "1")


def test_a_dry_run_can_be_switched_off() -> None:
    assert not scanned("--dry-run=false image").dry_run
    with pytest.raises(UsageError, match="neither true nor false"):
        scanned("--dry-run=maybe image")


def test_the_value_of_gpus_may_hold_what_looks_like_flags() -> None:
    found = scan(("--gpus", '"device=0,1","capabilities=utility"', "image"))
    assert found.own["gpus"] == '"device=0,1","capabilities=utility"'


def test_flags_that_are_looked_at_are_known_by_their_long_names() -> None:
    found = scanned("-e A=1 --env B=2 -eC -iqt --pull never --pull=always --device /dev/x image")
    assert found.values["env"] == ("A=1", "B=2", "C")
    assert found.last("quiet") == "true"
    assert found.last("pull") == "always"
    assert found.last("device") == "/dev/x"
    assert found.last("runtime") is None


@pytest.mark.parametrize("text", ["", "--rm", "--rm -it", "--gpus all", "-v", "--name", "-it --", "-itv"])
def test_without_an_image_there_is_nothing_to_run(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        scanned(text)
    assert "No image" in caught.value.what or "needs a value" in caught.value.what


def test_a_swallowed_image_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        scanned("--rm --name busybox")
    assert "busybox was read as the value of --name" in caught.value.why


def test_one_gpus_flag_is_enough() -> None:
    with pytest.raises(UsageError, match="--gpus was given twice") as caught:
        scanned("--gpus 1 --gpus=2 image")
    assert "device=0,1" in caught.value.mend


@pytest.mark.parametrize("text", ["--help", "--rm --help image", "-h", "--rm -h"])
def test_help_before_the_image_is_ours(text: str) -> None:
    with pytest.raises(HelpAsked):
        scanned(text)


@pytest.mark.parametrize("text", ["image --help", "-h box image", "image -h"])
def test_help_after_the_image_is_the_programs_and_h_is_the_host_name(text: str) -> None:
    assert scanned(text).image == "image"


def test_the_tables_hold_the_switches_that_people_use_most() -> None:
    assert {"rm", "detach", "interactive", "tty", "privileged", "init", "read-only", "replace"} <= BOOLEAN
    assert set("dit") <= SHORT_BOOLEAN
    assert {"env", "volume", "name", "network", "gpus", "user", "pull", "systemd", "rm-link"}.isdisjoint(BOOLEAN)


def test_environment_files_come_first_whatever_the_order() -> None:
    found = scanned("-e A=flag --env-file one -e FROM_CALLER -e GONE -e EMPTY= --env-file=two image")
    files = {"one": "A=file\nB=1\n# C=comment\n\n  D=4\n", "two": "B=2\nALSO_CALLER\n"}
    assert environment(found, files, {"FROM_CALLER": "x", "ALSO_CALLER": "y"}) == {
        "A": "flag",
        "B": "2",
        "D": "4",
        "ALSO_CALLER": "y",
        "FROM_CALLER": "x",
        "GONE": None,
        "EMPTY": "",
    }
