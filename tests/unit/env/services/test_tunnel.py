import pytest

from gpudock.env.services import tunnel


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ("203.0.113.9 50022 192.0.2.7 22", "ssh -N -L 8888:127.0.0.1:8888 ada@192.0.2.7"),
        ("203.0.113.9 50022 192.0.2.7 2222", "ssh -N -L 8888:127.0.0.1:8888 -p 2222 ada@192.0.2.7"),
        ("fe80::1%eth0 5 fe80::2%eth0 22", "ssh -N -L 8888:127.0.0.1:8888 ada@fe80::2"),
        ("", ""),
        ("a b c d", ""),
        ("1.2.3.4 1 $(reboot) 22", ""),
    ],
)
def test_over_ssh_the_tunnel_is_told(connection: str, expected: str) -> None:
    assert tunnel.command([8888], {"SSH_CONNECTION": connection}, "ada") == expected


def test_an_engine_elsewhere_is_reached_from_here() -> None:
    assert tunnel.command([8888, 6006], {}, "ada", "ssh://bob@lab:2222") == (
        "ssh -N -L 8888:127.0.0.1:8888 -L 6006:127.0.0.1:6006 -p 2222 bob@lab"
    )
    assert tunnel.command([8888], {}, "ada", "ssh://lab") == "ssh -N -L 8888:127.0.0.1:8888 lab"
    assert not tunnel.command([], {"SSH_CONNECTION": "1.1.1.1 1 2.2.2.2 22"}, "ada")
