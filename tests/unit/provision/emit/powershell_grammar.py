"""As much of PowerShell's grammar as finds a script that PowerShell could not read: strings, here-strings, brackets,
names of variables and of commands. Not a parser of the language.
"""

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<here>@'[ \t]*\n(?:.*\n)*?'@)          # a line that begins with '@ ends it
    | (?P<comment>\#[^\n]*)
    | (?P<single>'(?:[^']|'')*')
    | (?P<double>"(?:[^"`]|`.|"")*")
    | (?P<open>[@$]?[({\[])
    | (?P<close>[)}\]])
    | (?P<variable>\$(?:env:)?[A-Za-z_]\w*|@[A-Za-z_]\w*)
    | (?P<command>\b[A-Z][a-z]+-[A-Z][A-Za-z]+\b)
    | (?P<bad>["'`](?!\n)|@'|@")
    | (?P<other>[^\s'"#$@({\[)}\]`]+?(?=[\s'"#$@({\[)}\]`]|$)|[$@`])
    """,
    re.VERBOSE,
)
_PAIRS = {")": "(", "}": "{", "]": "["}
AUTOMATIC = {"$_", "$null", "$true", "$false", "$LASTEXITCODE", "$PSCmdlet", "$ErrorActionPreference"}
CMDLETS = {
    "Write-Host",
    "Write-Error",
    "Write-Warning",
    "Select-String",
    "Select-Object",
    "Where-Object",
    "ForEach-Object",
    "Get-CimInstance",
    "Join-Path",
    "Remove-Item",
    "Out-Null",
}


class Script(NamedTuple):
    variables: set[str]  # that are used
    assigned: set[str]
    commands: set[str]
    functions: set[str]
    here_strings: list[str]


def read(text: str) -> Script:
    """Raises ValueError with the line of what is wrong."""
    stack: list[tuple[str, int]] = []
    found = Script(set(), set(), set(), set(), [])
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        line = text.count("\n", 0, at) + 1
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup == "bad":
            raise ValueError(f"line {line}: {text[at : at + 30]!r} does not end or begin a thing")
        kind, token = str(match.lastgroup), match[0]
        if kind == "open":
            stack.append((token[-1], line))
        elif kind == "close":
            if not stack or stack.pop()[0] != _PAIRS[token]:
                raise ValueError(f"line {line}: {token} closes nothing")
        else:
            _noted(found, kind, token, text, match)
        at = match.end()
    if stack:
        raise ValueError(f"line {stack[-1][1]}: {stack[-1][0]} is never closed")
    return found


def _noted(found: Script, kind: str, token: str, text: str, match: "re.Match[str]") -> None:
    if kind == "here":
        found.here_strings.append(token.partition("\n")[2].rpartition("\n")[0])
    if kind == "double":
        for name in re.findall(r"(?<!`)\$([A-Za-z_]\w*)", token):
            found.variables.add(f"${name}")
    if kind == "variable" and not token.startswith("$env:"):
        name = "$" + token[1:]
        after = text[match.end() : match.end() + 3].lstrip()
        assigns = after.startswith("=") or re.search(r"\[\w+(?:\[\])?\]$", text[: match.start()])
        (found.assigned if assigns else found.variables).add(name)
    if kind == "command":
        defines = text[: match.start()].rstrip().endswith("function")
        (found.functions if defines else found.commands).add(token)
