"""CDI specifications as text, also hostile text."""

import random

import pytest

from gpudock.cdi import codec, project
from gpudock.cdi.validate import problems
from gpudock.errors import InputError
from unit.cdi.specs import OPTIONS, plan

SPEC = project.gpus(plan(1), OPTIONS._replace(filtered=False))


def test_yaml_as_other_tools_write_it() -> None:
    text = codec.encode(SPEC, "yaml").decode()
    assert text.startswith('---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: "0"\n')
    assert all(len(line) < 400 for line in text.splitlines())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a": 1',
        b"\xff\xfe",
        b"- a\n- b",
        b"[1]",
        b"text",
        b"a: b: c",
        b"a: 2020-13-45",
        b'a: !!int ""',
        b"a: !!bool x",
        b"a: !!timestamp x",
        b"!!python/object/apply:os.system [id]",
        b"!!set {a}\n---\nb: 1",
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"- " * 20_000,
        b"a: " * 20_000,
        b"{1: " * 5_000,
        b"? {}\n: 1",
        b"a: *unknown",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_specification_is_an_input_error_that_names_the_file(data: bytes) -> None:
    with pytest.raises(InputError, match=r"/etc/cdi/x\.yaml") as caught:
        codec.decode(data, "/etc/cdi/x.yaml")
    assert len(str(caught.value)) < 500


def test_aliases_are_refused() -> None:
    """Thirty lines of them stand for more devices than any memory holds, and validation would look at each."""
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
    with pytest.raises(InputError, match="aliases"):
        codec.decode(laughs.encode(), "x")


def test_mutated_text_is_a_document_or_an_input_error() -> None:
    chance = random.Random(3)
    wholes = (codec.encode(SPEC, "yaml"), codec.encode(SPEC, "json"))
    for _ in range(500):
        data = bytearray(chance.choice(wholes))
        for _ in range(chance.randint(1, 5)):
            data[chance.randrange(len(data))] = chance.choice(b"\0{}[]&*!|>'\"%@:-\n\t \xff\xc39a")
        try:
            document = codec.decode(bytes(data), "x")
        except InputError:
            continue
        assert isinstance(problems(document), list)
