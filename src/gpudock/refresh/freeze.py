"""Compiles installed start files. Run by the very Python that will run them, so Python >= 3.9 and alone:

python3 -I -S freeze.py STAGING FOLDER MODULE...

For each MODULE everything goes into one file, STAGING/NAME.frozen: to find and read thirty small modules one by one
takes longer than to run them. First comes what it imports by itself, each behind what it needs; all else is in there
as bytes, which cost nothing until then.
FOLDER is where STAGING will be, for tracebacks.
"""

import ast
import compileall
import errno
import importlib
import importlib.machinery
import importlib.util
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import SourceFileLoader
    from types import CodeType, ModuleType

# Modules of the library that only add to one of the interpreter's own, and take longer to import than much of a start.
INNER = {"os": "posix", "stat": "_stat", "struct": "_struct"}
NUMBERS = "errno"  # nothing of it is used but numbers, which are put in instead


def main(staging: str, folder: str, modules: "list[str]") -> int:
    """Exit code."""
    if not compileall.compile_dir(staging, quiet=1, stripdir=staging, prependdir=folder, optimize=0):
        return 1
    sys.path.insert(0, staging)
    codes = dict(_codes(staging, folder))
    for name in modules:
        data = marshal.dumps(_frozen(codes, _needed(name)))
        with open(f"{staging}/{name.rpartition('.')[2]}.frozen", "xb") as file:
            file.write(data + importlib.util.MAGIC_NUMBER)
    return 0


class _Bare(ast.NodeTransformer):
    """Takes annotations out, a fifth of the code and read by nobody here, and modules that others stand for."""

    def __init__(self, tree: ast.AST) -> None:
        used: "dict[str, set[str]]" = {name: set() for name in INNER}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in INNER:
                used[node.value.id].add(node.attr)
        self.inner = {name for name, attributes in used.items() if _is_the_same(name, attributes)}

    def visit_If(self, node: ast.If) -> "ast.AST | list[ast.stmt]":
        self.generic_visit(node)
        only_for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return node.orelse if only_for_types else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == NUMBERS:
            return ast.copy_location(ast.Constant(getattr(errno, node.attr)), node)
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST:
        if node.names[0].name == NUMBERS:
            return ast.copy_location(ast.Pass(), node)
        for alias in node.names:
            if alias.name in self.inner and alias.asname is None:
                alias.name, alias.asname = INNER[alias.name], alias.name
        return node


def _is_the_same(name: str, attributes: "set[str]") -> bool:
    """Whether all that is used of a module is the inner one's."""
    outer = importlib.import_module(name)
    try:
        inner = importlib.import_module(INNER[name])
    except ImportError:  # another kind of Python
        return False
    return all(hasattr(inner, each) and getattr(inner, each) is getattr(outer, each) for each in attributes)


def _codes(staging: str, folder: str) -> "list[tuple[str, CodeType]]":
    """Each module, without docstrings."""
    found = []
    for place, _, names in os.walk(staging):
        for name in names:
            if name == "entry.py" or (name.endswith(".py") and place != staging):
                path = f"{place}/{name}"
                with open(path, "rb") as file:
                    tree = ast.parse(file.read())
                code = compile(_Bare(tree).visit(tree), folder + path[len(staging) :], "exec", optimize=2)
                found.append((path[len(staging) + 1 : -3].replace("/", ".").replace(".__init__", ""), _lean(code)))
    return found


def _lean(code: "CodeType") -> "CodeType":
    """Without line numbers: nobody sees a traceback, and each exception that is caught would look its own up."""
    table = "co_linetable" if hasattr(code, "co_linetable") else "co_lnotab"
    parts = tuple(_lean(each) if isinstance(each, type(code)) else each for each in code.co_consts)
    return code.replace(co_consts=parts, **{table: b""})  # type: ignore[arg-type]


def _needed(name: str) -> "list[str]":
    """The modules that `name` imports by itself, and itself, in the order in which they become whole."""
    for loaded in [each for each in sys.modules if each.partition(".")[0] == "gpudock"]:
        del sys.modules[loaded]
    whole: "list[str]" = []
    loader = importlib.machinery.SourceFileLoader
    run = loader.exec_module

    def noted(self: "SourceFileLoader", module: "ModuleType") -> None:
        run(self, module)
        whole.append(module.__name__)

    loader.exec_module = noted  # type: ignore[assignment, method-assign]
    try:
        importlib.import_module(name)
    finally:
        loader.exec_module = run  # type: ignore[method-assign]
    return [each for each in whole if each.partition(".")[0] == "gpudock"]


def _frozen(codes: "dict[str, CodeType]", needed: "list[str]") -> "dict[str, object]":
    """As launch.py and entry.py take it apart."""
    found: "dict[str, object]" = {"entry": codes["entry"]}
    for name in [*needed, *(each for each in codes if each not in {"entry", *needed})]:
        code = codes[name]
        packed = code if name in needed else marshal.dumps(code)
        found[name] = (packed, code.co_filename, code.co_filename.endswith("/__init__.py"))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
