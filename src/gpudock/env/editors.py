"""How editors on a desktop open an environment."""

import json

from gpudock.engine import labels
from gpudock.engine.containers import Container
from gpudock.env.naming import WORKSPACE
from gpudock.env.session import Session


def addresses(session: Session, there: Container) -> tuple[str, str]:
    """VS Code's: attached to the container, and by ssh."""
    told: dict[str, object] = {"containerName": f"/{there.name}"}
    context = session.client.endpoint.context
    if context:
        told["settings"] = {"context": context}
    attached = json.dumps(told, separators=(",", ":")).encode().hex()
    name = there.labels.get(labels.ENV, "")
    return (
        f"code --folder-uri vscode-remote://attached-container+{attached}{WORKSPACE}",
        f"code --folder-uri vscode-remote://ssh-remote+{name}.gpudock{WORKSPACE}",
    )
