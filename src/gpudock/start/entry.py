"""Loads and runs the hook or the runtime. Installed as entry.py beside the package; see launch.py."""

import marshal
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any, Optional, Union

    Codes = dict[str, tuple[Union[bytes, CodeType], str, bool]]  # those that are no bytes in the order of their needs


class Frozen:
    """Finds modules among those that refresh/freeze.py made: code, its file, and whether it is a package."""

    def __init__(self, codes: "Codes") -> None:
        self.codes = codes

    def find_spec(self, name: str, path: object = None, target: object = None) -> "Optional[ModuleSpec]":
        """As the import system asks for it."""
        del path, target
        if name not in self.codes:
            return None
        _, file, is_package = self.codes[name]
        loader: "Any" = self  # all of a loader that is used
        spec = type(sys.__spec__)(name, loader, origin=file, is_package=is_package)
        if is_package:
            spec.submodule_search_locations = [file.rpartition("/")[0]]
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """The usual way."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run it."""
        code = self.codes[module.__name__][0]
        exec(marshal.loads(code) if isinstance(code, bytes) else code, module.__dict__)  # noqa: S102, S302  our own


def run(codes: "Codes", name: str) -> int:
    """Run the module `name` of gpudock.start, from `codes` as far as it is there. Returns the exit code."""
    try:
        sys.meta_path.insert(0, Frozen(codes))
        _load(codes)
        main = __import__("gpudock.start." + name, fromlist=("main",)).main
    except Exception as error:  # noqa: BLE001  no traceback: runtimes show it to the user
        _say(f"gpudock-{name}: not usable: {error}", sys.argv[5:6] if name == "runtime" else [])
        return 1
    return main(sys.argv[1:])  # type: ignore[no-any-return]


def _load(codes: "Codes") -> None:
    """All that is needed at once, as the import system would do it one by one, in a third of the time."""
    modules, kind = sys.modules, type(sys)
    for name, (code, file, is_package) in codes.items():
        if not isinstance(code, bytes):
            module = modules[name] = kind(name)
            above, _, leaf = name.rpartition(".")
            module.__file__, module.__package__ = file, name if is_package else above
            if is_package:
                module.__path__ = [file.rpartition("/")[0]]
            exec(code, module.__dict__)  # noqa: S102  our own
            if above:
                setattr(modules[above], leaf, module)


def _say(text: str, logs: "list[str]") -> None:
    """On stderr, and as JSON in the file of --log, which entry.sh gives to the runtime ("" when there is none)."""
    plain = "".join(each if each.isprintable() and each not in '"\\' else " " for each in text)
    line = plain.encode(errors="replace")[:4000]
    posix.write(2, line + b"\n")
    for log in filter(None, logs):
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_NOFOLLOW | posix.O_CLOEXEC
        try:
            fd = posix.open(log, flags, 0o644)
        except OSError:  # then the engine has lost it; stderr has the message
            continue
        posix.write(fd, b'{"level":"error","msg":"' + line + b'"}\n')
        posix.close(fd)
