from hypothesis import given
from hypothesis import strategies as st

from gpudock.env import naming


def test_names_of_one_environment() -> None:
    found = naming.names("", uid=1000, folder="/home/ada/My Project_2")
    assert found.name == "my-project-2"
    assert len(found.key) == 8
    assert found.container == f"gpudock-my-project-2-{found.key}"
    assert found.image("0123456789abcdef" * 4) == f"gpudock/my-project-2-{found.key}:0123456789ab"


def test_users_and_folders_never_meet() -> None:
    keys = {naming.key(uid, folder) for uid in (0, 1000, 1001) for folder in ("/a", "/b", "/1:/a")}
    assert len(keys) == 9


def test_the_recipe_names_it() -> None:
    assert naming.names("Seg_Exp", uid=1, folder="/x").name == "seg-exp"
    assert naming.names("", uid=1, folder="/").name == "env"


@given(st.text())
def test_every_name_is_a_host_name(text: str) -> None:
    name = naming.cleaned(text)
    assert 1 <= len(name) <= 40
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert "--" not in name
    assert name.strip("-") == name
