"""daemon.json as people have it: configured, and undone."""

import json
from pathlib import Path

import pytest

from gpudock.engine.configure import daemon_json
from gpudock.engine.configure.daemon_json import Document
from gpudock.errors import InputError
from unit.engine.configure import shapes
from unit.engine.configure.shapes import PROGRAM, WISH


def read(path: Path) -> Document:
    return daemon_json.read(path.read_bytes(), "daemon.json")


@pytest.mark.parametrize("path", shapes.DAEMON, ids=shapes.name)
def test_every_other_setting_stays_and_undo_gives_the_same_bytes(path: Path) -> None:
    before = read(path)
    after = daemon_json.configured(before, WISH._replace(default=True, cdi=True), before)
    assert after.runtimes["gpudock"] == {"path": PROGRAM}
    assert after.default == "gpudock"
    assert after.features["cdi"] is True
    for key, value in before.value.items():
        kept = after.value[key]
        if key in {"runtimes", "features"}:
            assert {name: kept[name] for name in value if name != "cdi"} == {
                k: v for k, v in value.items() if k != "cdi"
            }
        elif key != "default-runtime":
            assert kept == value
    assert [key for key in after.value if key in before.value] == list(before.value)
    assert daemon_json.configured(after, WISH._replace(default=True, cdi=True), before).text == after.text
    assert daemon_json.undone(after, before).final.text.encode() == path.read_bytes()


@pytest.mark.parametrize("path", shapes.DAEMON, ids=shapes.name)
def test_undo_keeps_what_was_set_meanwhile(path: Path) -> None:
    before = read(path)
    after = daemon_json.configured(before, WISH._replace(default=True), before).put("debug", value=True)
    assert daemon_json.undone(after, before).final.value == {**before.value, "debug": True}


@pytest.mark.parametrize("path", shapes.DAEMON, ids=shapes.name)
def test_a_docker_on_its_way_back_always_knows_its_default(path: Path) -> None:
    before = read(path)
    after = daemon_json.configured(before, WISH._replace(default=True), before)
    live = daemon_json.undone(after, before).live
    assert [stage.default for stage in live] == [before.default or "runc"] * 2
    assert [list(stage.runtimes) for stage in live] == [[*before.runtimes, "gpudock"], list(before.runtimes)]
    assert "runtimes" in live[-1].value  # without the key, docker keeps what it has


def test_without_the_file_of_before_only_ours_is_taken_away() -> None:
    text = f'{{"runtimes": {{"gpudock": {{"path": "{PROGRAM}"}}}}, "default-runtime": "gpudock", "features": {{"cdi": true}}}}'
    now = daemon_json.read(text.encode(), "daemon.json")
    assert daemon_json.undone(now, None).final.value == {"features": {"cdi": True}}


def test_a_default_that_only_the_running_docker_has_is_replaced_first() -> None:
    now = daemon_json.configured(daemon_json.read(b'{"runtimes": {"other": {"path": "/o"}}}', "x"), WISH, None)
    live = daemon_json.undone(now, None, "gpudock").live
    assert [stage.default for stage in live] == ["runc", "runc"]
    assert daemon_json.undone(now, None, "gpudock").final.value == {"runtimes": {"other": {"path": "/o"}}}


def test_a_name_of_nvidias_is_taken_over_and_given_back() -> None:
    before = read(shapes.FOLDER / "daemon/swarm-resources.json")
    after = daemon_json.configured(before, WISH._replace(name="nvidia"), before)
    assert after.runtimes == {"nvidia": {"path": PROGRAM}}
    assert after.default == "nvidia"
    back = daemon_json.undone(after, before)
    assert back.final == before
    assert back.gone(after.our_names) == ()
    assert all(stage.default == "nvidia" for stage in back.live[1:])


def test_the_default_alone_can_be_taken_back() -> None:
    before = read(shapes.FOLDER / "daemon/kata-gvisor.json")
    after = daemon_json.configured(before, WISH._replace(default=True), before)
    assert daemon_json.configured(after, WISH._replace(default=False), before).default == "runc"
    assert daemon_json.configured(before, WISH._replace(default=False), before).default == "runc"


@pytest.mark.parametrize("default", ["io.containerd.kata.v2", "/opt/kata/bin/containerd-shim-kata-v2"])
def test_a_shim_that_was_the_default_comes_back_though_no_entry_names_it(default: str) -> None:
    before = daemon_json.read(b'{"default-runtime": "%s"}' % default.encode(), "daemon.json")
    after = daemon_json.configured(before, WISH._replace(default=True), before)
    assert daemon_json.undone(after, before).final == before
    assert daemon_json.configured(after, WISH._replace(default=False), before).default == default


def test_a_default_that_was_taken_out_meanwhile_does_not_come_back() -> None:
    before = daemon_json.read(b'{"default-runtime": "gone"}', "daemon.json")
    after = daemon_json.configured(before, WISH._replace(default=True), before)
    assert daemon_json.undone(after, before).final.default is None


@pytest.mark.parametrize(
    ("default", "running", "shims", "led_through"),
    [
        ("io.containerd.kata.v2", "gpudock", False, "runc"),
        ("io.containerd.kata.v2", "gpudock", True, "io.containerd.kata.v2"),
        ("io.containerd.kata.v2", "io.containerd.kata.v2", False, "io.containerd.kata.v2"),
        ("/opt/shim", "gpudock", True, "runc"),  # docker takes no path
        ("other", "gpudock", False, "other"),
    ],
)
def test_a_running_docker_is_not_led_to_a_shim_that_it_would_not_take(
    default: str, running: str, shims: bool, led_through: str
) -> None:
    text = f'{{"runtimes": {{"other": {{"path": "/o"}}}}, "default-runtime": "{default}"}}'
    document = daemon_json.read(text.encode(), "daemon.json")
    assert daemon_json.safe(document, running, shims=shims).default == led_through


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"runtimes": []}', "runtimes must be an object"),
        ('{"features": "cdi"}', "features must be an object"),
        ('{"default-runtime": 1}', "default-runtime must be a text"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        daemon_json.read(text.encode(), "daemon.json")


def test_null_is_as_if_it_were_not_there() -> None:
    now = daemon_json.read(b'{"runtimes": null, "features": null}', "daemon.json")
    after = daemon_json.configured(now, WISH._replace(cdi=True), now)
    assert json.loads(after.text) == {"runtimes": {"gpudock": {"path": PROGRAM}}, "features": {"cdi": True}}
