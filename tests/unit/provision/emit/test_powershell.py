"""The Windows side of WSL 2. `PYTHONPATH=tests python tests/unit/provision/emit/test_powershell.py` writes the golden file."""

import re
from pathlib import Path

import pytest

from gpudock.errors import UsageError
from gpudock.provision.emit import powershell, script
from unit.provision.emit import powershell_grammar
from unit.provision.install import plans

GOLDEN = plans.FOLDER / "wsl2.ps1"


def windows_side(text: str) -> str:
    return re.sub(r"(?s)(\$LinuxPlan = @'\n).*?(\n'@\n)", r"\1...\2", text)


def test_as_the_golden_file_has_it() -> None:
    assert windows_side(powershell.render(plans.named("wsl2", "plain"))) == GOLDEN.read_text()


@pytest.mark.parametrize("wish", plans.WISHES)
def test_powershell_could_read_it(wish: str) -> None:
    plan = plans.named("wsl2", wish)
    found = powershell_grammar.read(powershell.render(plan))
    assert found.variables <= found.assigned | powershell_grammar.AUTOMATIC
    assert found.commands <= found.functions | powershell_grammar.CMDLETS
    assert found.here_strings == [script.render(plan).rstrip("\n")]


@pytest.mark.parametrize("broken", ["if (1) {", "'open", ")", '"open', "@'\nnever\n '@\n", "[int]$a = (1]"])
def test_what_it_could_not_read_is_found(broken: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        powershell_grammar.read(broken)


def test_no_linux_driver_in_it_and_nothing_fetched_into_a_shell() -> None:
    text = powershell.render(plans.named("wsl2", "everything"))
    assert "nvidia-headless" not in text
    assert "nvidia-driver-" not in windows_side(text)
    assert not re.search(r"Invoke-Expression|\biex\b|Invoke-WebRequest|Set-ExecutionPolicy", text)


def test_only_for_wsl() -> None:
    with pytest.raises(UsageError, match="wsl2"):
        powershell.render(plans.named("debian-12", "plain"))


if __name__ == "__main__":
    Path(GOLDEN).write_text(windows_side(powershell.render(plans.named("wsl2", "plain"))))
