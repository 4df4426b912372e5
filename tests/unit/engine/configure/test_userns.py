"""What userns-remap needs of the accounts."""

import pytest

from gpudock.engine.configure import userns
from gpudock.errors import RefusedError

PASSWD = "root:x:0:0::/root:/bin/sh\ndockremap:x:99:98::/:/bin/false\nalice:x:1000:1000::/home/alice:/bin/sh\n"
GROUP = "root:x:0:\ndockremap:x:98:\nalice:x:1000:\n"
GOOD = "alice:100000:65536\ndockremap:165536:65536\n"


def accounts(subuid: str = GOOD, subgid: str = GOOD, passwd: str = PASSWD) -> userns.Accounts:
    return userns.Accounts(passwd, GROUP, subuid, subgid)


@pytest.mark.parametrize("wanted", ["default", "alice", "alice:dockremap", "1000:1000"])
def test_enough_ids(wanted: str) -> None:
    by_number = GOOD + "1000:300000:65536\n"
    assert userns.check(wanted, accounts(by_number, by_number), "15000") == []


def test_docker_makes_its_own_user() -> None:
    assert userns.check("default", accounts("", "", "root:x:0:0::/root:/bin/sh\n"), None) == []


def test_the_command_that_gives_ids_takes_none_of_others() -> None:
    with pytest.raises(RefusedError) as told:
        userns.check("dockremap", accounts(subgid="alice:100000:65536\nbob:400000:1000\n"), None)
    assert told.value.why == "/etc/subgid has no line for dockremap; containers use 65536"
    assert told.value.mend.startswith("sudo usermod --add-subgids 401000-466535 dockremap")


def test_too_few_ids() -> None:
    with pytest.raises(RefusedError) as told:
        userns.check("alice", accounts(subuid="alice:100000:1000\nbroken\nalice:x:1\n"), None)
    assert told.value.why == "/etc/subuid has 1000 ids for alice; containers use 65536"


def test_shared_ids_are_said() -> None:
    shared = "alice:100000:65536\nbob:165000:65536\n"
    notes = userns.check("alice", accounts(shared, GOOD), None)
    assert notes == ["/etc/subuid: the ids of alice are also those of bob"]


def test_unknown_users_and_kernels_without_namespaces() -> None:
    with pytest.raises(RefusedError, match="There is no user carol"):
        userns.check("carol", accounts(), None)
    with pytest.raises(RefusedError, match="There is no group wheel"):
        userns.check("alice:wheel", accounts(), None)
    with pytest.raises(RefusedError, match="allows no user namespaces"):
        userns.check("alice", accounts(), "0\n")
