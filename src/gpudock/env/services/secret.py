"""The secret files of an environment's services. Nothing of them is ever empty."""

import os
from collections.abc import Mapping

import msgspec

from gpudock import publish
from gpudock.env.recipe import Recipe, Secret
from gpudock.env.services import password
from gpudock.env.services.place import RUN, SECRETS
from gpudock.env.services.table import CODE_CONFIG, JUPYTER_CONFIG, JUPYTER_TOKEN
from gpudock.env.state import State
from gpudock.errors import HostError
from gpudock.plan.quote import quote

TOKEN = RUN + "/token"  # of the environment, whatever services it has
_LARGEST = 1 << 20


def with_token(state: State) -> State:
    return state if state.token else msgspec.structs.replace(state, token=password.token())


def files(recipe: Recipe, state: State, folder: str, environment: Mapping[str, str]) -> dict[str, bytes]:
    """Contents by path in the container. Raises HostError for a secret that is not there."""
    assert state.token, "no service may start without a token"
    found = {f"{SECRETS}/{name}": _read(name, told, folder, environment) for name, told in recipe.secrets.items()}
    if "jupyter" in recipe.services:
        found[JUPYTER_TOKEN] = state.token.encode()
        settings = {"PasswordIdentityProvider": {"hashed_password": state.password}} if state.password else {}
        found[f"{JUPYTER_CONFIG}/jupyter_server_config.json"] = msgspec.json.encode(settings)
    if "code" in recipe.services:
        found[CODE_CONFIG] = f"auth: password\npassword: {state.token}\ncert: false\n".encode()
    found[TOKEN] = state.token.encode()
    return found


def _read(name: str, told: Secret, folder: str, environment: Mapping[str, str]) -> bytes:
    if told.environment:
        value = environment.get(told.environment)
        if value is None:
            raise HostError(
                f"The secret {name} is not there.", why=f"the variable {quote(told.environment)} is not set"
            )
        return value.encode(errors="surrogateescape")
    path = os.path.join(folder, os.path.expanduser(told.file))
    try:
        return publish.read_capped(path, _LARGEST)
    except OSError as error:
        raise HostError(f"The secret {name} is not there.", why=f"{quote(path)}: {error.strerror}") from error
