import pytest

from gpudock.env import initial, recipe_file
from gpudock.env.choose import tables
from gpudock.env.choose.machine import Machine
from gpudock.env.initial import Answers


@pytest.mark.parametrize("template", initial.TEMPLATES)
@pytest.mark.parametrize("jupyter", [True, False])
@pytest.mark.parametrize("files", [True, False])
def test_what_is_written_can_be_read(template: str, jupyter: bool, files: bool) -> None:
    answers = Answers(template, "seg", jupyter, "12.8", requirements=files, environment=files, named=files)
    text = initial.text(answers)
    assert text.startswith("# yaml-language-server: $schema=.gpudock/schema.json\n")
    found = recipe_file.parse(text)
    assert found.name == "seg"
    assert ("jupyter" in found.served) is jupyter
    assert bool(found.gpus) is (template != "plain")
    assert bool(found.python_requirements) is files
    framework = template in {"pytorch", "tensorflow", "jax"} and not files
    assert found.framework_name == (template if framework else "")
    assert (found.cuda == "12.8") is (template == "cuda")


def test_each_commented_key_is_one() -> None:
    """What a comment offers works when its sign is taken away."""
    text = initial.text(Answers("pytorch", "x"))
    for line in text.splitlines():
        if line.startswith("# ") and line[2:].split(":")[0] in {
            "python_version",
            "resources",
            "volumes",
            "env",
            "cuda",
        }:
            recipe_file.parse(line[2:])


def test_what_the_packages_suggest() -> None:
    assert initial.template_for(("numpy", "torch>=2")) == "pytorch"
    assert initial.template_for(("tensorflow[and-cuda]",)) == "tensorflow"
    assert initial.template_for(("torchvision",)) == "plain"


def test_the_cuda_of_a_machine() -> None:
    cuda = tables.load(()).cuda
    assert initial.cuda_for(Machine("580.159.04", (("H200", "9.0"),)), cuda) == "13.0"
    assert initial.cuda_for(Machine("580.159.04", (("V100", "7.0"),)), cuda) == "12.8"
    assert initial.cuda_for(Machine("535.54.03", (("A100", "8.0"),)), cuda) == "11.8"
    assert initial.cuda_for(Machine(), cuda) == "13.0"
