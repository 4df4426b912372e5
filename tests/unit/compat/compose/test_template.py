"""Templates are filled in, and cannot do more than that."""

import pytest

from gpudock.compat.compose import template
from gpudock.errors import GpudockError, InputError, RefusedError

GPUS = ("/dev/nvidia0", "/dev/nvidia1")


def rendered(text: str) -> str:
    return template.rendered("t.jinja", text, GPUS, {"TAG": "v1"})


def test_what_templates_have() -> None:
    text = (
        "{% for gpu in GPU_DEVICES %}{{ loop.index0 }}={{ gpu }} {% endfor %}{{ N_GPU }} {{ ENV.TAG }} {{ ENV.NONE }}!"
    )
    assert rendered(text) == "0=/dev/nvidia0 1=/dev/nvidia1 2 v1 !"


@pytest.mark.parametrize(
    ("text", "says"),
    [("a\n{% for %}", "t.jinja:2"), ("a\n{{ GPU_DEVICES[7].x.y }}", "t.jinja:2"), ("{{ 1 / 0 }}", "t.jinja:1")],
)
def test_mistakes_have_a_line(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        rendered(text)
    assert says in caught.value.what


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ENV.update({'PATH': ''}) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 10 ** 100000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a' | center(1000000000) }}",
        "{% for i in range(1000000000) %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}aaaa{% endfor %}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{{ ('{:1000000000}').format(1) }}",
        "{{ lipsum(n=100000) }}",
        "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
    ],
)
def test_limits(text: str) -> None:
    with pytest.raises(GpudockError):
        rendered(text)


def test_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "SECONDS", 1)
    loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(RefusedError, match="not done after 1 s"):
        rendered(loops)
