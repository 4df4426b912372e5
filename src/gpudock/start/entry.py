"""Loads and runs the hook or the runtime. Installed as entry.py beside the package; see launch.py."""

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any, Optional

_Spec = type(os.__spec__)  # importing importlib would cost a millisecond


class Frozen:
    """Finds modules in the file that refresh/freeze.py made."""

    def __init__(self, path: str) -> None:
        """Of another Python's file nothing is used: the sources are beside it."""
        self.codes: "dict[str, tuple[CodeType, bool]]" = {}
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return
        magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
        if data.startswith(magic):
            try:
                self.codes = dict(marshal.loads(data[len(magic) :]))  # noqa: S302  from root's folder, as the sources
            except (EOFError, TypeError, ValueError):  # cut off by a full disk
                self.codes = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> "Optional[ModuleSpec]":
        """As the import system asks for it."""
        del path, target
        if name not in self.codes:
            return None
        code, is_package = self.codes[name]
        loader: "Any" = self  # all of a loader that is used
        spec = _Spec(name, loader, origin=code.co_filename, is_package=is_package)
        if is_package:
            spec.submodule_search_locations = [os.path.dirname(code.co_filename)]
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """The usual way."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run it."""
        exec(self.codes[module.__name__][0], module.__dict__)  # noqa: S102  code of our own


def run(folder: str, name: str) -> int:
    """Run the module `name` of gpudock.start, installed in `folder`. Returns the exit code."""
    try:
        sys.meta_path.insert(0, Frozen(f"{folder}/{name}.frozen"))
        main = __import__("gpudock.start." + name, fromlist=("main",)).main
    except Exception as error:  # noqa: BLE001  no traceback: runtimes show it to the user
        _say(f"gpudock-{name}: not usable: {error}", sys.argv[5:6] if name == "runtime" else [])
        return 1
    return main(sys.argv[1:])  # type: ignore[no-any-return]


def _say(text: str, logs: "list[str]") -> None:
    """On stderr, and as JSON in the file of --log, which entry.sh gives to the runtime ("" when there is none)."""
    plain = "".join(each if each.isprintable() and each not in '"\\' else " " for each in text)
    line = plain.encode(errors="replace")[:4000]
    os.write(2, line + b"\n")
    for log in filter(None, logs):
        try:
            fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError:  # then the engine has lost it; stderr has the message
            continue
        os.write(fd, b'{"level":"error","msg":"' + line + b'"}\n')
        os.close(fd)
