import msgspec
import pytest

from gpudock.engine.build import dockerfile as parsing
from gpudock.env.image import dockerfile
from gpudock.env.image.lock import NodePackage
from gpudock.env.recipe import Recipe, Service, Step, User
from gpudock.errors import InputError
from unit.env.locks import HASH, LOCK


def write(recipe: Recipe, *, buildkit: bool = False) -> dockerfile.Written:
    return dockerfile.write(
        recipe, LOCK, name="seg", reference="debian@sha256:1", path="/usr/bin:/bin", buildkit=buildkit
    )


def test_what_is_written() -> None:
    recipe = Recipe(run=("echo hello", Step(command="python -c 'import torch'", gpu=True)), args={"MODE": 'a "$b"'})
    found = write(recipe)
    told = parsing.parse(found.dockerfile, "Dockerfile").instructions
    keywords = [each.keyword for each in told]
    # What changes seldom comes first, so that the engine's cache keeps it.
    assert keywords == [
        *("FROM", "ARG", "ENV", "COPY", "RUN", "COPY", "RUN", "ENV", "RUN", "RUN", "COPY", "WORKDIR"),
        *("ENTRYPOINT", "CMD"),
    ]
    assert told[0].arguments == "debian@sha256:1"
    assert told[1].arguments == 'MODE="a \\"\\$b\\""'
    assert [each.arguments for each in told if each.marked] == ["python -c 'import torch'"]
    assert "/opt/venv/bin:/usr/bin:/bin" in found.dockerfile
    assert "rm -rf" in found.dockerfile
    assert "/var/lib/apt/lists/*" in found.dockerfile
    assert "NOPASSWD" not in found.dockerfile
    assert "--mount" not in found.dockerfile
    assert found.files["system.lock"][0] == f"{HASH} libc6:i386=2.36-9+deb12u9\n"
    assert found.files["python.lock"][0].splitlines() == [
        f"six==1.17.0 --hash=sha256:{HASH}",
        f"own @ https://example.org/own-1.tar.gz --hash=sha256:{HASH}",
    ]
    assert found.files["entry"][1] == 0o755


def test_caches_between_builds_only_where_the_engine_has_them() -> None:
    assert write(Recipe(), buildkit=True).dockerfile.count("--mount=type=cache") == 2


def test_sudo_only_when_asked_for() -> None:
    assert "NOPASSWD" in write(Recipe(user=User(sudo=True))).dockerfile


def test_vs_codes_server_and_its_extensions() -> None:
    locked = msgspec.structs.replace(
        LOCK, node_packages=(NodePackage(name="code-server", version="4.1.0", sha512=HASH * 2),)
    )
    recipe = Recipe(services={"code": Service(extensions=("ms-python.python", "charliermarsh.ruff@2026.1.0"))})
    text = dockerfile.write(recipe, locked, name="x", reference="a", path="/bin", buildkit=False).dockerfile
    _, checked, added = [each.arguments for each in parsing.parse(text, "x").instructions if each.keyword == "RUN"][-3:]
    assert f'echo "{HASH * 2}  code-server-4.1.0.tgz" | sha512sum --check' in checked
    assert checked.index("sha512sum") < checked.index("npm ci")
    assert added.count("--install-extension") == 2
    assert "--install-extension charliermarsh.ruff@2026.1.0 &&" in added


def test_an_environment_without_packages() -> None:
    bare = msgspec.structs.replace(LOCK, system_packages=(), python_packages=(), python="")
    found = dockerfile.write(Recipe(), bare, name="x", reference="a", path="/bin", buildkit=False)
    assert "RUN" not in {each.keyword for each in parsing.parse(found.dockerfile, "x").instructions}
    assert set(found.files) == {"Dockerfile", "entry"}


@pytest.mark.parametrize(
    "text", ["a\nb", "cat <<EOF\nx\nEOF", "a \\", "[ -e x ]", "--flag", "# no comment", "a\n\nFROM scratch"]
)
def test_a_step_is_one_instruction_whatever_it_says(text: str) -> None:
    told = parsing.parse(write(Recipe(run=(text,))).dockerfile, "x").instructions
    ran = [each for each in told if each.keyword == "RUN"][-1]
    assert msgspec.json.decode(ran.arguments) == ["/bin/sh", "-ec", text]
    assert [each.keyword for each in told].count("FROM") == 1


@pytest.mark.parametrize("args", [{"A B": "c"}, {"A": "b\nRUN id"}, {"": "x"}])
def test_a_build_argument_ends_no_line(args: dict[str, str]) -> None:
    with pytest.raises(InputError):
        write(Recipe(args=args))


def test_labels_are_one_instruction_whatever_a_folder_is_called() -> None:
    told = {"gpudock.env": "seg", "gpudock.project": '/home/ada/"a $b\\'}
    text = dockerfile.labelled("FROM x\n", told)
    assert text == 'FROM x\nLABEL gpudock.env="seg" gpudock.project="/home/ada/\\"a \\$b\\\\"\n'
    with pytest.raises(InputError, match="line break"):
        dockerfile.labelled("", {"gpudock.project": "/a\nRUN id"})
