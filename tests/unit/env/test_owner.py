import os
from pathlib import Path

import pytest

from gpudock.env.owner import Owner, acting, owner

SUDO = {"SUDO_UID": "1000", "SUDO_GID": "1001"}


def test_root_is_believed_in_who_called_sudo() -> None:
    assert owner(SUDO, 0, 0)[:2] == (1000, 1001)
    assert owner({}, 0, 0)[:2] == (0, 0)
    assert owner({"SUDO_UID": "-1", "SUDO_GID": "x"}, 0, 0)[:2] == (0, 0)


def test_nobody_else_is() -> None:
    assert owner({"SUDO_UID": "0", "SUDO_GID": "0"}, 1234567, 8)[:2] == (1234567, 8)
    assert owner({}, 1234567, 8).name == "user1234567"


@pytest.mark.parametrize(("holder", "becomes"), [(4321, [4321, 0]), (0, [])])
def test_root_becomes_the_person_in_their_folders_and_not_in_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: int, becomes: list[int]
) -> None:
    became: list[int] = []
    monkeypatch.setattr("gpudock.env.owner._owner", lambda folder: holder if folder == str(tmp_path) else -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name, to in (("setgroups", list), ("setegid", int), ("seteuid", became.append)):
        monkeypatch.setattr(os, name, to)
    with acting(Owner(4321, 4321, "ada"), str(tmp_path)):
        assert became == becomes[:1]
    assert became == becomes
