"""Every line that Prometheus is told, of a machine on which each reading is another number (golden.py)."""

import re

import msgspec
import pytest

from gpudock.monitor import metrics_dcgm, metrics_own, metrics_people, metrics_smi
from unit.monitor import golden


@pytest.mark.parametrize("name", golden.made())
def test_each_line_is_what_somebody_has_read(name: str) -> None:
    written = (golden.FOLDER / name).read_text()
    # By lines, so that a difference is shown as a few of them.
    assert golden.made()[name].splitlines() == written.splitlines(), golden.__doc__


def test_no_file_is_left_unread() -> None:
    assert sorted(golden.made()) == sorted(each.name for each in golden.FOLDER.iterdir())


def test_no_reading_is_left_at_its_default() -> None:
    """A new reading needs its number there, or nobody sees which lines it goes to."""

    def numbers(part: msgspec.Struct) -> list[float]:
        found = []
        for name in part.__struct_fields__:
            value = getattr(part, name)
            if isinstance(value, msgspec.Struct):
                assert value.__struct_fields__ != ("reason",), f"{type(part).__name__}.{name} is missing"
                found += numbers(value)
            elif isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
                found.append(value)
        return found

    everything = [number for digit in (1, 2, 3) for number in numbers(golden.gpu(digit))]
    assert len(everything) == len(set(everything))


def test_every_family_is_there() -> None:
    """So that whoever looks at this file, promtool too, has seen all of them."""
    text = golden.made()["all.prom"]
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    modules = (metrics_own, metrics_people, metrics_dcgm, metrics_smi)
    families = [each for module in modules for each in (*module.FAMILIES, *getattr(module, "OF_PROCESSES", ()))]
    assert kinds == {each.name: each.kind for each in families}
