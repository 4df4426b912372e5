"""The first gpudock.yaml of a folder: commented, with what its requirements.txt or environment.yml tell. Pure."""

from typing import NamedTuple

from gpudock.env.choose import fitness
from gpudock.env.choose.machine import Machine
from gpudock.env.choose.tables import Cuda
from gpudock.env.image import requirements
from gpudock.env.recipe import FRAMEWORKS
from gpudock.gpu.cuda import numbers

TEMPLATES = ("pytorch", "tensorflow", "jax", "cuda", "plain")
SCHEMA = ".gpudock/schema.json"  # beside the file: an editor finds it there, on every machine
REQUIREMENTS, ENVIRONMENT = "requirements.txt", "environment.yml"
_PACKAGES = {"torch": "pytorch", "tensorflow": "tensorflow", "jax": "jax"}


class Answers(NamedTuple):
    template: str
    name: str
    jupyter: bool = True
    cuda: str = ""  # of the template cuda
    gpus: bool = True  # that there are some here
    requirements: bool = False  # there is a requirements.txt
    environment: bool = False  # there is an environment.yml
    named: bool = False  # one of them names the framework already


def template_for(lines: tuple[str, ...]) -> str:
    """What the packages of a project suggest."""
    known = requirements.names(lines)
    return next((template for package, template in _PACKAGES.items() if package in known), "plain")


def cuda_for(machine: Machine, tables: Cuda) -> str:
    """The newest CUDA with an image that runs here with all its features, else the newest."""
    versions = sorted(tables.images, key=numbers, reverse=True)
    fitting = [
        each
        for each in versions
        if not tuple(fitness.problems(each, (), machine, tables)) and fitness.all_features(each, machine, tables)
    ]
    return (fitting or versions)[0]


def text(answers: Answers) -> str:
    parts = [_HEAD.format(schema=SCHEMA, name=answers.name), *_of_template(answers), _packages(answers)]
    if answers.template != "plain":
        parts.append(_GPUS.format(note="" if answers.gpus else "  # none is known here: it starts where there is one"))
    parts.append(_SERVICES.format(jupyter="  jupyter:\n" if answers.jupyter else "  # jupyter:\n"))
    if not answers.jupyter:
        parts[-1] = parts[-1].replace("services:\n", "# services:\n", 1)
    return "\n".join((*parts, _REST))


def _of_template(answers: Answers) -> list[str]:
    template = answers.template
    if template in FRAMEWORKS and answers.named:
        where = _named_in(answers)
        return [f"# {template} is in {where}. Named here instead (framework: {template}), CUDA is chosen for it.\n"]
    if template in FRAMEWORKS:
        return [_FRAMEWORK.format(name=template, example=_EXAMPLES[template])]
    return [_CUDA.format(version=answers.cuda)] if template == "cuda" else []


def _named_in(answers: Answers) -> str:
    return REQUIREMENTS if answers.requirements else ENVIRONMENT


def _packages(answers: Answers) -> str:
    files = f"python_requirements: {REQUIREMENTS}\n" if answers.requirements else ""
    files += f"conda_environment: {ENVIRONMENT}  # taken from the Python index\n" if answers.environment else ""
    return "# What is installed. `gpudock lock` settles each version.\n" + files + _PACKAGES_TEXT


_EXAMPLES = {"pytorch": "2.12", "tensorflow": "2.20", "jax": "0.7.1"}

_HEAD = """# yaml-language-server: $schema={schema}
# An environment of gpudock. `gpudock up` makes it and starts it; `gpudock lock` settles its versions in gpudock.lock.
name: {name}
"""
_FRAMEWORK = """# Version and CUDA are chosen by what the driver and the GPUs run; in quotes, you choose:
# framework: {{{name}: "{example}"}}
# cuda: "12.6"
framework: {name}
# python_version: "3.12"
"""
_CUDA = """# The CUDA toolkit with its compiler, in NVIDIA's image of that version.
cuda: "{version}"
"""
_PACKAGES_TEXT = """# python_packages: [numpy, "pandas>=2"]
# system_packages: [ffmpeg, git]
# run:                       # commands of the build; gpu: true for those that need a GPU
#   - command: python -c "import torch; print(torch.cuda.is_available())"
#     gpu: true
"""
_GPUS = """# As docker's --gpus: 1 is a free one; all; device=0,2.
gpus: 1{note}
"""
_SERVICES = """# Each is started, gets a free port of 127.0.0.1, and its own token or password.
services:
{jupyter}  # tensorboard: {{logdir: runs}}
  # ssh:
"""
_REST = """# This folder is at /workspace. Limits and the rest, as docker means them:
# resources: {memory: 32g, cpus: 8, shm_size: 16g}
# volumes: ["/data:/data:ro"]
# env: {HF_HOME: /workspace/.cache}
"""
