"""Names of capability sets."""

from __future__ import annotations

from itertools import combinations

import pytest

from gpudock.errors import UsageError
from gpudock.plan import capabilities


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("compute", "utility")),
        (" , ", ("compute", "utility")),
        ("utility,compute", ("compute", "utility")),
        ("utility utility", ("utility",)),
        ("all", capabilities.ALL),
        ("utility,all", capabilities.ALL),
        (",".join(reversed(capabilities.ALL)), capabilities.ALL),
    ],
)
def test_the_variable(text: str, expected: tuple[str, ...]) -> None:
    assert capabilities.parse(text) == expected


@pytest.mark.parametrize("text", ["Compute", "gpu", "compute;utility", "none"])
def test_an_unknown_name_is_named_with_those_that_there_are(text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        capabilities.parse(text)
    assert all(name in caught.value.mend for name in capabilities.ALL)


def test_every_set_has_its_own_label_that_can_be_read_back() -> None:
    sets = [names for size in range(1, 8) for names in combinations(capabilities.ALL, size)]
    labels = {capabilities.label(names): names for names in sets}
    assert len(labels) == len(sets) == 127
    for label, names in labels.items():
        assert capabilities.canonical(label.split(".")) == names
        assert label.replace(".", "").isalnum()  # fit for a file name and for a CDI device name
    assert capabilities.label(()) == "none"
