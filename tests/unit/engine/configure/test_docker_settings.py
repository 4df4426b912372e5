"""Settings of docker besides the runtime: what is written, what is refused, what is known of it later."""

import json
from typing import Any

import pytest

from gpudock.engine.configure import docker_confirm, docker_settings, set_record
from gpudock.engine.configure.daemon_json import Document, read
from gpudock.engine.configure.dockerd import Info
from gpudock.engine.configure.wish import Settings
from gpudock.errors import InputError, RefusedError, UsageError

EVERYTHING = Settings(
    mirrors=("https://mirror.example", "http://10.0.0.1:5000"),
    userns="default",
    data_root="/srv/docker",
    log_size="64m",
    log_files=3,
    live_restore=True,
    shm_size="16g",
    ulimits=("memlock=unlimited", "nofile=1024:65536"),
    node=("gpu=GPU-1", "gpu=GPU-2"),
)


def document(**value: Any) -> Document:
    return read(json.dumps(value).encode(), "daemon.json")


def test_every_setting_as_docker_spells_it() -> None:
    after = docker_settings.applied(document(debug=True), docker_settings.check(EVERYTHING))
    assert after.value == {
        "debug": True,
        "registry-mirrors": ["https://mirror.example", "http://10.0.0.1:5000"],
        "userns-remap": "default",
        "data-root": "/srv/docker",
        "live-restore": True,
        "default-shm-size": "16g",
        "log-opts": {"max-size": "64m", "max-file": "3"},
        "default-ulimits": {
            "memlock": {"Name": "memlock", "Soft": -1, "Hard": -1},
            "nofile": {"Name": "nofile", "Soft": 1024, "Hard": 65536},
        },
        "node-generic-resources": ["gpu=GPU-1", "gpu=GPU-2"],
    }
    assert docker_settings.applied(after, EVERYTHING).text == after.text


def test_what_is_there_stays() -> None:
    now = document(
        **{
            "registry-mirrors": ["https://own.example/"],
            "log-opts": {"labels": "a"},
            "node-generic-resources": ["gpu=OLD", "fpga=1"],
        }
    )
    wanted = Settings(mirrors=("https://own.example", "https://new.example"), log_size="1g", node=("gpu=NEW",))
    after = docker_settings.applied(now, wanted).value
    assert after["registry-mirrors"] == ["https://own.example/", "https://new.example"]
    assert after["log-opts"] == {"labels": "a", "max-size": "1g"}
    assert after["node-generic-resources"] == ["fpga=1", "gpu=NEW"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Settings(mirrors=("mirror.example",)), "no address"),
        (Settings(mirrors=("ftp://mirror.example",)), "no address"),
        (Settings(mirrors=("https://mirror.example:x",)), "no address"),
        (Settings(mirrors=("https://user:secret@mirror.example",)), "scheme, host and port only"),
        (Settings(mirrors=("https://mirror.example/path",)), "scheme, host and port only"),
        (Settings(log_size="big"), "--log-max-size big is no size"),
        (Settings(log_size="0m"), "is no size"),
        (Settings(shm_size="-1"), "--default-shm-size -1 is no size"),
        (Settings(log_files=0), "at least 1"),
        (Settings(data_root="docker"), "absolute path"),
        (Settings(data_root="//"), "absolute path"),
        (Settings(ulimits=("open=1",)), "is no limit"),
        (Settings(ulimits=("nofile=2:1",)), "is no limit"),
        (Settings(ulimits=("nofile=unlimited:1",)), "is no limit"),
        (Settings(node=("gpu",)), "no resource of a node"),
    ],
)
def test_what_docker_would_refuse_is_refused_before(wanted: Settings, said: str) -> None:
    with pytest.raises(UsageError) as told:
        docker_settings.check(wanted)
    assert said in told.value.what


@pytest.mark.parametrize(
    "value", [{"registry-mirrors": "https://a"}, {"log-opts": []}, {"node-generic-resources": [1]}]
)
def test_a_file_of_another_shape_is_not_touched(value: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        docker_settings.applied(document(**value), EVERYTHING)


def test_logs_that_docker_does_not_keep_are_not_rotated() -> None:
    with pytest.raises(RefusedError, match="does not rotate"):
        docker_settings.applied(document(**{"log-driver": "journald"}), Settings(log_size="1m"))
    with pytest.raises(UsageError, match="needs --log-max-size"):
        docker_settings.applied(document(), Settings(log_files=3))


def test_what_should_be_known_is_said() -> None:
    now = document()
    after = docker_settings.applied(now, EVERYTHING)
    notes = docker_settings.notes(now, after, EVERYTHING, listens=False)
    assert [note.split(":")[0].split(",")[0] for note in notes] == [
        "a mirror without TLS",
        "log-opts",
        "a service that asks for such a resource is told in a variable which one it got; for the runtime to\n  listen to it",
    ]
    assert len(docker_settings.notes(now, after, EVERYTHING, listens=True)) == 2


def test_docker_confirms_what_it_tells() -> None:
    value = docker_settings.applied(document(), EVERYTHING).value
    goal = docker_confirm.told(value, docker_settings.KEYS)
    info = Info(
        live_restore_enabled=True,
        docker_root_dir="/srv/docker/100000.100000",
        registry_config={"Mirrors": ["https://mirror.example/", "http://10.0.0.1:5000/"]},
        security_options=["name=seccomp", "name=userns"],
        generic_resources=[{"NamedResourceSpec": {"Kind": "gpu", "Value": f"GPU-{n}"}} for n in (1, 2)],
    )
    assert docker_confirm.unmet(goal, info) == ""
    info.security_options = None
    assert docker_confirm.unmet(goal, info) == "docker info does not confirm userns-remap"
    assert docker_confirm.reloaded(goal).keys() == {"registry-mirrors", "live-restore"}
    for key in goal:
        assert docker_confirm.unmet({key: goal[key]}, Info()) == f"docker info does not confirm {key}"


def test_the_record_brings_back_what_stood_there_first() -> None:
    start = document(**{"live-restore": False, "log-opts": {"max-size": "1m"}})
    once = docker_settings.applied(start, Settings(log_size="2m", live_restore=True))
    record = set_record.read(set_record.noted({}, start, once), "record")
    twice = docker_settings.applied(once, Settings(log_size="3m", shm_size="1g"))
    record = set_record.read(set_record.noted(record, once, twice), "record")
    assert set_record.restored(twice, record) == (start, ())


def test_what_somebody_changed_since_is_left_alone() -> None:
    start = document()
    after = docker_settings.applied(start, Settings(log_size="2m", shm_size="1g"))
    record = set_record.read(set_record.noted({}, start, after), "record")
    by_hand = after.put("default-shm-size", value="2g")
    restored, left = set_record.restored(by_hand, record)
    assert (restored.value, left) == ({"default-shm-size": "2g"}, ("default-shm-size",))
    gone, left = set_record.restored(after.drop("default-shm-size"), record)
    assert (gone.value, left) == ({}, ())


@pytest.mark.parametrize("text", ["[]", '{"debug": {"set": 1}}', '{"log-opts": 1}', "{"])
def test_a_record_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        set_record.read(text.encode(), "record")
