"""Thresholds of Windows, its driver and WSL's kernel."""

import pytest

from gpudock.provision.install import wsl


@pytest.mark.parametrize(
    ("least", "text", "said"),
    [
        (wsl.KERNEL, "5.15.153.1-microsoft-standard-WSL2", ""),
        (wsl.KERNEL, "5.10.43.3-microsoft-standard-WSL2", ""),
        (wsl.KERNEL, "5.4.72-microsoft-standard-WSL2", "WSL's kernel is 5.4.72, older than 5.10.43.3: CUDA in WSL"),
        (wsl.WINDOWS_10, "10.0.19043.1", "Windows 10 (21H2) is 10.0.19043.1, older than 10.0.19044: GPUs are not seen"),
        (wsl.WINDOWS_10, "10.0.22631.4317", ""),
        (wsl.DRIVER, "472.12", "NVIDIA's driver for Windows is 472.12, older than 495: there is no libcuda.so.1"),
        (wsl.DRIVER, "no driver", ""),
    ],
)
def test_what_is_too_old(least: wsl.Least, text: str, said: str) -> None:
    assert wsl.below(least, text).startswith(said)
    assert bool(wsl.below(least, text)) == bool(said)


@pytest.mark.parametrize(
    ("windows", "nvidia"), [("31.0.15.3623", "536.23"), ("32.0.15.6094", "560.94"), ("10.0.1", ""), ("", "")]
)
def test_windows_writes_the_drivers_version_in_its_own_way(windows: str, nvidia: str) -> None:
    assert wsl.driver_of_windows(windows) == nvidia


def test_every_threshold_has_a_source() -> None:
    assert all(each.source.startswith("https://") for each in wsl.ALL)
    assert [way.name for way in wsl.WAYS if way.gpus] == ["docker in WSL 2", "Docker Desktop, WSL 2 engine"]
