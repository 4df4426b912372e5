"""Images of environments: labels are claims, and what a container has is not removed."""

import json

import pytest

from gpudock.engine import labels
from gpudock.env.image import store
from gpudock.errors import RefusedError, UsageError
from gpudock.proc import Result
from unit.env.sessions import session

MINE, THEIRS = "a" * 64, "b" * 64


def image(identity: str, uid: int, name: str) -> str:
    told = {labels.ENV: "seg", labels.OWNER: f"user{uid}", labels.OWNER_UID: str(uid), labels.PROJECT: "/p"}
    return json.dumps([{"Id": identity, "Size": 5, "RepoTags": [name], "Config": {"Labels": told}}])


def answers(container_of: str = "") -> dict[tuple[str, ...], Result | str]:
    inspected = json.dumps([{"Id": "c" * 64, "Name": "box", "Image": container_of}])
    return {
        ("podman", "images"): f"sha256:{MINE}\nsha256:{THEIRS}\n",
        ("podman", "ps"): "c\n" if container_of else "",
        ("podman", "container"): inspected,
        ("podman", "image", "inspect", "--", MINE): image(MINE, 1000, "localhost/gpudock/seg-1:x"),
        ("podman", "image", "inspect", "--", THEIRS): image(THEIRS, 1001, "localhost/gpudock/seg-2:y"),
        ("podman", "image", "rm"): "",
    }


def test_only_ones_own_unless_all_are_asked_for() -> None:
    assert [each.id for each in store.stored(session(answers()))] == [MINE]
    assert [each.uid for each in store.stored(session(answers()), everybody=True)] == ["1000", "1001"]
    assert store.stored(session(answers(MINE)))[0].used == ("box",)


@pytest.mark.parametrize("name", ["seg", "gpudock/seg-1:x", "localhost/gpudock/seg-1:x", "aaaaaaa"])
def test_it_is_removed_by_name_without_force(name: str) -> None:
    asked = session(answers())
    assert store.remove(asked, name).id == MINE
    assert asked.run.asked[-1].argv == ("podman", "image", "rm", "localhost/gpudock/seg-1:x")  # type: ignore[attr-defined]


def test_what_must_stay() -> None:
    with pytest.raises(RefusedError, match=r"in use.*box"):
        store.remove(session(answers(MINE)), "seg")
    with pytest.raises(UsageError, match="user1001's"):
        store.remove(session(answers()), "gpudock/seg-2:y")
    with pytest.raises(UsageError, match="stands for 2"):
        store.remove(session(answers()), "seg", everybody=True)
    with pytest.raises(UsageError, match="gpudock env images"):
        store.remove(session(answers()), "aaa")
