"""What `gpudock compose` writes to standard output."""

import pytest

from gpudock.cli import compose
from gpudock.compat.compose.session import Start
from gpudock.compat.compose.words import scan

TEXT = "services: {a: {image: 'x\u00a0\u200by'}}  # caf\u00e9\n"


@pytest.mark.parametrize(("terminal", "shown"), [(False, TEXT), (True, TEXT.replace("\u00a0\u200b", "\\xa0\\u200b"))])
def test_a_made_file_is_changed_for_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], terminal: bool, shown: str
) -> None:
    from gpudock.compat.compose.compose import GRAMMAR

    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert compose.carried_out(Start(document=TEXT), scan(("-G",), GRAMMAR)) == 0
    assert capfdbinary.readouterr().out.decode() == shown


@pytest.mark.parametrize("looks", [True, False])
def test_who_only_looks_makes_no_specification_anew(monkeypatch: pytest.MonkeyPatch, looks: bool) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert (compose.session({}, looks=looks).tools.refresh is None) == looks
