"""JSON edited as text: what is not changed stays as it was written, to the byte. Pure."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from gpudock.errors import InputError
from gpudock.plan.quote import quote

INDENT = "  "  # of a file that has none yet
_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder()


class _Member(NamedTuple):
    key: str
    start: int  # of its name
    value: int
    end: int


class _Object(NamedTuple):
    open: int  # of the brace
    members: tuple[_Member, ...]
    close: int


def text_of(data: bytes, where: str) -> str:
    """Raises InputError for what is not UTF-8, or begins with a byte order mark, which engines refuse."""
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InputError(
            f"{where} begins with a byte order mark.",
            why="engines refuse such a file",
            mend="save it as UTF-8 without one",
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{where} is not UTF-8 text: line {line}.", why=error.reason, mend="mend it") from error


def parse(text: str, where: str) -> dict[str, Any]:
    """The file's object; an empty file is {}. Raises InputError with line and column, and nothing is guessed."""
    if not text.strip():
        return {}

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                why = "engines take one of them and ignore the other"
                raise InputError(f"{where} has {quote(key)} twice.", why=why, mend="take one of them out")
            found[key] = value
        return found

    def no_constant(name: str) -> object:
        raise InputError(f"{where} has the number {name}, which JSON does not know.", mend="take it out")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where} is not JSON: line {error.lineno}, column {error.colno}.",
            why=_reason(text, error),
            mend="mend that place; nothing was changed",
        ) from error
    except RecursionError as error:
        raise InputError(f"{where} is nested too deeply.") from error
    if not isinstance(value, dict):
        raise InputError(f"{where} must be an object: {{ ... }}.", why=f"it is {quote(text.strip(), 30)}")
    return value


def _reason(text: str, error: json.JSONDecodeError) -> str:
    if text.startswith(("//", "/*", "#"), error.pos):
        return "JSON has no comments"
    if text[: error.pos].rstrip().endswith(",") and text.startswith(("}", "]"), error.pos):
        return "a comma before the closing bracket"
    return error.msg


def put(text: str, path: tuple[str, ...], value: object) -> str:
    """The text with `value` at the path; objects on the way are made. `text` was parsed before, so it is JSON."""
    if not text.strip():
        text = "{}\n"
    unit, at = _unit(text), _skip(text, 0)
    for depth, key in enumerate(path):
        found = _object(text, at)
        member = next((each for each in found.members if each.key == key), None)
        if member is None:
            return _added(text, found, unit, key, _nested(path[depth + 1 :], value))
        if depth == len(path) - 1 or text[member.value] != "{":
            new = _nested(path[depth + 1 :], value)
            return text[: member.value] + _rendered(text, found, unit, new) + text[member.end :]
        at = member.value
    raise AssertionError(path)  # the empty path is nobody's


def drop(text: str, path: tuple[str, ...]) -> str:
    """The text without the member at the path; as it is when there is none."""
    at = _skip(text, 0) if text.strip() else len(text)
    for depth, key in enumerate(path):
        found = _object(text, at) if text.startswith("{", at) else None
        place = next((n for n, each in enumerate(found.members) if each.key == key), None) if found else None
        if found is None or place is None:
            return text
        member = found.members[place]
        if depth < len(path) - 1:
            at = member.value
        elif len(found.members) == 1:
            return text[: found.open + 1] + text[found.close :]
        elif place == 0:
            return text[: member.start] + text[found.members[1].start :]
        else:
            return text[: found.members[place - 1].end] + text[member.end :]
    return text


def _nested(path: tuple[str, ...], value: object) -> object:
    for key in reversed(path):
        value = {key: value}
    return value


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _object(text: str, at: int) -> _Object:
    """Where the members of the object that begins at `at` stand."""
    members: list[_Member] = []
    here = _skip(text, at + 1)
    while text[here] != "}":
        key, end = _DECODER.raw_decode(text, here)
        value = _skip(text, _skip(text, end) + 1)
        end_value = _DECODER.raw_decode(text, value)[1]
        members.append(_Member(key, here, value, end_value))
        here = _skip(text, end_value)
        if text[here] == ",":
            here = _skip(text, here + 1)
    return _Object(at, tuple(members), here)


def _unit(text: str) -> str:
    """The file's own step of indentation."""
    start = _skip(text, 0)
    found = _object(text, start)
    gap = text[start + 1 : found.members[0].start] if found.members else "\n" + INDENT
    return gap.rpartition("\n")[2] if "\n" in gap else ""


def _gap(text: str, found: _Object) -> str:
    """What stands before the last member's name, behind the comma if there is one."""
    last = found.members[-1]
    if len(found.members) == 1:
        gap = text[found.open + 1 : last.start]
        return gap if "\n" in gap else " "
    gap = text[found.members[-2].end : last.start]
    return gap[gap.index(",") + 1 :]


def _indent(text: str, at: int) -> str:
    """The white space with which the line of `at` begins."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())]


def _rendered(text: str, found: _Object, unit: str, value: object) -> str:
    inline = not unit or (bool(found.members) and "\n" not in _gap(text, found))
    if inline and found.members:
        first = found.members[0]
        colon = ":" if text[first.value - 1] == ":" else ": "
        comma = "," if len(found.members) > 1 and not _gap(text, found) else ", "
        return json.dumps(value, ensure_ascii=False, separators=(comma, colon))
    if inline:
        return json.dumps(value, ensure_ascii=False)
    indent = _indent(text, found.members[0].start) if found.members else _indent(text, found.open) + unit
    newline = "\r\n" if "\r\n" in text else "\n"
    return json.dumps(value, ensure_ascii=False, indent=unit).replace("\n", newline + indent)


def _added(text: str, found: _Object, unit: str, key: str, value: object) -> str:
    rendered = _rendered(text, found, unit, value)
    name = json.dumps(key, ensure_ascii=False)
    if found.members:
        last = found.members[-1]
        colon = ":" if text[last.value - 1] == ":" else ": "
        return text[: last.end] + "," + _gap(text, found) + name + colon + rendered + text[last.end :]
    if not unit:
        return text[: found.open + 1] + f"{name}: {rendered}" + text[found.close :]
    newline = "\r\n" if "\r\n" in text else "\n"
    outer = _indent(text, found.open)
    inner = f"{newline}{outer}{unit}{name}: {rendered}{newline}{outer}"
    return text[: found.open + 1] + inner + text[found.close :]


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both say the same in the same order."""
    return json.dumps(one) == json.dumps(other)
