"""containerd's config.toml in its three versions."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from gpudock.engine.configure import containerd_toml, toml_text
from gpudock.engine.configure.containerd_toml import Document
from gpudock.errors import RefusedError
from unit.engine.configure import shapes
from unit.engine.configure.shapes import PROGRAM, WISH

DUMPS = Path(__file__).parents[3] / "data/engines"
ONE, TWO = (tomllib.loads((DUMPS / f"containerd-{version}.toml").read_text()) for version in ("1.6.20", "2.1.9"))
PLACE = "/etc/containerd/conf.d/99-gpudock.toml"


def read(path: Path, major: int = 1) -> Document:
    return containerd_toml.read(path.read_bytes(), "/etc/containerd/config.toml", major)


def again(data: bytes, major: int = 1) -> Document:
    return containerd_toml.read(data, "/etc/containerd/config.toml", major)


@pytest.mark.parametrize("path", shapes.CONTAINERD, ids=shapes.name)
def test_containerd_1_is_edited_in_place_and_back_to_the_byte(path: Path) -> None:
    before = read(path)
    data = containerd_toml.configured(before, WISH._replace(default=True), ONE)
    after = again(data)
    assert after.our_names == ("gpudock",)
    assert toml_text.get(after.value, (*after.part, "default_runtime_name")) == "gpudock"
    for line in path.read_text().splitlines():
        assert line in data.decode().splitlines() or "default_runtime_name" in line
    # containerd 1 forgets its own runc when the file names any runtime
    assert after.runtimes.keys() > {"runc"} or "nvidia" in after.runtimes
    assert containerd_toml.configured(after, WISH._replace(default=True), ONE) == data
    assert containerd_toml.undone(after, before, PLACE) == path.read_bytes()


def test_the_new_runtime_has_the_options_of_the_default_one() -> None:
    after = again(containerd_toml.configured(read(shapes.CONTAINERD[0]), WISH, ONE))
    assert after.runtimes["gpudock"] == {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"SystemdCgroup": True, "BinaryName": PROGRAM},
    }
    nvidia = again(containerd_toml.configured(read(shapes.CONTAINERD[1]), WISH, ONE))
    assert nvidia.runtimes["gpudock"]["options"] == {"SystemdCgroup": True, "BinaryName": PROGRAM}


def test_containerd_2_gets_a_file_of_our_own() -> None:
    before = read(shapes.FOLDER / "containerd/small-3.toml", 2)
    wish = WISH._replace(default=True)
    mine = containerd_toml.drop_in_file(before, wish, TWO, {})
    value = tomllib.loads(mine.decode())
    assert value["version"] == 3
    part = value["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]
    assert part["default_runtime_name"] == "gpudock"
    assert part["runtimes"]["gpudock"]["options"] == {"SystemdCgroup": True, "BinaryName": PROGRAM}
    data = containerd_toml.imported(before, PLACE)
    assert again(data, 2).value == {**before.value, "imports": [PLACE]}
    assert b"# root only" in data
    assert containerd_toml.imported(again(data, 2), PLACE) == data
    assert containerd_toml.undone(again(data, 2), before, PLACE) == before.data


def test_our_own_file_keeps_what_is_not_asked_about() -> None:
    now = read(shapes.FOLDER / "containerd/small-3.toml", 2)
    mine = containerd_toml.drop_in_file(now, WISH._replace(default=True, cdi=True), TWO, {})
    second = containerd_toml.drop_in_file(now, WISH._replace(name="nvidia"), TWO, tomllib.loads(mine.decode()))
    plugin = tomllib.loads(second.decode())["plugins"]["io.containerd.cri.v1.runtime"]
    assert plugin["enable_cdi"] is True
    assert plugin["containerd"]["default_runtime_name"] == "gpudock"
    assert list(plugin["containerd"]["runtimes"]) == ["gpudock", "nvidia"]
    third = containerd_toml.drop_in_file(now, WISH._replace(default=False), TWO, tomllib.loads(second.decode()))
    assert b"default_runtime_name" not in third


def test_an_import_that_finds_it_already_is_enough() -> None:
    text = b'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n'
    assert containerd_toml.imported(again(text, 2), PLACE) == text
    relative = b'version = 3\nimports = ["conf.d/*.toml"]\n'
    assert containerd_toml.imported(again(relative, 2), PLACE) == relative


def test_cdi_is_switched_on_where_containerd_knows_it() -> None:
    off: dict[str, Any] = {"plugins": {"io.containerd.grpc.v1.cri": {"enable_cdi": False}}}
    path = shapes.CONTAINERD[0]
    for effective, wish, on in ((ONE, None, None), (off, None, True), (off, False, None), (ONE, True, True)):
        after = again(containerd_toml.configured(read(path), WISH._replace(cdi=wish), effective))
        assert toml_text.get(after.value, (*after.plugin, "enable_cdi")) is on


@pytest.mark.parametrize(
    ("text", "major", "what"),
    [
        ('disabled_plugins = ["cri"]\n', 1, "disabled_plugins names cri"),
        ("[plugins.cri]\n", 2, "is of version 1"),
        ("version = 3\n", 1, "is of version 3"),
        ("version = 9\n", 2, "is of version 9"),
    ],
)
def test_a_file_in_which_it_would_be_lost_is_refused(text: str, major: int, what: str) -> None:
    with pytest.raises(RefusedError, match=what):
        again(text.encode(), major)


def test_dockers_containerd_is_told_from_kubernetes() -> None:
    with pytest.raises(RefusedError) as told:
        read(shapes.FOLDER / "containerd/of-docker.toml")
    assert "gpudock configure docker" in told.value.mend


def test_what_containerd_makes_of_it_is_judged() -> None:
    def dump(default: str, **programs: str) -> dict[str, Any]:
        runtimes = {name: {"options": {"BinaryName": path}} for name, path in programs.items()}
        part = {"default_runtime_name": default, "runtimes": runtimes}
        # a dump of containerd 2 has the old name too, for what is left of it
        return {
            "plugins": {"io.containerd.grpc.v1.cri": {"x": 1}, "io.containerd.cri.v1.runtime": {"containerd": part}}
        }

    before = dump("runc", runc="")
    assert containerd_toml.wrong(before, dump("runc", runc="", gpudock=PROGRAM), WISH) == ""
    assert "no runtime gpudock" in containerd_toml.wrong(before, before, WISH)
    assert "runc would be lost" in containerd_toml.wrong(before, dump("runc", gpudock=PROGRAM), WISH)
    wanted = WISH._replace(default=True)
    assert "default runtime is runc" in containerd_toml.wrong(before, dump("runc", runc="", gpudock=PROGRAM), wanted)
