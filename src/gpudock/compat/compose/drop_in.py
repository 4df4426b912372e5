"""`nvidia-docker-compose` as it was: every service gets GPUs, in a file that stays; safe where it was not."""

import os
from typing import TYPE_CHECKING

from gpudock.compat.compose import make, plugin, session
from gpudock.compat.compose.compose import outputs
from gpudock.compat.compose.project import NAMES
from gpudock.compat.compose.served import by_plugin, served, unused
from gpudock.compat.compose.session import Session, Start, Way
from gpudock.compat.compose.words import Grammar, Words
from gpudock.engine import detect
from gpudock.errors import GpudockError, InputError, RefusedError, UsageError
from gpudock.plan.request import ALL, Request

if TYPE_CHECKING:
    from gpudock.compat.compose.document import Document

GRAMMAR = Grammar(
    valued={
        "-t": "template",
        "--template": "template",
        "-o": "output",
        "--output": "output",
        "-n": "plugin",
        "--nvidia-docker-host": "plugin",
        "-H": "host",
        "--host": "host",
        "-c": "context",
        "--context": "context",
    },
    switches={"-G": "generate", "--generate": "generate"},
)
OUTPUT = "nvidia-docker-compose.yml"
_NAMES = ("docker-compose.yaml", "docker-compose.yml", *NAMES[:2])  # its own come first
_PROBE = 2.0  # seconds for a plugin that may not be there
HELP = """usage: nvidia-docker-compose [-h] [-f INPUT_FILE] [-t TEMPLATE]
                             [-n HOST[:PORT]] [-o OUTPUT_FILE] [-G]
                             [OPTIONS OF COMPOSE] [COMMAND ...]

options, before the command:
  -h, --help            show this help message and exit
  -f INPUT_FILE, --file INPUT_FILE
                        Specify an alternate input compose file; several are
                        merged as docker-compose does
  -t TEMPLATE, --template TEMPLATE
                        Specify Jinja2 template file from which compose file
                        will be generated. --template argument discards --file
                        argument.
  -n HOST[:PORT], --nvidia-docker-host HOST[:PORT]
                        nvidia-docker-plugin daemon address to connect to
                        (default: localhost:3476 when one answers there, else
                        GPUs come in the way that the engine has)
  -o OUTPUT_FILE, --output OUTPUT_FILE
                        Specify an alternate output compose file (default:
                        nvidia-docker-compose.yml)
  -G, --generate        Generate output compose file and exit, do not run
                        docker-compose
"""


def start(words: Words, around: Session) -> Start:
    """What to run, and the files to write before. Raises GpudockError."""
    if words.verb in {"help", "version"} or (not words.verb and {"-v", "--version"} & {*words.passed}):
        return Start((*session.first_program(words, around).argv, *words.plain))
    output = words.own.get("output", OUTPUT)
    template = "template" in words.own
    paths, folder = ((), around.folder) if template else session.files(words, around, _NAMES)
    documents: tuple[Document, ...] = ()
    if not template:  # bad files are told of before anybody is asked for GPUs
        documents = tuple(part.document for part in session.load(words, around, paths, folder).main)
    try:
        way, nodes, volumes = _way(words, around)
        if template:
            document, folder = session.templated(words.own["template"], around, nodes)
            documents = (document,)
        found = session.load(words, around, paths, folder, documents)
        default = Request(ALL, None, "nvidia-docker-compose")
        every = served(found, way.give, default, session.active(words, found))
    except (InputError, UsageError):
        raise
    except GpudockError:
        old = os.path.join(around.folder, output)
        if words.verb not in session.WITHOUT_GPUS or "generate" in words.switches or not os.path.isfile(old):
            raise
        return Start((*session.first_program(words, around).argv, "-f", output, *words.passed, *words.command))
    where = outputs(output, found, around)
    where = where._replace(everywhere=where.everywhere or not way.program.reads_from_anywhere)
    files = make.made(found, every, where, volumes)
    planted = next((path for path in files.texts if output == OUTPUT and os.path.islink(path)), None)
    if planted is not None:
        raise RefusedError(
            f"{planted} is a link, and would be written through.",
            why="a project that comes from somebody else may have put it there",
            mend="remove it, or name the output: -o FILE",
        )
    notes = (*way.notes, *(note for each in every if each.given for note in each.given.notes), *unused(every))
    if "generate" in words.switches:
        return Start(texts=files.texts, notes=notes)
    session.ensured(volumes, way, words, around)
    beside = os.path.dirname(os.path.join(around.folder, output)) == found.folder
    main = tuple(os.path.relpath(path, around.folder) if not os.path.isabs(output) else path for path in files.main)
    argv = session.command(way.program, words, found, main, directory=not beside)
    return Start(argv, session.environment(way.program, found, around), files.texts, notes)


def _way(words: Words, around: Session) -> tuple[Way, tuple[str, ...], tuple[str, ...]]:
    """How services get GPUs; the GPUs' nodes for templates; names of driver volumes."""
    address = words.own.get("plugin", plugin.ADDRESS)
    seconds = 10.0 if "plugin" in words.own else _PROBE
    try:
        needs = plugin.needs(address, seconds=seconds, ask=around.fetch)
    except plugin.NoPluginError:
        if "plugin" in words.own:
            raise
        way = session.by_engine(words, around)
        assert way.gpus is not None
        return way, session.gpu_nodes(way.gpus), ()
    names = tuple(volume.partition(":")[0] for volume in needs.volumes)
    client = detect.clients({"engine": "docker", **words.own}, around.tools.machine)[0]
    runs = session.first_program(words, around)
    way = Way(runs, by_plugin(address, around.fetch), f"nvidia-docker-plugin at {address}", client=client)
    return way, needs.gpus, names
