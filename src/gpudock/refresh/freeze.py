"""Compiles installed start files. Run by the very Python that will run them, so Python >= 3.9 and alone:

python3 -I -S freeze.py STAGING FOLDER MODULE...

Each module's import closure goes into one file, STAGING/NAME.frozen: to find and read thirty small modules one by one
takes longer than to run them. FOLDER is where STAGING will be, for tracebacks.
"""

import ast
import compileall
import importlib
import importlib.util
import marshal
import os
import sys


def main(staging: str, folder: str, modules: "list[str]") -> int:
    """Exit code."""
    if not compileall.compile_dir(staging, quiet=1, stripdir=staging, prependdir=folder, optimize=0):
        return 1
    sys.path.insert(0, staging)
    for name in modules:
        for loaded in [each for each in sys.modules if each.partition(".")[0] == "gpudock"]:
            del sys.modules[loaded]
        importlib.import_module(name)
        data = marshal.dumps(_closure(staging, folder))
        with open(f"{staging}/{name.rpartition('.')[2]}.frozen", "xb") as file:
            file.write(importlib.util.MAGIC_NUMBER + data)
    return 0


class _Bare(ast.NodeTransformer):
    """Takes annotations out: they are a fifth of the code, and nothing reads them here."""

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


def _closure(staging: str, folder: str) -> "dict[str, tuple[object, bool]]":
    """Name -> code without docstrings, and whether it is a package. What functions import is not in it."""
    found: "dict[str, tuple[object, bool]]" = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "gpudock":
            path = str(module.__file__)
            with open(path, "rb") as file:
                tree = _Bare().visit(ast.parse(file.read()))
            code = compile(tree, folder + path[len(staging) :], "exec", dont_inherit=True, optimize=2)
            found[name] = (code, os.path.basename(path) == "__init__.py")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
