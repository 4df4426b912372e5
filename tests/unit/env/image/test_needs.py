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


def test_vs_codes_server_is_installed_unless_the_recipe_has_its_own_command() -> None:
    assert needs(Recipe(services={"code": Service(version="4.139.1")})).node == "code-server@4.139.1"
    assert "libkrb5-dev" in needs(Recipe(services={"code": None})).system
    assert needs(Recipe(services={"code": Service(command="code-server")})) == Needs()
