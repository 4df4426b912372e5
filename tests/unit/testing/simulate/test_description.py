import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudock.errors import InputError, UsageError
from gpudock.testing.simulate import description, models
from gpudock.testing.simulate.machine import Process

H200 = description.make(2, "H200", "580.159.04", mig=["3g.71gb,1g.18gb,1g.18gb"])


def edited(**changes: Any) -> bytes:
    return json.dumps(json.loads(description.encode(H200)) | changes).encode()


def edited_gpu(**changes: Any) -> bytes:
    gpus = json.loads(description.encode(H200))["gpus"]
    return edited(gpus=[gpus[0], gpus[1] | changes])


def test_the_same_words_make_the_same_machine() -> None:
    again = description.make(2, "h200", "580.159.04", mig=["3g.71gb,1g.18gb,1g.18gb"])
    assert again == H200
    assert description.encode(again) == description.encode(H200)
    assert len({gpu.uuid for gpu in description.make(32, "T4", "535.261.03").gpus}) == 32


def test_a_machine_survives_its_json_form() -> None:
    for key, model in models.MODELS.items():
        layout = [model.profiles[0].name] if model.profiles else []
        made = description.make(1, key, f"{max(model.first_branch, 470)}.42.01"[:10], mig=layout)
        assert description.decode(description.encode(made)) == made


def test_the_h200_is_the_one_that_nvml_knows() -> None:
    gpu = H200.gpus[1]
    assert (gpu.name, gpu.memory, gpu.compute_capability, gpu.brand) == ("NVIDIA H200", 150754820096, "9.0", 14)
    assert (gpu.pci_device << 16 | 0x10DE, gpu.pci_subsystem << 16 | 0x10DE) == (590680286, 415174878)
    assert (gpu.power_limit, gpu.mig, H200.cuda) == (700_000, "disabled", "13.0")


def test_instances_are_numbered_as_the_driver_does() -> None:
    gpu = H200.gpus[0]
    assert gpu.mig == "enabled"
    assert [(each.gi, each.ci, each.profile) for each in gpu.instances] == [
        (1, 0, "3g.71gb"),
        (7, 0, "1g.18gb"),
        (8, 0, "1g.18gb"),
    ]
    whole = description.make(1, "A100", "535.261.03", mig=["7g.80gb"]).gpus[0].instances
    assert [(each.gi, each.memory >> 20) for each in whole] == [(0, 80896)]
    doubles = description.make(1, "H100", "535.261.03", mig=["1g.20gb,1g.20gb"]).gpus[0].instances
    assert [each.gi for each in doubles] == [3, 4]
    assert description.make(1, "H100", "535.261.03", mig=["none"]).gpus[0].mig == "enabled"


def test_older_drivers_use_older_names() -> None:
    old = description.make(1, "A100", "450.248.02").gpus[0]
    assert (old.name, old.brand) == ("A100-SXM4-80GB", 2)
    k80 = description.make(1, "K80", "470.256.02").gpus[0]
    assert (k80.name, k80.brand, k80.mig) == ("Tesla K80", 2, "unsupported")


@pytest.mark.parametrize(
    ("count", "model", "driver", "mig", "names"),
    [
        (1, "V100", "580.1", [], "K80, T4"),
        (33, "T4", "580.1", [], "33"),
        (1, "T4", "580", [], "'580'"),
        (1, "T4", "58O.1", [], "58O.1"),
        (1, "T4", "390.157", [], "too old for the T4"),
        (1, "K80", "535.261.03", [], "too new for the K80"),
        (1, "T4", "580.1", ["1g.5gb"], "has no MIG"),
        (1, "H200", "580.1", ["1g.10gb"], "1g.18gb"),
        (1, "H200", "580.1", ["4g.71gb,4g.71gb"], "does not fit"),
        (1, "H200", "580.1", ["3g.71gb,3g.71gb,1g.18gb"], "does not fit"),
        (1, "H200", "580.1", ["1g.18gb+me,1g.18gb+me"], "does not fit"),
        (1, "H200", "580.1", ["", "1g.18gb"], "2 MIG layouts"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(
    count: int, model: str, driver: str, mig: list[str], names: str
) -> None:
    with pytest.raises(UsageError) as error:
        description.make(count, model, driver, mig)
    assert names in str(error.value)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"", "not JSON"),
        (b'{"version": 1', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "wrong"),
        (b'{"driver": "580.1"}', "version"),
        (edited(version=2), "version 2; this gpudock reads version 1"),
        (edited(driver="580"), "$.driver"),
        (edited(surprise=1), "surprise"),
        (edited(faults={"nvmlInit_v2": "explode"}), "$.faults"),
        (edited(majors={"nvidia": 511}), "major 511"),
        (edited_gpu(minor=0), "minor 0 is given 2 times"),
        (edited_gpu(uuid=H200.gpus[0].uuid), "UUID"),
        (edited_gpu(uuid="GPU-1"), "$.gpus[1].uuid"),
        (edited_gpu(bus_id="0000:03:00.0"), "bus id 0000:03:00.0"),
        (edited_gpu(name='"\n'), "$.gpus[1].name"),
        (edited_gpu(memory=-1), "$.gpus[1].memory"),
        (edited_gpu(memory=1), "GPU 1: its processes"),
        (edited_gpu(mig="disabled", instances=[]), None),
        (edited(gpus=[json.loads(description.encode(H200))["gpus"][0] | {"mig": "disabled"}]), "MIG is disabled"),
        (edited(driver="440.33.01"), "does not know MIG"),
        (b" " * (5 << 20), "too large"),
    ],
)
def test_a_broken_description_is_refused_by_name(data: bytes, names: str | None) -> None:
    if names is None:
        assert description.decode(data).gpus[1].mig == "disabled"
        return
    with pytest.raises(InputError) as error:
        description.decode(data)
    assert names in str(error.value)


def test_processes_must_fit() -> None:
    big = Process(pid=1, name="python3", used_memory=1 << 40)
    gpu = msgspec.structs.replace(H200.gpus[1], processes=(big,))
    with pytest.raises(InputError, match="more memory than it has"):
        description.decode(description.encode(msgspec.structs.replace(H200, gpus=(gpu,))))


@settings(max_examples=300)
@given(st.data())
def test_mutilated_descriptions_give_only_clear_errors(data: st.DataObject) -> None:
    whole = bytearray(description.encode(H200))
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(whole) - 1))
        whole[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20))
        if not whole:
            break
    try:
        found = description.decode(bytes(whole))
    except InputError as error:
        assert error.what  # noqa: PT017  either outcome is right; only the kind of error matters
    else:
        assert description.decode(description.encode(found)) == found
