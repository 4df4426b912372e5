import pytest

from gpudock.env import commit
from gpudock.env.commit import Added, Packages
from gpudock.env.recipe_file import parse
from gpudock.errors import InputError

YAML = """\
# what we train with
name: seg   # short
python_packages:
  - numpy>=2      # not 1
  - tqdm
services: {jupyter: {}}
"""


def test_what_was_added_is_what_is_new_or_newer() -> None:
    before = Packages(commit.python_packages("numpy==2.0\ntqdm==1.0\n"), commit.system("git\n"))
    now = Packages(
        commit.python_packages("numpy==2.1\ntqdm==1.0\nCow_say==6\n# a line\n"), commit.system("git\nhtop\n")
    )
    assert commit.added(before, now) == Added(("cow-say==6", "numpy==2.1"), ("htop",))
    assert not commit.added(now, now)


def test_comments_and_order_stay() -> None:
    text = commit.write_back(YAML, Added(("cowsay==6", "numpy==2.1"), ("htop",)))
    assert text.startswith("# what we train with\nname: seg   # short\npython_packages:\n  - numpy==2.1")
    assert "# not 1" in text
    assert "  - tqdm\n  - cowsay==6\n" in text
    recipe = parse(text)
    assert recipe.system_packages == ("htop",)
    assert recipe.python_packages == ("numpy==2.1", "tqdm", "cowsay==6")
    assert "services: {jupyter: {}}" in text


def test_an_empty_file_becomes_one() -> None:
    assert parse(commit.write_back("", Added((), ("htop",)))).system_packages == ("htop",)


def test_a_broken_file_is_one_error() -> None:
    with pytest.raises(InputError, match="not YAML"):
        commit.write_back("a: [", Added(("x==1",), ()))


def test_dpkgs_and_pips_lines() -> None:
    assert commit.system("libc6:amd64 2.36-9\nhtop 3.2\nE: no\n") == {"libc6": "2.36-9", "htop": "3.2"}
    assert commit.python_packages("-e git+x\nfoo @ file:///x\nbar==1\n") == {"bar": "1"}


def test_what_a_container_says_in_one_go() -> None:
    text = "cowsay==6\n== manual\nhtop\n== installed\nhtop 3.2\nlibc6:amd64 2.36\n"
    assert commit.read(text) == Packages({"cowsay": "6"}, {"htop": "3.2"})
    assert commit.read("") == Packages({}, {})
