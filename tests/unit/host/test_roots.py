"""Which folders the facts come from."""

from pathlib import Path

import pytest

from gpudock.errors import HostError, UsageError
from gpudock.facts.snapshot import Roots
from gpudock.host.roots import roots_for


def test_the_machine_itself() -> None:
    assert roots_for(None, None, None) == Roots()


def test_driver_root_is_the_dev_root_unless_another_is_given(tmp_path: Path) -> None:
    driver = str(tmp_path)
    assert roots_for(driver + "/", None, None) == Roots(driver=driver, dev=driver)
    assert roots_for(driver, "/", None) == Roots(driver=driver, dev="/")


@pytest.mark.parametrize("as_driver_root", [True, False])
def test_a_simulated_host_brings_its_own_proc(tmp_path: Path, as_driver_root: bool) -> None:
    folder = str(tmp_path)
    (tmp_path / "simulated.json").write_text("{}")
    wanted = Roots(driver=folder, dev=folder, proc=folder + "/proc", sys=folder + "/sys", simulated=True)
    assert (roots_for(folder, None, None) if as_driver_root else roots_for(None, None, folder)) == wanted


def test_folders_that_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="is not a simulated host"):
        roots_for(None, None, str(tmp_path))
    with pytest.raises(HostError, match="is not a folder"):
        roots_for(str(tmp_path / "none"), None, None)
    for name in (".", "none"):  # somebody who tries simulated GPUs is told how to make them
        with pytest.raises(HostError) as caught:
            roots_for(None, None, str(tmp_path / name))
        assert "gpudock simulate make " in caught.value.mend
    with pytest.raises(UsageError):
        roots_for("/", None, str(tmp_path))
