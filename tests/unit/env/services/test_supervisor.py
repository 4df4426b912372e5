import json

from gpudock.env.recipe_file import parse
from gpudock.env.services import supervisor, table
from gpudock.env.services.supervisor import Program
from gpudock.env.services.wait import listening


def test_every_service_with_its_words() -> None:
    words = supervisor.command("bash", [Program("a", ("x", "y z")), Program("b", ("w",))])
    assert words[:2] == ("/bin/sh", "-c")
    assert words[3:] == ("gpudock", "bash", "a", "2", "x", "y z", "b", "1", "w")


def test_no_secret_is_on_a_command_line() -> None:
    recipe = parse("services: {jupyter: {}, tensorboard: {logdir: logs}, web: {command: python app.py, port: 8080}}")
    found = {each.name: each for each in table.services(recipe, root=False)}
    assert [*found] == ["jupyter", "tensorboard", "web"]
    assert "--allow-root" not in found["jupyter"].argv
    assert not any("token=" in word or "password" in word for word in found["jupyter"].argv)
    assert found["web"].argv == ("/bin/sh", "-c", "exec python app.py")
    assert (found["web"].port, found["web"].wished, found["web"].address) == (8080, 8080, "127.0.0.1")
    assert "--allow-root" in table.services(recipe, root=True)[0].argv
    assert json.dumps(found["tensorboard"].argv).count("logs") == 2


def test_ssh_needs_no_port_and_vnc_comes_with_its_display() -> None:
    recipe = parse("display: vnc\nservices: {ssh: {}}")
    assert [(each.name, each.port) for each in table.services(recipe, root=False)] == [("vnc", 5901)]


def test_who_listens() -> None:
    tables = (
        "  sl  local_address rem_address   st\n"
        "   0: 00000000:22B8 00000000:0000 0A 00000000:00000000\n"
        "   1: 0100007F:1776 0100007F:0001 01 00000000:00000000\n"
    )
    assert listening(tables, 8888)
    assert not listening(tables, 6006)
    assert not listening("", 1)
