"""Who may have the plan made anew. That refresh is really run: tests/real."""

import os
from pathlib import Path

from gpudock.start import renew, settings
from gpudock.start.settings import Settings


def test_only_the_machines_root_refreshes_and_only_with_a_program(tmp_path: Path) -> None:
    values = {name: getattr(settings.DEFAULT, name) for name in Settings.__slots__}
    assert not renew.may_refresh(settings.DEFAULT)
    assert not renew.may_refresh(Settings(**{**values, "refresh": (str(tmp_path / "nothing"),)}))
    mapped = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    assert renew.may_refresh(Settings(**{**values, "refresh": ("/bin/sh",)})) == (os.geteuid() == 0 and mapped)
