"""User data of clouds."""

import base64
import gzip

import pytest
import yaml

from gpudock.provision.emit import cloud_init, script
from unit.provision.install import plans


@pytest.mark.parametrize(("system", "wish"), plans.NAMES)
def test_the_script_is_in_it_and_goes_on_at_each_boot(system: str, wish: str) -> None:
    plan = plans.named(system, wish)
    text = cloud_init.render(plan)
    assert text.startswith("#cloud-config\n")
    assert "UNVERIFIED" in text
    packed, runner = yaml.safe_load(text)["write_files"]
    assert packed["encoding"] == "gz+b64"
    assert gzip.decompress(base64.b64decode(packed["content"])).decode() == script.render(plan)
    assert (packed["permissions"], runner["permissions"]) == ("0700", "0700")
    assert runner["path"].startswith("/var/lib/cloud/scripts/per-boot/")
    assert f"sh {packed['path']} run" in runner["content"]
    assert runner["content"].startswith("#!/bin/sh\n")


def test_the_same_plan_is_the_same_text() -> None:
    plan = plans.named("debian-12", "plain")
    assert cloud_init.render(plan) == cloud_init.render(plan)


def test_it_fits_into_every_cloud() -> None:
    for each in plans.NAMES:
        assert cloud_init.notes(cloud_init.render(plans.named(*each))) == []
    assert cloud_init.notes("x" * 20000) == ["20000 bytes: too large for AWS user data, which takes 16384"]
