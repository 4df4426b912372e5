"""What a person is told when an environment is up: addresses, the token, the tunnel. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from gpudock.env.running import Up
from gpudock.env.services import table, tunnel


class Address(NamedTuple):
    name: str
    port: int
    url: str


def addresses(up: Up) -> list[Address]:
    return [Address(served.name, port, table.url(served, port, up.state.token)) for served, port in up.services]


def text(up: Up, environment: Mapping[str, str], user: str, engine: str, gpus: str) -> str:
    """The last lines of `gpudock up`."""
    name = up.container.name
    lines = [f"{up.container.labels.get('gpudock.env', name)} is up: {gpus}, container {name}"]
    found = addresses(up)
    width = max((len(each.name) for each in found), default=0)
    lines += [f"  {each.name:<{width}}  {each.url}" for each in found]
    if any(table.takes_token(each.name) for each in found):
        lines.append(f"  {'token':<{width}}  {up.state.token}")
    if any(each.name == "vnc" for each in found):
        lines.append(f"  {'vnc password':<{width}}  {up.state.vnc}")
    way = tunnel.command([each.port for each in found], environment, user, engine)
    if way:
        lines.append(f"  on the machine with your browser, first:  {way}")
    return "\n".join(lines)
