"""Every check on a fixture host where it is wrong, and on one where it is not."""

from typing import Any

import pytest

from gpudock.facts.base import Missing
from gpudock.host import codec
from gpudock.provision import doctor
from gpudock.provision.check import SEVERITIES, found
from unit import h200
from unit.provision import hosts

CASES = hosts.cases()
BY_ID = {each.id: each for each in doctor.CHECKS}
WRONG = [(name, at, case) for name, cases in CASES.items() for at, case in enumerate(cases["wrong"])]
HEALTHY = [(name, at, case) for name, cases in CASES.items() for at, case in enumerate(cases["healthy"])]


def names(cases: list[tuple[str, int, Any]]) -> list[str]:
    return [f"{name}-{at}" for name, at, _ in cases]


def test_every_check_has_a_fixture_and_each_fixture_a_check() -> None:
    assert set(CASES) == set(BY_ID)
    assert all(case["source"] and case["wrong"] for case in CASES.values())


@pytest.mark.parametrize(("name", "at", "case"), WRONG, ids=names(WRONG))
def test_it_is_found_where_it_is_wrong(name: str, at: int, case: dict[str, Any]) -> None:
    del at
    findings = list(found(BY_ID[name], hosts.host(case["set"])))
    assert any(case["evidence"] in line for finding in findings for line in finding.evidence), findings
    assert all(finding.fix for finding in findings)


@pytest.mark.parametrize(("name", "at", "case"), HEALTHY, ids=names(HEALTHY))
def test_it_is_not_found_where_it_only_looks_like_it(name: str, at: int, case: dict[str, Any]) -> None:
    del at
    assert list(found(BY_ID[name], hosts.host(case["set"]))) == []


def test_nothing_is_found_on_healthy_hosts() -> None:
    assert [finding.check.id for finding in doctor.findings(hosts.host())] == []
    assert [finding.check.id for finding in doctor.findings(codec.decode(h200.SNAPSHOT.read_bytes()))] == []
    recorded = codec.decode((hosts.HOSTS / "h200-docker.json").read_bytes())  # by `gpudock doctor --bundle` there
    assert [finding.check.id for finding in doctor.findings(recorded)] == []
    assert not isinstance(recorded.engines, Missing)
    assert [engine.name for engine in recorded.engines] == ["docker", "containerd"]


def test_a_healthy_wsl() -> None:
    wsl = CASES["wsl-1"]["healthy"][0]["set"]
    assert [finding.check.id for finding in doctor.findings(hosts.host(wsl))] == []


@pytest.mark.parametrize("each", doctor.CHECKS, ids=lambda each: each.id)
def test_a_check_says_what_people_need(each: Any) -> None:
    assert each.severity in SEVERITIES
    assert each.cause.endswith(".")
    assert not each.title.endswith(".")
    assert any(not command.startswith("#") for command in each.fix) or each.fix[0].startswith("# ")
    assert all(reference.startswith("https://") or "#" in reference for reference in each.references)
    assert each.messages or each.references, "neither what people see nor where it was told"


def test_the_worst_comes_first_and_gives_the_exit_code() -> None:
    seen = doctor.findings(hosts.host({"gpus[0].persistence": False, "nodes[/dev/nvidia-uvm]": None}))
    assert [finding.severity for finding in seen] == ["error", "note"]
    assert doctor.exit_code(seen) == 4
    assert doctor.exit_code(seen[1:]) == 0
    assert doctor.exit_code([seen[1]._replace(severity="warning")]) == 1
    assert doctor.exit_code([]) == 0


def test_a_driver_that_is_not_loaded_is_one_finding() -> None:
    """Whoever has no driver does not want to hear that nodes and specifications are missing too."""
    for name in ("no-driver", "driver-not-loaded", "module-not-built", "secure-boot", "no-gpu", "version-mismatch"):
        seen = doctor.findings(hosts.host(CASES[name]["wrong"][0]["set"]))
        assert [finding.check.id for finding in seen if finding.severity == "error"] == [name]
