"""Thresholds of Windows, its driver and WSL's kernel, and the ways of docker: the page says what the data say."""

from pathlib import Path

import pytest

from gpudock.provision.install import wsl

PAGE = (Path(__file__).parents[4] / "docs/wsl.md").read_text()


@pytest.mark.parametrize("least", wsl.ALL, ids=lambda least: least.text)
def test_every_threshold_stands_on_the_page_with_its_source(least: wsl.Least) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {least.what} |"))
    assert least.text.removeprefix("10.0.") in row
    assert least.without in row
    assert f"]({least.source})" in row


def test_every_way_of_docker_stands_on_the_page() -> None:
    for way in wsl.WAYS:
        assert f"| {way.name} | {'yes' if way.gpus else 'no'} | {way.what} |" in PAGE


@pytest.mark.parametrize(
    ("kind", "kernel", "way"),
    [
        ("linux", "5.15.167.4-microsoft-standard-WSL2", wsl.DESKTOP),
        ("linux", "6.10.14-linuxkit", wsl.HYPER_V),
        ("windows", "10.0 22631 (22621.1.amd64fre.ni_release.220506-1250)", wsl.WINDOWS),
        (None, None, wsl.DESKTOP),
    ],
)
def test_the_ways_of_docker_desktop(kind: str | None, kernel: str | None, way: wsl.Way) -> None:
    assert wsl.way(kind, kernel) == way
