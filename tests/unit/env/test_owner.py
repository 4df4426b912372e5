from gpudock.env.owner import owner

SUDO = {"SUDO_UID": "1000", "SUDO_GID": "1001"}


def test_root_is_believed_in_who_called_sudo() -> None:
    assert owner(SUDO, 0, 0)[:2] == (1000, 1001)
    assert owner({}, 0, 0)[:2] == (0, 0)
    assert owner({"SUDO_UID": "-1", "SUDO_GID": "x"}, 0, 0)[:2] == (0, 0)


def test_nobody_else_is() -> None:
    assert owner({"SUDO_UID": "0", "SUDO_GID": "0"}, 1234567, 8)[:2] == (1234567, 8)
    assert owner({}, 1234567, 8).name == "user1234567"
