"""What services, display and user need in an image. Pure data: a service's packages are locked as all others."""

from typing import NamedTuple

from gpudock.env.recipe import Recipe


class Needs(NamedTuple):
    python: tuple[str, ...] = ()  # as pip writes them
    system: tuple[str, ...] = ()  # for apt
    node: str = ""  # for npm


SERVICES = {
    "jupyter": Needs(python=("jupyterlab",)),
    "tensorboard": Needs(python=("tensorboard", "setuptools<81")),  # it imports pkg_resources
    "ssh": Needs(system=("openssh-server",)),
    # VS Code's server for browsers; parts of it are compiled. Node.js comes as a wheel, in the version that it names.
    "code": Needs(system=("g++", "make", "pkg-config", "python3", "libkrb5-dev"), node="code-server"),
}
DISPLAYS = {
    "none": Needs(),
    "x11": Needs(system=("xauth",)),
    "vnc": Needs(system=("tigervnc-standalone-server", "tigervnc-tools", "xauth", "openbox", "xterm")),
}


def needs(recipe: Recipe) -> Needs:
    """Of the whole recipe, itself included."""
    user = recipe.user
    python, system, node = list(recipe.python_packages), list(recipe.system_packages), ""
    for name, service in recipe.served.items():
        wanted = SERVICES.get(name, Needs()) if not service.command else Needs()
        pinned = f"=={service.version}" if service.version else ""
        python += [each + pinned if each == wanted.python[0] else each for each in wanted.python]
        system += wanted.system
        node = node or (wanted.node and f"{wanted.node}@{service.version or 'latest'}")
    system += DISPLAYS[recipe.display].system
    shell = user.shell if user.shell == "zsh" else ""  # the others are in every base that has apt
    system += filter(None, (shell, user.multiplexer, "sudo" * user.sudo))
    return Needs(tuple(dict.fromkeys(python)), tuple(dict.fromkeys(system)), node)
