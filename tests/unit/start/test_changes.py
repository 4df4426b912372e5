"""Changes of config.json, and taking them back."""

import copy
import json

import pytest

from gpudock.errors import InputError
from gpudock.start import changes
from gpudock.start.changes import Changes
from unit.start.configs import Json, config, nvidia_hook


def change(edited: Changes) -> None:
    edited.add("devices", {"path": "/dev/nvidia0"})
    edited.add("rules", {"allow": True})
    edited.add("mounts", {"destination": "/first"}, before=0)
    edited.add("gids", 44)
    edited.replace("env", 1, "NVIDIA_VISIBLE_DEVICES=void")
    edited.remove("env", 0)


def test_undo_gives_back_what_was() -> None:
    before = config("NVIDIA_VISIBLE_DEVICES=0", hooks={"prestart": [nvidia_hook()], "poststop": [{"path": "/x"}]})
    edited = Changes(copy.deepcopy(before))
    change(edited)
    edited.remove("prestart", 0)
    assert edited.config != before
    assert "prestart" not in edited.config["hooks"]
    changes.undo(edited.config, json.loads(json.dumps(edited.made)))
    assert edited.config == before


def test_undo_leaves_what_others_changed_meanwhile() -> None:
    edited = Changes(config("NVIDIA_VISIBLE_DEVICES=0", "OTHER=1"))
    change(edited)
    edited.config["process"]["env"].insert(0, "NEW=1")
    edited.config["mounts"].append({"destination": "/mine"})
    edited.config["linux"]["devices"].insert(0, {"path": "/dev/mine"})
    changes.undo(edited.config, edited.made)
    assert edited.config["mounts"] == [*config()["mounts"], {"destination": "/mine"}]
    assert edited.config["linux"]["devices"] == [{"path": "/dev/mine"}]
    assert set(edited.config["process"]["env"]) == {
        *("NEW=1", "OTHER=1", "PATH=/usr/bin:/bin", "NVIDIA_VISIBLE_DEVICES=0")
    }


def test_what_is_gone_already_stays_gone() -> None:
    edited = Changes(config())
    edited.add("devices", {"path": "/dev/nvidia0"})
    del edited.config["linux"]["devices"]
    changes.undo(edited.config, edited.made)
    assert edited.config == config()


def test_a_change_to_the_same_is_none() -> None:
    edited = Changes(config("A=1"))
    edited.replace("env", 1, "A=1")
    assert edited.made == []


@pytest.mark.parametrize(
    ("section", "broken"),
    [
        ("mounts", {"mounts": "none"}),
        ("devices", {"linux": []}),
        ("devices", {"linux": {"devices": {}}}),
        ("prestart", {"hooks": "x"}),
    ],
)
def test_a_section_of_another_type_is_refused(section: str, broken: dict[str, Json]) -> None:
    edited = Changes({**config(), **broken})
    with pytest.raises(InputError, match=r"config\.json is not usable"):
        edited.add(section, {})


def test_null_is_as_good_as_missing() -> None:
    edited = Changes({**config(), "hooks": None, "mounts": None})
    assert edited.items("prestart") == []
    edited.add("mounts", {"destination": "/a"})
    assert edited.config["mounts"] == [{"destination": "/a"}]
