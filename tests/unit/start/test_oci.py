"""Reading, replacing and restoring config.json."""

import copy
import json
import os
from pathlib import Path

import pytest

from gpudock.errors import HostError, InputError
from gpudock.start import oci
from gpudock.start.changes import Changes
from unit.start.configs import Json, config


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config("NVIDIA_VISIBLE_DEVICES=0", vmState=[1, {"new": 2.5}])))
    return tmp_path


def edit(bundle: Path) -> None:
    edited = Changes(oci.read(f"{bundle}/config.json"))
    edited.add("devices", {"path": "/dev/nvidia0"})
    edited.replace("env", 1, "NVIDIA_VISIBLE_DEVICES=void")
    oci.write(f"{bundle}/config.json", edited, str(bundle))


def test_unknown_fields_are_kept(bundle: Path) -> None:
    edit(bundle)
    assert json.loads((bundle / "config.json").read_text())["vmState"] == [1, {"new": 2.5}]


def test_mode_and_content_are_replaced_whole(bundle: Path) -> None:
    path = bundle / "config.json"
    path.chmod(0o640)
    before = path.stat().st_ino
    with path.open() as reader:  # an engine that has it open sees the old one whole
        edit(bundle)
        json.loads(reader.read())
    assert (path.stat().st_mode & 0o777, path.stat().st_ino != before) == (0o640, True)
    mark = json.loads(path.read_text())["annotations"][oci.MARK]
    assert sorted(os.listdir(bundle)) == ["config.json", f"gpudock-{mark}.json"]


def test_an_edited_bundle_is_undone(bundle: Path) -> None:
    before = json.loads((bundle / "config.json").read_text())
    edit(bundle)
    again = oci.read(f"{bundle}/config.json")
    assert again != before
    assert oci.restore(again, str(bundle))
    assert again == before
    assert not oci.restore(again, str(bundle))


def test_other_annotations_stay(bundle: Path) -> None:
    document = config(annotations={"mine": "1"})
    (bundle / "config.json").write_text(json.dumps(document))
    edit_free = Changes(copy.deepcopy(document))
    edit_free.add("gids", 1)
    oci.write(f"{bundle}/config.json", edit_free, str(bundle))
    again = oci.read(f"{bundle}/config.json")
    assert oci.restore(again, str(bundle))
    assert again == document


@pytest.mark.parametrize("record", [None, "", "{", "[]", '{"made": [["mounts"]]}'])
def test_an_edit_that_cannot_be_taken_back_is_refused(bundle: Path, record: str | None) -> None:
    edit(bundle)
    document = oci.read(f"{bundle}/config.json")
    file = bundle / f"gpudock-{document['annotations'][oci.MARK]}.json"
    if record is None:
        file.unlink()
    else:
        file.write_text(record)
    with pytest.raises(InputError, match="GPUs of an earlier start that cannot be taken out"):
        oci.restore(document, str(bundle))


def test_a_record_of_a_start_that_was_killed_does_no_harm(bundle: Path) -> None:
    before = json.loads((bundle / "config.json").read_text())
    edit(bundle)
    (bundle / "gpudock-0123456789abcdef.json").write_text('{"made":[]}')
    again = oci.read(f"{bundle}/config.json")
    assert oci.restore(again, str(bundle))
    assert again == before
    somebodys = {"gpudock-notes.json", "gpudock-0123456789abcdef.json.txt", "gpudock-0123456789abcdeg.json"}
    for name in somebodys:
        (bundle / name).touch()
    oci.write(f"{bundle}/config.json", Changes(again), str(bundle))
    assert {*os.listdir(bundle)} == {"config.json", *somebodys}


@pytest.mark.parametrize("mark", ["../../etc/x", "", 5, "0123456789abcdeg"])
def test_an_annotation_names_no_other_file(bundle: Path, mark: Json) -> None:
    with pytest.raises(InputError, match="cannot be taken out"):
        oci.restore(config(annotations={oci.MARK: mark}), str(bundle))


def test_null_annotations(bundle: Path) -> None:
    edited = Changes(config(annotations=None))
    edited.add("gids", 1)
    oci.write(f"{bundle}/config.json", edited, str(bundle))
    assert oci.MARK in json.loads((bundle / "config.json").read_text())["annotations"]


def test_an_annotation_of_a_user_takes_nothing_away(bundle: Path) -> None:
    document: dict[str, Json] = config(annotations={oci.MARK: "0123456789abcdef"})
    with pytest.raises(InputError, match="gpudock's own"):
        oci.restore(document, str(bundle))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"a":1}x', "\xff"])
def test_broken(bundle: Path, text: str) -> None:
    (bundle / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"config\.json"):
        oci.read(f"{bundle}/config.json")


def test_missing_and_endless(bundle: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        oci.read(f"{bundle}/nothing")
    with (bundle / "config.json").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(InputError, match="longer than 16 MiB"):
        oci.read(f"{bundle}/config.json")


def test_what_cannot_be_written_leaves_the_old(bundle: Path) -> None:
    (bundle / "gone").mkdir()
    with pytest.raises(HostError, match="cannot be written"):
        oci.put(f"{bundle}/gone", b"x", 0o644, (0, 0))
    assert sorted(os.listdir(bundle)) == ["config.json", "gone"]


@pytest.mark.parametrize("root", [None, [], {}, {"path": ""}, {"path": 5}, {"path": "a\0b"}])
def test_no_rootfs(root: Json) -> None:
    with pytest.raises(InputError, match=r"root\.path"):
        oci.rootfs({"root": root}, "/b")


def test_the_rootfs_may_be_relative() -> None:
    assert oci.rootfs({"root": {"path": "rootfs"}}, "/b") == "/b/rootfs"
    assert oci.rootfs({"root": {"path": "/r"}}, "/b") == "/r"
