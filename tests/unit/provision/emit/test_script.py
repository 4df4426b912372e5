"""Emitted scripts: as the golden files have them, and of what a careful administrator accepts.

`python tests/unit/provision/emit/test_script.py` writes the golden files anew.
"""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from gpudock.provision.emit import script
from unit.provision.install import plans

START, END = "# ---- the steps ----", "# ---- doing it ----"


def steps(text: str) -> str:
    """What differs between plans: the head, and the steps."""
    head = text[: text.index("# ---- what the steps use ----")]
    return head + text[text.index(START) : text.index(END)]


def golden(system: str, wish: str) -> Path:
    return plans.FOLDER / f"{system}-{wish}.sh"


@pytest.mark.parametrize(("system", "wish"), plans.NAMES)
def test_as_the_golden_file_has_it(system: str, wish: str) -> None:
    assert steps(script.render(plans.named(system, wish))) == golden(system, wish).read_text()


def test_no_golden_file_is_forgotten() -> None:
    there = {path.name for path in plans.FOLDER.glob("*.sh")}
    assert there == {golden(*each).name for each in plans.NAMES}


@pytest.fixture(params=plans.NAMES, ids="-".join)
def text(request: pytest.FixtureRequest) -> str:
    return script.render(plans.named(*request.param))


def test_what_an_administrator_looks_for(text: str) -> None:
    assert text.startswith("#!/bin/sh\n# Made by gpudock ")
    assert "\nset -eu\n" in text
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert "apt-key" not in code
    assert not re.search(r"curl[^\n|]*\|\s*(?:sudo\s+)?(?:ba)?sh\b", code.replace(plans.EVERYTHING.then, ""))
    assert "trusted=yes" not in code
    for line in code.splitlines():  # root never imports from the folder that somebody happened to be in
        assert " -m " not in line.replace(plans.EVERYTHING.then, "") or " -I -m " in line
    assert "--allow-unauthenticated" not in code
    assert "--force-yes" not in code
    for source in re.findall(r"URIs: \S+", code):
        assert source.startswith("URIs: https://")
    for line in code.splitlines():
        if line.startswith("deb "):
            assert "signed-by=" in line


def test_each_step_checks_applies_and_undoes_itself(text: str) -> None:
    found = re.search(r'^STEPS="(.*)"$', text, re.MULTILINE)
    assert found
    for name in found[1].split():
        for verb in ("check", "apply", "undo"):
            assert text.count(f"\n{verb}_{name}() {{\n") == 1
        assert re.search(rf"^    {name}\) printf", text, re.MULTILINE)


def test_user_words_stay_words() -> None:
    text = script.render(plans.named("debian-12", "everything"))
    assert """sh -c 'curl -fsS https://join.example/?token='"'"'a b'"'"' && echo "it'"'"'s done"'""" in text
    assert "/bin/python -I -m pip install --disable-pip-version-check 'gpudock[web]==1.0'" in text
    assert "'/srv/my debs'/*.deb" in script.render(plans.named("debian-12", "debs"))


def test_unverified_stands_in_the_head() -> None:
    assert "# UNVERIFIED: docker from docker.com" in script.render(plans.named("debian-13", "docker-com"))


def write() -> None:
    plans.FOLDER.mkdir(exist_ok=True)
    for each in plans.NAMES:
        found = plans.named(*each)
        golden(*each).write_text(steps(script.render(found)))


if __name__ == "__main__":
    write()
