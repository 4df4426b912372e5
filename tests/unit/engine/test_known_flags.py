"""Flags that neither engine has: what stands behind one may not be the image."""

import pytest

from gpudock.engine.flags import scan
from gpudock.engine.known_flags import unknown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image", ()),
        ("--rm -it -v /a:/b -w /w -uroot -e A=1 --env B=2 -m 1g image --nonsense", ()),
        ("--name x --network=host --systemd always --secret s --cpus 2 --use-api-socket image", ()),
        ("--gpus all --engine podman --context c --dry-run image", ()),
        ("--nonsense image true", ("--nonsense",)),
        ("--detatch image -x true name", ("--detatch", "-x")),
        ("-itz image true", ("-z",)),
        ("--new=1 --rm --other 2 image", ("--new", "--other")),
    ],
)
def test_flags_that_neither_engine_has(text: str, expected: tuple[str, ...]) -> None:
    assert unknown(scan(tuple(text.split()))) == expected
