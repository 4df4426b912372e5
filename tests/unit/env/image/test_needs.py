from gpudock.env.image.needs import Needs, needs
from gpudock.env.recipe import Recipe, Service, User


def test_a_bare_recipe_needs_nothing() -> None:
    """Else a base alone could not be locked without a network."""
    assert needs(Recipe()) == Needs()


def test_what_services_and_user_need() -> None:
    services: dict[str, Service | None] = {"jupyter": Service(version="4.4.0"), "ssh": None}
    found = needs(
        Recipe(services=services, user=User(shell="zsh", multiplexer="tmux", sudo=True), python_packages=("six", "six"))
    )
    assert found.python == ("six", "jupyterlab==4.4.0")
    assert found.system == ("openssh-server", "zsh", "tmux", "sudo")
