"""Flags of dockerd, wherever they stand."""

import pytest

from gpudock.engine.configure import flags
from gpudock.engine.configure.flags import Flag

UNIT = "/lib/systemd/system/docker.service"
DROP_IN = "/etc/systemd/system/docker.service.d/10-gpu.conf"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--default-runtime=nvidia"], [("default-runtime", "nvidia")]),
        (["--default-runtime", "nvidia", "--debug"], [("default-runtime", "nvidia"), ("debug", "")]),
        (["-H", "fd://", "-D"], [("H", "fd://"), ("D", "")]),
        (["--add-runtime", "a=/x", "--add-runtime=b=/y"], [("add-runtime", "a=/x"), ("add-runtime", "b=/y")]),
        (["dockerd", "-"], []),
    ],
)
def test_flags_of_a_command_line(words: list[str], found: list[tuple[str, str]]) -> None:
    assert [(flag.name, flag.value) for flag in flags.of_words(words, "here")] == found


def of_unit(*files: tuple[str, str], read: dict[str, str] | None = None) -> dict[str, tuple[str, str]]:
    found = flags.of_unit(flags.unit(files), (read or {}).get)
    return {flag.name: (flag.value, flag.source) for flag in found}


def test_a_drop_in_adds_to_the_unit() -> None:
    unit = (UNIT, "[Service]\nExecStart=/usr/bin/dockerd -H fd:// \\\n  --default-runtime=nvidia $MORE\n")
    found = of_unit(unit, (DROP_IN, '[Service]\nEnvironment="MORE=--feature cdi=true" OTHER=1\n'))
    assert found == {
        "H": ("fd://", UNIT),
        "default-runtime": ("nvidia", UNIT),
        "feature": ("cdi=true", DROP_IN),
    }


def test_a_drop_in_with_an_empty_exec_start_begins_anew() -> None:
    found = of_unit(
        (UNIT, "[Service]\nExecStart=/usr/bin/dockerd --default-runtime=nvidia\n"),
        (DROP_IN, "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --config-file /srv/daemon.json\n"),
    )
    assert found == {"config-file": ("/srv/daemon.json", DROP_IN)}


def test_variables_of_debians_unit_are_read_from_their_file() -> None:
    unit = (UNIT, "EnvironmentFile=-/etc/default/docker\nExecStart=/usr/sbin/dockerd $DOCKER_OPTS --mtu ${MTU}\n")
    text = "# options\nDOCKER_OPTS=\"--add-runtime 'nvidia=/usr/bin/n c r'\"\nexport MTU=1450\n"
    found = of_unit(unit, read={"/etc/default/docker": text})
    assert found == {"add-runtime": ("nvidia=/usr/bin/n c r", "/etc/default/docker"), "mtu": ("1450", UNIT)}


def test_options_of_a_service_script() -> None:
    found = flags.of_options("DOCKER_OPTS=\"--dns 8.8.8.8 --default-runtime=nvidia\"\nOPTIONS='-D'\n", "here")
    assert [(flag.name, flag.value) for flag in found] == [("dns", "8.8.8.8"), ("default-runtime", "nvidia"), ("D", "")]


def test_only_what_the_file_would_say_anew_is_a_duplicate() -> None:
    given = tuple(Flag(name, "x", "unit") for name in ("default-runtime", "add-runtime", "feature", "debug"))
    after: dict[str, object] = {"runtimes": {}, "default-runtime": "gpudock", "debug": True}
    assert [flag.name for flag in flags.duplicates(given, {"runtimes": {}}, after)] == ["default-runtime"]
    assert [flag.name for flag in flags.duplicates(given, {}, after)] == ["default-runtime", "add-runtime"]


def test_an_open_quote_loses_no_flag() -> None:
    assert flags.given(flags.of_options("DOCKER_OPTS=--label it's --debug\n", "x"), "debug") == Flag("debug", "", "x")
