from typing import Any

import pytest

from gpudock.engine import flags
from gpudock.env import create, naming
from gpudock.env.create import Start, Who
from gpudock.env.devices import Devices
from gpudock.env.given import Given, over
from gpudock.env.owner import Owner
from gpudock.env.recipe_file import parse
from gpudock.env.services import table
from gpudock.errors import UsageError

FOLDER = "/home/ada/seg"
NOTHING = Given()


def start(text: str, given: Given = NOTHING, **more: Any) -> Start:
    recipe = over(parse(text), given)
    served = tuple((each, each.wished) for each in table.services(recipe, root=False))
    names = naming.names(recipe.name, uid=1000, folder=FOLDER)
    made = Start(
        names, FOLDER, FOLDER, Owner(1000, 1000, "ada"), "f" * 64, "img", recipe, served, Who(1000, 1000, "ada")
    )
    return made._replace(home="/home/ada", **more)


def values(words: tuple[str, ...], name: str) -> list[str]:
    return [*flags.scan(words, "create").values.get(name, ())]


def test_engines_understand_it_and_the_labels_say_whose_it_is() -> None:
    words = create.words(start("services: {jupyter: {}}"), ("/bin/sh", "-c", "x"))
    read = flags.scan(words, "create")
    assert (read.image, read.rest[2:]) == ("img", ("/bin/sh", "-c", "x"))
    assert read.values["hostname"] == ("seg",)
    labels = dict(each.split("=", 1) for each in read.values["label"])
    assert labels["gpudock.owner.uid"] == "1000"
    assert labels["gpudock.project"] == FOLDER
    assert labels["gpudock.lock"] == "f" * 64
    assert '"host_port":8888' in labels["gpudock.services"]
    assert read.values["p"] == ("127.0.0.1:8888:8888",)
    assert read.values["v"] == (f"{FOLDER}:/workspace",)
    assert "GPUDOCK_UID=1000" in read.values["env"]


def test_limits_are_dockers_words() -> None:
    text = "resources: {memory: 32g, memory_swap: -1, cpus: 1.5, cpuset: '0-3', shm_size: 1g, pids: 100}"
    words = create.words(start(text), ())
    for flag, value in {
        "memory": "32g",
        "memory-swap": "-1",
        "cpus": "1.5",
        "cpuset-cpus": "0-3",
        "shm-size": "1g",
        "pids-limit": "100",
    }.items():
        assert values(words, flag) == [value]


def test_a_command_line_wins_over_the_file() -> None:
    given = Given(gpus="device=0,2", memory="2g", memory_swap="-1", volume=("/d:/d:ro",), env=("A=1", "B"))
    found = start("gpus: 1\nresources: {memory: 1g, cpus: 2}\nenv: {A: '0'}", given)
    words = create.words(found, ())
    assert (values(words, "memory"), values(words, "cpus")) == (["2g"], ["2"])
    assert found.recipe.gpus == "device=0,2"
    assert values(words, "v") == [f"{FOLDER}:/workspace", "/d:/d:ro"]
    assert values(words, "env")[-2:] == ["A=1", "B"]
    with pytest.raises(UsageError, match="lots"):
        start("", Given(memory="lots"))


def test_volumes_are_from_the_projects_folder() -> None:
    words = create.words(start("volumes: ['./data:/data:ro', '../up:/up', '~/x:/x', 'named:/n', '/a:/a']"), ())
    assert values(words, "v")[1:] == [
        f"{FOLDER}/data:/data:ro",
        "/home/ada/up:/up",
        "/home/ada/x:/x",
        "named:/n",
        "/a:/a",
    ]
    own = create.words(start("volumes: ['.:/workspace']"), ())
    assert values(own, "v") == [f"{FOLDER}:/workspace"]


def test_groups_of_devices_are_told_to_the_entry() -> None:
    words = create.words(start("", devices=Devices(("--device", "/dev/video0"), (44, 46))), ())
    assert values(words, "device") == ["/dev/video0"]
    assert "GPUDOCK_GROUPS=44,46" in values(words, "env")


def test_health_as_compose_writes_it() -> None:
    words = create.words(start("healthcheck: {test: [CMD, curl, 'a b']}"), ())
    assert values(words, "health-cmd") == ["curl 'a b'"]
    assert "--no-healthcheck" in create.words(start("healthcheck: {test: [NONE]}"), ())


def test_one_command_has_no_name_no_services_and_is_removed() -> None:
    words = create.once(start("services: {jupyter: {}}\ngpus: 1"), ("-i",), ("python", "a.py"))
    read = flags.scan(words, "run")
    assert read.rest == ("--", "img", "python", "a.py")
    assert "name" not in read.values
    assert "p" not in read.values
    assert "--rm" in words


@pytest.mark.parametrize(
    ("given", "said", "mend"),
    [
        (Given(cpus="x"), "--cpus x", "4 or 1.5"),
        (Given(memory="lots"), "--memory lots", "32g"),
        (Given(memory_swap="-2"), "--memory-swap -2", "or -1"),
        (Given(cpuset_cpus="0:3"), "--cpuset-cpus 0:3", "0-3,8"),
        (Given(shm_size="g"), "--shm-size g", "32g"),
        (Given(pids_limit="1.5"), "--pids-limit 1.5", "a number"),
    ],
)
def test_a_limit_that_is_none_is_named_with_what_would_be_one(given: Given, said: str, mend: str) -> None:
    with pytest.raises(UsageError) as raised:
        over(parse("resources: {memory: 1g}"), given)
    assert raised.value.what == f"{said} cannot be understood."
    assert mend in raised.value.mend
