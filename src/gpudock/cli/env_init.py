"""`gpudock init`: the first gpudock.yaml of a folder."""

import os
import sys
from typing import TYPE_CHECKING

from gpudock.cli.env_session import FOLDER
from gpudock.cli.terminal import safe, say, show
from gpudock.cli.verb import Option, Verb

if TYPE_CHECKING:
    from gpudock.env.image.requirements import Requirements
    from gpudock.env.initial import Answers

TEMPLATES = (
    "pytorch",
    "tensorflow",
    "jax",
    "cuda",
    "plain",
)  # as env.initial has them; that is not imported for --help


def _init(*, template: str | None, name: str | None, folder: str | None, yes: bool) -> int:
    """Write gpudock.yaml for this folder: commented, with what its requirements.txt or environment.yml tell.

    On a terminal a few things are asked; with --template, or --yes, or without a terminal, nothing is. A file that is
    there is never overwritten.

    \b
    gpudock init
    gpudock init --template pytorch
    """
    from gpudock.env import initial, naming, owner
    from gpudock.errors import RefusedError
    from gpudock.publish import write

    here = os.path.realpath(folder or ".")
    path = os.path.join(here, naming.RECIPE_FILE)
    if os.path.lexists(path):
        raise RefusedError(f"{path} is there already.", mend="change it with an editor, or remove it first")
    asks = sys.stdin.isatty() and sys.stderr.isatty() and not (yes or template)
    found = _found(here)
    chosen = template or _choice(found, asks=asks)
    answers = initial.Answers(
        chosen,
        name or naming.cleaned(os.path.basename(here)),
        jupyter=not asks or _agrees("JupyterLab?"),
        requirements=os.path.isfile(os.path.join(here, initial.REQUIREMENTS)),
        environment=os.path.isfile(os.path.join(here, initial.ENVIRONMENT)),
        named=chosen != "plain" and initial.template_for(found.lines) == chosen,
    )
    if chosen != "plain":
        answers = _with_machine(answers)
    text = initial.text(answers)
    _checked(text, path)
    # Whole before root's rights are put down: a Python in root's own folder can import nothing after that.
    files = {os.path.join(here, initial.SCHEMA): _schema(), path: text.encode()}
    with owner.acting(owner.here(os.environ), here):
        for each, data in files.items():
            write(each, data)
    show(f"wrote {path}")
    show("Next: gpudock up")
    return 0


def _found(folder: str) -> "Requirements":
    """What the folder's own files name; what cannot be read in them is said when it is locked."""
    from gpudock.env import initial
    from gpudock.env.image import requirements
    from gpudock.env.recipe import Recipe
    from gpudock.errors import InputError

    there = {each: each if os.path.isfile(os.path.join(folder, each)) else "" for each in _FILES}
    recipe = Recipe(python_requirements=there[initial.REQUIREMENTS], conda_environment=there[initial.ENVIRONMENT])
    try:
        return requirements.read(recipe, folder)
    except InputError as error:
        say(error.what)
        return requirements.Requirements()


_FILES = ("requirements.txt", "environment.yml")


def _choice(found: "Requirements", *, asks: bool) -> str:
    from gpudock.env import initial

    suggested = initial.template_for(found.lines)
    if not asks:
        return suggested
    for number, each in enumerate(TEMPLATES, 1):
        say(f"  {number}  {each}")
    while True:
        answer = _asked(f"Which template? [{suggested}] ") or suggested
        if answer in TEMPLATES:
            return answer
        if answer.isdecimal() and 1 <= int(answer) <= len(TEMPLATES):
            return TEMPLATES[int(answer) - 1]
        say(f"{answer} is none of them")


def _agrees(question: str) -> bool:
    return _asked(f"{question} [Y/n] ").lower() not in {"n", "no"}


def _asked(question: str) -> str:
    print(safe(question), end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise KeyboardInterrupt
    return line.strip()


def _with_machine(answers: "Answers") -> "Answers":
    """With what runs here."""
    from gpudock.cli import env_session
    from gpudock.env import initial
    from gpudock.env.choose import tables

    machine = env_session.machine(None)
    cuda = initial.cuda_for(machine, tables.load().cuda) if answers.template == "cuda" else ""
    return answers._replace(cuda=cuda, gpus=bool(machine.gpus))


def _schema() -> bytes:
    import json

    from gpudock.env.recipe import schema

    return (json.dumps(schema(), indent=1) + "\n").encode()


def _checked(text: str, path: str) -> None:
    """What is written can be read."""
    from gpudock.env import recipe_file

    recipe_file.parse(text, path)


init = Verb(
    _init,
    (
        Option(("--template", "-t"), "template", "What to begin with.", choices=TEMPLATES),
        Option(("--name",), "name", "Of the environment. [default: the folder's]", metavar="NAME"),
        Option(("--yes", "-y"), "yes", "Ask nothing.", default=False),
        FOLDER,
    ),
)
