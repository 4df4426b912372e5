"""TOML edited with its comments and order kept. Pure."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import Table

from gpudock.engine.configure import json_text
from gpudock.errors import InputError

Path = tuple[str, ...]


def parse(data: bytes | None, where: str) -> tomlkit.TOMLDocument:
    """A missing file is an empty one. Raises InputError with line and column."""
    text = json_text.text_of(data or b"", where)
    mend = "mend that place; nothing was changed"
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        place = f"line {error.line}, column {error.col + 1}"
        raise InputError(f"{where} is not TOML: {place}.", why=str(error).split(" at line")[0], mend=mend) from error
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise InputError(f"{where} is not TOML.", why=str(error)[:200], mend=mend) from error


def plain(document: tomlkit.TOMLDocument) -> dict[str, Any]:
    value: dict[str, Any] = document.unwrap()
    return value


def get(value: object, path: Path) -> Any:  # noqa: ANN401  any value of TOML
    """What plain tables hold at the path; None when there is nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def edited(data: bytes | None, where: str, puts: Mapping[Path, object], drops: Sequence[Path] = ()) -> bytes:
    """The file with the values of `puts` and without those of `drops`; tables that this leaves empty go too.

    Raises InputError rather than changing anything else.
    """
    document = parse(data, where)
    wanted = plain(parse(data, where))
    for path in drops:
        _drop(document, path)
        _drop(wanted, path)
    for path, value in puts.items():
        _put(document, path, value, where)
        _put(wanted, path, value, where)
    text = tomlkit.dumps(document)
    if tomllib.loads(text) != wanted:
        raise InputError(
            f"{where} cannot be edited without changing other settings.",
            why="its tables are written in an unusual order",
            mend="bring the lines of each table together, then try again",
        )
    return text.encode()


def _put(document: Any, path: Path, value: object, where: str) -> None:  # noqa: ANN401  of tomlkit, or plain
    here = document
    for number, key in enumerate(path[:-1]):
        if key not in here:
            # A table of nothing but tables needs no header of its own.
            made = tomlkit.table(is_super_table=number < len(path) - 2)
            here[key] = made if isinstance(document, tomlkit.TOMLDocument) else {}
        here = here[key]
        if not isinstance(here, dict):
            raise InputError(f"{where}: {'.'.join(path[: number + 1])} must be a table.", mend="mend it")
    old = here.get(path[-1])
    if isinstance(old, list) and isinstance(value, list):
        _change_list(old, value)
    if path[-1] not in here or here[path[-1]] != value:
        made_of_tables = isinstance(value, dict) and isinstance(document, tomlkit.TOMLDocument)
        here[path[-1]] = table(value) if made_of_tables and isinstance(value, dict) else value


def _change_list(old: list[object], new: list[object]) -> None:
    """Item by item, so that comments between them stay."""
    for item in [each for each in old if each not in new]:
        old.remove(item)
    old.extend([each for each in new if each not in old])


def _drop(document: Any, path: Path) -> None:  # noqa: ANN401  of tomlkit, or plain
    way: list[Any] = [document]
    for key in path:
        if not isinstance(way[-1], dict) or key not in way[-1]:
            return
        way.append(way[-1][key])
    for key, holder in zip(reversed(path), reversed(way[:-1]), strict=True):
        del holder[key]
        if holder:
            return


def table(values: Mapping[str, Any]) -> Table:
    """A table on lines of its own, with the tables in it below."""
    made = tomlkit.table()
    for key, value in sorted(values.items(), key=lambda item: isinstance(item[1], dict)):
        made.add(key, table(value) if isinstance(value, dict) else value)
    return made
