"""GPUs of an environment, by the very decisions of `gpudock run`."""

from collections.abc import Callable

from gpudock.engine import flags, labels, prepare
from gpudock.engine.asked import Asked
from gpudock.engine.base import Wish, plain
from gpudock.env import free
from gpudock.env.session import Session
from gpudock.plan import capabilities
from gpudock.plan.request import NONE, VISIBLE_DEVICES, VOID, Request, parse_gpus

TO_DRAW = ("graphics", "display")

ToolsFor = Callable[[Wish], prepare.Tools]


def argv(
    session: Session, verb: str, words: tuple[str, ...], gpus: str, tools: ToolsFor, *, draws: bool = False
) -> tuple[str, ...]:
    """The engine's command for `docker VERB WORDS` with GPUs. `draws`: also what windows need of the driver."""
    arguments = flags.scan(words, verb)
    request = parse_gpus(gpus) if gpus else None
    if request is None or request.devices in {NONE, VOID}:  # CUDA images ask by themselves where a runtime listens
        none = ("-e", f"{VISIBLE_DEVICES}={VOID}")
        return plain(session.client, verb, (*arguments.flags, *none), arguments.rest)
    texts = {path: _text(path) for path in arguments.values.get("env-file", ())}
    variables = flags.environment(arguments, texts, dict(session.environment))
    wish = Wish(verb, arguments, _drawing(request) if draws else request, variables)
    ways = tools(wish)
    wish = wish._replace(request=free.request(session, wish.request, ways.here))
    asked = Asked(session.client, arguments.image, session.run)
    decision = prepare.prepare(wish, (session.client,), asked, ways)
    for note in decision.notes:
        session.say(note)
    begin = len(session.client.words) + 1
    given = ",".join(name.partition(".")[0] for name in decision.chosen.devices)
    named = ("--label", f"{labels.GPUS}={given}")
    return (*decision.argv[:begin], *named, *decision.argv[begin:])


def _drawing(request: Request) -> Request:
    wanted = capabilities.canonical((*(request.capabilities or capabilities.DEFAULT), *TO_DRAW))
    return Request(request.devices, wanted, request.source)


def _text(path: str) -> str:
    """ "" when it cannot be read: the engine, which reads it too, says so better."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 23)
    except OSError:
        return ""
