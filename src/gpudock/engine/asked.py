"""The two questions to an engine. They are asked before most of gpudock is even imported, so that both take no longer
than the slower of them.
"""

from gpudock import proc
from gpudock.engine.base import Client
from gpudock.host.later import Later

QUICK = 15.0  # seconds for the engine to say what it is; an image may take longer to be looked at


class Asked:
    """Running questions: `engine` is answered as client.understand reads it, `image` as image.understand does."""

    def __init__(self, client: Client, image: str, run: proc.Runner) -> None:
        self.client = client
        self.engine = Later(lambda: run(proc.Command(client.question, timeout=QUICK)))
        self.image = Later(lambda: run(proc.Command(about(client, image))))


def about(client: Client, image: str) -> tuple[str, ...]:
    """The command that tells an image's variables and labels."""
    return (*client.words, "image", "inspect", "--format", "{{json .Config}}", "--", image)
