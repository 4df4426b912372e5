"""The text changes as little as possible, and means what is wanted."""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudock.compat.compose import document, edit

TEXT = """\
# head
version: "2.4"   # v
x-gpu: &gpu
  # why
  deploy: {resources: {}}   # c1
services:
  # the a
  a:
    <<: *gpu
    image: 'x'   # im
    mode: 0755
    devices: &d
      - /dev/x   # x's
      - /dev/z
    text: |
      # no comment
      lines
    gpus: all   # eol
    # after

  # about b
  b:
    <<: [*gpu]
    image: y
    devices: *d
"""


def changed(text: str, **changes: Any) -> tuple[str, Any]:
    """Services with keys set, or removed by None."""
    before = document.load("f", text)
    wanted = copy.deepcopy(before.value)
    for service, keys in changes.items():
        for key, value in keys.items():
            wanted["services"][service][key] = value
            if value is None:
                del wanted["services"][service][key]
    made = edit.edited(before, wanted)
    assert document.load("f", made).value == wanted
    return made, wanted


def test_a_key_that_goes_stays_as_a_comment_with_its_own() -> None:
    made, _ = changed(TEXT, a={"gpus": None, "runtime": "gpudock"})
    assert made == TEXT.replace("    gpus: all   # eol\n", "    # gpus: all   # eol\n    runtime: gpudock\n")


def test_items_are_added_and_taken_out() -> None:
    made, _ = changed(TEXT, a={"devices": ["/dev/z", "new"]}, b={"devices": ["/dev/x", "/dev/z"]})
    assert "      # - /dev/x   # x's\n      - /dev/z\n      - new\n" in made
    assert "    devices:\n      - /dev/x\n      - /dev/z\n" in made  # b's own now: the anchor means something else


def test_an_alias_that_still_means_the_same_stays() -> None:
    made, _ = changed(TEXT, a={"devices": ["/dev/x", "/dev/z", "n"]}, b={"devices": ["/dev/x", "/dev/z", "n"]})
    assert made.count("- n\n") == 1
    assert "devices: *d" in made


def test_what_a_merge_brings_can_be_overridden_and_refused() -> None:
    made, _ = changed(TEXT, a={"deploy": {"resources": {"limits": {"cpus": "1"}}}}, b={"deploy": None})
    assert "    # <<: [*gpu]\n" in made
    assert "    deploy:\n      resources:\n        limits:\n          cpus: '1'\n" in made


def test_an_anchor_keeps_its_name_when_nothing_is_left() -> None:
    before = document.load("f", TEXT)
    wanted = copy.deepcopy(before.value)
    wanted["x-gpu"] = {}
    for body in wanted["services"].values():
        del body["deploy"]
    made = edit.edited(before, wanted)
    assert "x-gpu: &gpu {}\n  # why\n  # deploy: {resources: {}}   # c1\n" in made
    assert "<<: *gpu" in made


@pytest.mark.parametrize("newline", ["", "\n"])
def test_a_file_without_a_last_newline(newline: str) -> None:
    made, _ = changed("services:\n  a:\n    image: x" + newline, a={"runtime": "r"})
    assert made == "services:\n  a:\n    image: x\n    runtime: r" + newline


def test_flow_style_is_kept() -> None:
    made, _ = changed("services:\n  a: {image: x, gpus: all}  # c\n  b: {image: y}\n", a={"gpus": None, "runtime": "r"})
    assert made == "services:\n  a: {image: x, runtime: r}  # c\n  b: {image: y}\n"


def test_an_untouched_document_is_the_same_text() -> None:
    before = document.load("f", TEXT)
    assert edit.edited(before, copy.deepcopy(before.value)) == TEXT


def test_tags_of_compose_are_kept() -> None:
    text = "services:\n  a:\n    ports: !override\n      - 80:80\n    gpus: !reset null\n"
    made, _ = changed(text, a={"gpus": None})
    assert "ports: !override" in made
    assert "# gpus: !reset null" in made


def test_what_cannot_be_changed_in_part_is_written_anew() -> None:
    made, wanted = changed("{services: {a: {image: x,\n  gpus: all}}}", a={"gpus": None, "runtime": "r"})
    assert yaml.safe_load(made) == wanted


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab:#-*& '\"\n{", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
_BODIES = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), _VALUES, min_size=1, max_size=4)


@settings(max_examples=300)
@given(_BODIES, _BODIES, st.booleans())
def test_any_change_means_what_is_wanted(old: dict[str, Any], new: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump({"services": {"x": old, "y": old}}, default_flow_style=flow, sort_keys=False)
    before = document.load("f", text)
    wanted = {"services": {"x": new, "y": before.value["services"]["y"]}}
    assert document.load("f", edit.edited(before, wanted)).value == wanted
