from collections.abc import Mapping

import pytest

from gpudock.engine.containers import Container, Limits
from gpudock.env import mine, naming
from gpudock.errors import UsageError


def container(
    name: str = "seg", uid: int = 1000, folder: str = "/home/ada/seg", more: Mapping[str, str] | None = None
) -> Container:
    names = naming.names(name, uid=uid, folder=folder)
    labels = {"gpudock.env": name, "gpudock.owner.uid": str(uid), "gpudock.project": folder, **(more or {})}
    return Container(
        *("a" * 64, names.container, "img", "b" * 64, "running", 1, 0, "", "", labels, {}, "runc"),
        *((), False, False, "bridge", "", (), (), Limits()),
    )


def test_name_key_user_and_folder_have_to_agree() -> None:
    assert mine.belongs(container(), 1000)
    assert not mine.belongs(container(), 1001)
    assert not mine.belongs(container(more={"gpudock.owner.uid": "1001"}), 1001)  # a claim that its own name denies
    assert not mine.belongs(container(more={"gpudock.project": "/home/eve"}), 1000)
    assert not mine.belongs(container()._replace(name="gpudock-seg-00000000"), 1000)
    assert not mine.belongs(container()._replace(labels={}), 1000)


def test_by_name() -> None:
    both = [container(), container(folder="/other/seg")]
    assert mine.one("seg", both[:1]).name == both[0].name
    with pytest.raises(UsageError, match="several"):
        mine.one("seg", both)
    assert mine.one(both[1].name, both) == both[1]
    with pytest.raises(UsageError, match="no environment called"):
        mine.one("zoo", both)
