from pathlib import Path

import pytest

from gpudock.env.image import conda, requirements
from gpudock.env.recipe import Recipe
from gpudock.errors import InputError


def read(folder: Path, text: str) -> requirements.Requirements:
    (folder / "requirements.txt").write_text(text)
    return requirements.read(Recipe(python_requirements="requirements.txt"), str(folder))


def test_lines_and_further_files(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("-r requirements.txt\nscipy\n")
    found = read(
        tmp_path, "# tools\nnumpy>=2  # the new one\n\n-r more.txt\nurl @ https://x/y.whl#sha256=1\nlong \\\n ==1\n"
    )
    assert found.lines == ("numpy>=2", "scipy", "url @ https://x/y.whl#sha256=1", "long   ==1")
    assert set(found.files) == {"requirements.txt", "more.txt"}
    assert requirements.names(found.lines) == ("numpy", "scipy", "url", "long")


def test_options_have_one_form(tmp_path: Path) -> None:
    found = read(tmp_path, "-i https://x/simple\n--extra-index-url=https://y\n--pre\n--only-binary :all:\nsix\n")
    index = ("--index-url=https://x/simple", "--extra-index-url=https://y")
    assert found.lines == (*index, "--pre", "--only-binary=:all:", "six")


@pytest.mark.parametrize(
    "line",
    [
        *("-e .", ".", "../x", "-c limits.txt", "/opt/x.whl", "file:///x", "-r ../../etc/passwd"),
        *("--trusted-host x", "--pre x", "-i", "--index-url https://me:secret@x/"),
    ],
)
def test_what_is_not_in_the_image_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match="line 2"):
        read(tmp_path, f"six\n{line}\n")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"requirements\.txt"):
        requirements.read(Recipe(python_requirements="requirements.txt"), str(tmp_path))


def test_an_environment_of_conda() -> None:
    found = conda.read(
        b"""
name: old
channels: [pytorch, nvidia]
dependencies:
  - python=3.10
  - numpy=1.26
  - pytorch::pytorch==2.1.0=py3.10_cuda
  - pytorch-cuda=12.1
  - pandas>=2,<3
  - pip
  - pip:
      - six==1.16.0
""",
        "environment.yml",
    )
    assert found.python_version == "3.10"
    assert found.lines == ("numpy==1.26.*", "torch==2.1.0", "pandas>=2,<3")
    assert found.pip == ("six==1.16.0",)
    assert "and not from pytorch, nvidia" in found.notes[0]
    assert "pytorch-cuda, pip left out" in found.notes[1]


def test_an_exported_environment_of_conda() -> None:
    """`conda env export` names C libraries and programs, of which the Python index has none, or somebody else's."""
    found = conda.read(
        b"dependencies: [_libgcc_mutex=0.1=main, openssl=3.0.8=h7f8727e_0, libpng, librosa, ffmpeg=6, gxx_linux-64]\n"
        b"variables: {HF_HOME: /data}\n",
        "environment.yml",
    )
    assert found.lines == ("librosa",)
    assert found.system == ("ffmpeg", "build-essential")
    assert "_libgcc_mutex, openssl, libpng left out" in found.notes[2]
    assert "HF_HOME" in found.notes[3]


@pytest.mark.parametrize(
    "data",
    [
        b"[",
        b"3",
        b"dependencies: 3",
        b"dependencies: [{npm: [x]}]",
        b"dependencies: ['$(x)']",
        b"dependencies: [numpy 1.2|1.4]",
    ],
)
def test_no_environment_of_conda(data: bytes) -> None:
    with pytest.raises(InputError, match=r"x\.yml"):
        conda.read(data, "x.yml")


def test_its_packages_are_among_the_lines(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text(
        "dependencies: [python=3.11, scipy, git, {pip: [-r more.txt, --pre, einops]}]\n"
    )
    (tmp_path / "more.txt").write_text("six\n")
    found = requirements.read(Recipe(conda_environment="environment.yml"), str(tmp_path))
    assert found.lines == ("scipy", "six", "--pre", "einops")
    assert set(found.files) == {"environment.yml", "more.txt"}
    assert (found.python_version, found.system) == ("3.11", ("git",))


def test_what_its_pip_part_may_not_have_is_refused(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text("dependencies: [{pip: [-e .]}]\n")
    with pytest.raises(InputError, match=r"environment\.yml.* -e \."):
        requirements.read(Recipe(conda_environment="environment.yml"), str(tmp_path))
