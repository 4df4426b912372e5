"""The file as a value, and what is said of a file that is wrong."""

import contextlib
import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudock.env import recipe_file
from gpudock.env.recipe import Recipe, Service, Step, schema
from gpudock.errors import InputError

SCHEMA = Path(__file__).parents[3] / "docs/gpudock.schema.json"

FULL = """
name: seg-exp
framework: {pytorch: "2.10"}
cuda: "12.8"
python_version: 3.10
python_requirements: requirements.txt
python_packages: [numpy>=2]
system_packages: [ffmpeg, libgl1]
args: {MODE: fast}
run:
  - echo hello
  - {command: python -c "import torch", gpu: true}
user: {shell: zsh, multiplexer: tmux}
gpus: 1
resources: {memory: 32g, memory_swap: -1, cpus: 1.5, cpuset: "0-3,8", shm_size: 16g, pids: 4096}
volumes: ["./:/workspace", "/data:/data:ro"]
ports: [8080, "127.0.0.1:6007:6007"]
env: {A: yes, B: 010, C: }
env_file: .env
secrets: {token: {file: ~/.token}}
devices: [camera, /dev/ttyACM0]
display: x11
services:
  jupyter:
  tensorboard: {logdir: runs}
  app: {command: [python, app.py], port: 8000, health: /ready}
healthcheck: {test: "true", retries: 2}
"""


def test_every_key() -> None:
    found = recipe_file.parse(FULL)
    assert found.framework_name == "pytorch"
    assert found.framework_version == "2.10"
    assert found.python_version == "3.10"  # in YAML it is the number 3.1
    assert found.steps == (Step(command="echo hello"), Step(command='python -c "import torch"', gpu=True))
    assert found.gpus == "1"
    assert found.resources.memory_swap == "-1"
    assert found.resources.cpus == 1.5
    assert found.ports == ("8080", "127.0.0.1:6007:6007")
    assert found.env == {"A": "yes", "B": "010", "C": None}
    assert found.env_files == (".env",)
    assert found.served["jupyter"] == Service()
    assert found.served["app"].command == ("python", "app.py")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "name:\n"])
def test_an_empty_file_is_a_recipe(text: str) -> None:
    if text == "name:\n":
        with pytest.raises(InputError):
            recipe_file.parse(text)
        return
    assert recipe_file.parse(text) == Recipe()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nmemroy: 3", ("line 1", "no key a")),
        ("name: x\nmemroy: 3", ("line 2", "memroy", "did you mean memory, below resources?")),
        ("memory: 3g", ("did you mean memory, below resources?",)),
        ("volume: [x]", ("did you mean volumes?",)),
        ("services:\n  jupiter:\n", ("line 2", "did you mean jupyter?")),
        ("services:\n  x: {command: a, prt: 3}\n", ("line 2", "services.x.prt", "did you mean port")),
        ("services: {x: {command: a, port: 99999}}", ("services.x.port", "65535")),
        ("services: {jupyter: {logdir: x}}", ("logdir belongs to tensorboard",)),
        ("services: {Web: {command: a, port: 1}}", ("cannot be a service's name",)),
        ("resources: {memory: lots}", ("a size such as 32g",)),
        ("cuda: thirteen", ('a version such as "12.8"',)),
        ("framework: torch", ("did you mean pytorch?",)),
        ("framework: {pytorch: '2', jax: }", ("takes one framework",)),
        ("base: debian\nfrom: Dockerfile", ("line 2", "your own Dockerfile", "not base")),
        ("from: Dockerfile\nframework: jax", ("line 1", "not framework")),
        ("python_requirements: ../x", ("outside of the project's folder",)),
        ("from: {context: /}", ("outside of the project's folder",)),
        ("secrets: {t: {}}", ("either a file or a variable",)),
        ("devices: [kamera]", ("is no device",)),
        ("user: {uid: 0}", ("user.uid",)),
        ("run:\n- {gpu: true}", ("line 2", "command")),
        ("name: a\nname: b", ("line 2", "stands there once")),
        ("a: &x 1\nb: *x", ("line 2", "aliases")),
        ("a: " + "[" * 50, ("nested too deeply",)),
        ("name: [", ("line 1", "mend its YAML")),
        ("- a", ("expected object, got array",)),
        ("[a]: 1", ("a key is a word",)),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        recipe_file.parse(text)
    for word in words:
        assert word in str(caught.value)


def test_no_file_names_init(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gpudock init"):
        recipe_file.load(str(tmp_path))
    (tmp_path / "gpudock.yaml").write_bytes(b"name: \xff")
    with pytest.raises(InputError, match="cannot be read"):
        recipe_file.load(str(tmp_path))
    (tmp_path / "gpudock.yaml").write_text("name: x\n")
    assert recipe_file.load(str(tmp_path)).name == "x"


@settings(max_examples=60)
@given(
    st.text() | st.recursive(st.text() | st.none(), lambda s: st.lists(s) | st.dictionaries(st.text(), s), max_leaves=8)
)
def test_any_text_is_a_recipe_or_one_clear_error(value: object) -> None:
    text = value if isinstance(value, str) else yaml.safe_dump(value)
    with contextlib.suppress(InputError):
        assert isinstance(recipe_file.parse(text), Recipe)


def test_the_published_schema_is_that_of_the_program() -> None:
    """Renew it by: gpudock env schema > docs/gpudock.schema.json"""
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(schema()))


def test_the_schema_takes_what_the_program_takes() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    validator.validate(yaml.safe_load(FULL.replace("3.10", '"3.10"').replace("B: 010", 'B: "010"')))
    for wrong in ({"memroy": 1}, {"cuda": "thirteen"}, {"run": [{"gpu": True}]}, {"gpus": [1]}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(wrong)
