"""What Prometheus is told: names, types, units and labels as other exporters have them, and what is missing is absent."""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from gpudock.facts.base import Missing
from gpudock.monitor import gather, metrics_dcgm, metrics_own, metrics_people, metrics_smi
from gpudock.monitor.exposition import GROUPS, Choice, Exposition
from gpudock.monitor.metric import Family, Metric, text, written
from gpudock.monitor.metrics_small import SMALL
from gpudock.monitor.sample import (
    Container,
    Encoder,
    Gpu,
    Memory,
    Owner,
    Person,
    Power,
    Process,
    Profiling,
    Sample,
    Temperature,
    Use,
    Utilization,
)
from gpudock.monitor.shares import Tally
from unit.monitor import demo

DATA = Path(__file__).parents[2] / "data/exporters"
# dcgm-exporter's default set (4.5 to 4.8): name, type, and the value for GPU 0 of the demo at tick 0.
DCGM = {
    "SM_CLOCK": ("gauge", 1980.0), "MEM_CLOCK": ("gauge", 3201.0), "MEMORY_TEMP": ("gauge", 64.0),
    "GPU_TEMP": ("gauge", 58.0), "POWER_USAGE": ("gauge", 489.5), "TOTAL_ENERGY_CONSUMPTION": ("counter", 5e9),
    "PCIE_REPLAY_COUNTER": ("counter", 0.0), "GPU_UTIL": ("gauge", 73.0), "MEM_COPY_UTIL": ("gauge", 36.0),
    "ENC_UTIL": ("gauge", 0.0), "DEC_UTIL": ("gauge", 0.0), "XID_ERRORS": ("gauge", 0.0),
    "FB_FREE": ("gauge", 102196.0), "FB_USED": ("gauge", 40960.0), "FB_RESERVED": ("gauge", 615.0),
    "NVLINK_BANDWIDTH_TOTAL": ("counter", 0.0), "UNCORRECTABLE_REMAPPED_ROWS": ("counter", 0.0),
    "CORRECTABLE_REMAPPED_ROWS": ("counter", 0.0), "ROW_REMAP_FAILURE": ("gauge", 0.0),
}  # fmt: skip
PROF = ("GR_ENGINE_ACTIVE", "PIPE_TENSOR_ACTIVE", "DRAM_ACTIVE", "PCIE_TX_BYTES", "PCIE_RX_BYTES")
# What facts list as nvidia_gpu_exporter's core set, and what its dashboards and alerts ask for besides.
SMI = [
    "gpu_info",
    "index",
    "utilization_gpu_ratio",
    "utilization_memory_ratio",
    "utilization_encoder_ratio",
    "utilization_decoder_ratio",
    "memory_total_bytes",
    "memory_used_bytes",
    "memory_free_bytes",
    "memory_reserved_bytes",
    "temperature_gpu",
    "power_draw_watts",
    "power_limit_watts",
    "enforced_power_limit_watts",
    "power_default_limit_watts",
    "power_min_limit_watts",
    "power_max_limit_watts",
    "pstate",
    "compute_mode",
    "clocks_current_graphics_clock_hz",
    "clocks_current_sm_clock_hz",
    "clocks_current_memory_clock_hz",
    "clocks_current_video_clock_hz",
    "clocks_max_graphics_clock_hz",
    "clocks_max_sm_clock_hz",
    "clocks_max_memory_clock_hz",
    "pcie_link_gen_current",
    "pcie_link_gen_max",
    "pcie_link_width_current",
    "pcie_link_width_max",
    "persistence_mode",
    "ecc_mode_current",
    "energy_joules_total",
    "pcie_throughput_tx_bytes_per_second",
    "pcie_throughput_rx_bytes_per_second",
    "mig_info",
    "mig_memory_total_bytes",
    "mig_memory_used_bytes",
    "mig_memory_free_bytes",
    "mig_memory_reserved_bytes",
    "xid_errors_total",
    "xid_last_timestamp_seconds",
    "nvml_return_code",
    "last_collect_success",
    "last_collect_success_timestamp_seconds",
    "last_collect_duration_seconds",
    "ecc_errors_uncorrected_volatile_total",
    "ecc_errors_uncorrected_aggregate_total",
    "remapped_rows_failure",
    "remapped_rows_pending",
    "clocks_event_reasons_hw_thermal_slowdown",
    "clocks_throttle_reasons_hw_power_brake_slowdown",
    "clocks_event_reasons_sw_power_cap",
    "compute_apps_last_collect_success",
]


def exposition(choice: Choice = Choice(GROUPS), tally: Tally | None = None, **changed: Any) -> Exposition:  # noqa: B008
    source = demo.DemoSource()
    source.latest = lambda: demo.sample(source.tick, **changed)  # type: ignore[method-assign]
    return Exposition(source, tally or Tally(), choice)


def parsed(data: bytes) -> dict[str, Any]:
    """By the name that is written: the parser adds an end to counters without one."""
    found: dict[str, Any] = {}
    known = types(data)
    for family in text_string_to_metric_families(data.decode()):
        for sample in family.samples:
            name = sample.name if sample.name in known else sample.name.removesuffix("_total")
            found.setdefault(name, (family.type, family.documentation, []))[2].append(sample)
    return found


def of_gpu(found: dict[str, Any], name: str, /, **labels: str) -> Any:
    (sample,) = [each for each in found[name][2] if labels.items() <= each.labels.items()]
    return sample


def types(data: bytes) -> dict[str, str]:
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", data.decode(), re.MULTILINE))


def test_the_default_set_of_dcgm_exporter() -> None:
    data = exposition().text(["dcgm"])
    found, kinds = parsed(data), types(data)
    for name, (kind, value) in DCGM.items():
        full = f"DCGM_FI_DEV_{name}"
        assert kinds[full] == kind, full
        assert of_gpu(found, full, gpu="0").value == value, full
    assert not [name for name in found if "PROF" in name]  # these GPUs do not count it, so nobody says they did


def test_the_labels_of_dcgm_exporter_in_their_order() -> None:
    line = next(
        line for line in exposition().text(["dcgm"]).decode().splitlines() if line.startswith("DCGM_FI_DEV_GPU_UTIL{")
    )
    assert re.findall(r"(\w+)=", line) == [
        *("gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "hostname", "DCGM_FI_DRIVER_VERSION"),
        *("container", "namespace", "pod"),
    ]
    assert 'pci_bus_id="00000000:03:00.0",device="nvidia0",modelName="NVIDIA H200"' in line
    assert 'container="alice-jupyter",namespace="docker",pod="alice-jupyter"' in line
    assert set(re.findall(r"(\w+)=", line)) <= set(metrics_dcgm.LABELS)


def test_mig_devices_of_dcgm_exporter() -> None:
    used = parsed(exposition().text(["dcgm"]))["DCGM_FI_DEV_FB_USED"][2]
    inside = {each.labels["GPU_I_ID"]: each for each in used if "GPU_I_ID" in each.labels}
    assert inside["1"].labels["GPU_I_PROFILE"] == "3g.71gb"
    assert (inside["1"].value, inside["7"].value) == (12 * 1024, 0)


def test_compute_instances_that_share_a_gpu_instance_are_told_once() -> None:
    """Prometheus drops what is there twice."""
    busy = Profiling(graphics=0.5, sm=0.4, occupancy=0.3, tensor=0.2)
    two = [
        replace(demo.instance(0), index=ci, ci=ci, uuid=f"MIG-{ci}", profile=f"{1 + ci}c.3g.71gb", profiling=busy)
        for ci in (0, 1)
    ]
    data = exposition(gpus=(replace(demo.gpu(2, 0), instances=tuple(two)),)).text()
    lines = [line.rpartition(" ")[0] for line in data.decode().splitlines() if line[0] != "#"]
    assert len(lines) == len(set(lines))
    found = parsed(data)
    active = of_gpu(found, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", GPU_I_ID="1")
    assert (active.value, active.labels["GPU_I_PROFILE"]) == (0.5, "3g.71gb")
    assert of_gpu(found, "nvidia_smi_mig_sm_activity_ratio", gpu_instance_id="1").value == 0.4
    assert len(found["nvidia_smi_mig_info"][2]) == 2
    assert of_gpu(found, "gpudock_mig_active_ratio", mig="2:1", part="tensor").value == 0.2


def test_profiling_is_told_where_the_gpu_counts_it() -> None:
    gpu = replace(
        demo.gpu(0, 0), profiling=Profiling(graphics=0.5, tensor=0.25, dram=0.1, pcie_sent=7, pcie_received=8)
    )
    found = parsed(exposition(gpus=(gpu,)).text(["dcgm"]))
    assert [found[f"DCGM_FI_PROF_{name}"][2][0].value for name in PROF] == [0.5, 0.25, 0.1, 7, 8]


def test_a_gpu_that_two_containers_share_has_no_containers_name_in_dcgms_series() -> None:
    sample = demo.sample()
    shared = (*sample.processes, replace(sample.processes[0], pid=9, container=demo.TRAINING))
    found = parsed(exposition(processes=shared).text(["dcgm"]))
    assert "container" not in of_gpu(found, "DCGM_FI_DEV_GPU_UTIL", gpu="0").labels


@pytest.mark.parametrize("name", SMI)
def test_the_names_of_nvidia_gpu_exporter(name: str) -> None:
    data = exposition().text(["nvidia_smi"])
    full = f"nvidia_smi_{name}"
    assert full in parsed(data)
    counter = name in {"energy_joules_total", "xid_errors_total"}
    assert types(data)[full] == ("counter" if counter else "gauge")


def test_units_and_labels_of_nvidia_gpu_exporter() -> None:
    found = parsed(exposition().text(["nvidia_smi"]))
    uuid = "00000000-aaaa-bbbb-cccc-dddddddddddd"
    assert of_gpu(found, "nvidia_smi_utilization_gpu_ratio", uuid=uuid).value == 0.73
    assert of_gpu(found, "nvidia_smi_clocks_current_sm_clock_hz", uuid=uuid).value == 1.98e9
    info = of_gpu(found, "nvidia_smi_gpu_info", uuid=uuid)
    assert (info.labels["index"], info.labels["compute_cap"], info.value) == ("0", "9.0", 1)
    assert of_gpu(found, "nvidia_smi_xid_errors_total", xid="31").value == 2
    assert of_gpu(found, "nvidia_smi_mig_memory_used_bytes", gpu_instance_id="1").value == 12 << 30


def test_process_ids_only_when_asked_for() -> None:
    assert "pid=" not in exposition().text().decode()
    found = parsed(exposition(Choice(GROUPS, processes=True)).text())
    memory = of_gpu(found, "gpudock_process_gpu_memory_bytes", pid="4242")
    assert (memory.labels["container"], memory.labels["user"], memory.value) == ("alice-jupyter", "alice", 36 << 30)
    assert of_gpu(found, "nvidia_smi_compute_app_used_memory_bytes", pid="4242").value == 36 << 30
    assert not [
        each for each in found["gpudock_process_gpu_memory_bytes"][2] if each.labels["pid"] == "6161"
    ]  # unknown


def test_containers_and_people() -> None:
    found = parsed(exposition().text(["gpudock"]))
    memory = of_gpu(found, "gpudock_container_gpu_memory_bytes", container="alice-jupyter")
    assert (memory.labels["user"], memory.labels["env"], memory.value) == ("alice", "torch", 40 << 30)
    assert of_gpu(found, "gpudock_container_memory_limit_bytes", container="alice-jupyter").value == 64 << 30
    assert not [
        each for each in found["gpudock_container_memory_limit_bytes"][2] if each.labels["container"] == "training"
    ]
    info = of_gpu(found, "gpudock_container_info", container="training").labels
    assert (info["project"], info["service"], info["engine"]) == ("llm", "train", "podman")
    assert of_gpu(found, "gpudock_user_gpus_held", user="bob").value == 1
    assert not [each for each in found["gpudock_user_gpu_memory_bytes"][2] if each.labels["user"] == "carol"]  # unknown


def test_time_and_energy_of_people_only_grow() -> None:
    tally = Tally()
    for tick in (0, 1, 2, 2, 60):  # the same sample twice counts once; a gap counts little
        tally.add(demo.sample(tick))
    found = parsed(exposition(tally=tally).text(["gpudock"]))
    held = of_gpu(found, "gpudock_user_gpu_held_seconds_total", user="bob").value
    assert held == pytest.approx(2 + 3 + 0.012)
    assert of_gpu(found, "gpudock_user_gpu_used_seconds_total", user="bob").value == pytest.approx(
        held * 0.97, abs=0.01
    )
    assert of_gpu(found, "gpudock_user_gpu_energy_joules_total", user="bob").value == pytest.approx(
        held * 621.5, rel=0.01
    )


def test_a_counter_of_which_not_all_is_told_is_absent_and_not_less() -> None:
    tally = Tally()
    untold = Missing("Not Supported")

    def look(tick: int, **reading: Any) -> dict[str, dict[str, float]]:
        """Of alice, who has two GPUs alone, and of bob: the second of hers is read so."""
        gpus = (demo.gpu(0, 0), replace(demo.gpu(1, 0), **reading), demo.gpu(2, 0))
        whose = ((0, demo.ALICE, 50), (1, demo.ALICE, untold if reading else 50), (2, demo.BOB, 0))
        processes = tuple(
            replace(demo.process(4000 + index, index, 1, 0, owner=owner), utilization=Utilization(gpu=load))
            for index, owner, load in whose
        )
        tally.add(demo.sample(tick, gpus=gpus, processes=processes))
        return {
            name: {each.labels["user"]: each.value for each in found[2]}
            for name, found in parsed(exposition(tally=tally).text(["gpudock"])).items()
            if name.startswith("gpudock_user_gpu_") and name.endswith("_total")
        }

    used, energy = "gpudock_user_gpu_used_seconds_total", "gpudock_user_gpu_energy_joules_total"
    look(0)
    found = look(1, utilization=Utilization(gpu=untold))
    assert found["gpudock_user_gpu_held_seconds_total"] == {"alice": 2.0, "bob": 0.75}
    assert found[used].keys() == {"bob"}
    assert found[energy].keys() == {"alice", "bob"}
    for tick in range(2, 50):
        found = look(tick)
        assert found[used].keys() == {"bob"}  # one second of two was not told, which is more than a hundredth
    for tick in range(50, 53):
        found = look(tick)
    assert found[used]["alice"] > 0
    found = look(53, power=Power(), utilization=Utilization(gpu=untold))
    assert found[used].keys() == found[energy].keys() == {"bob"}  # not told now
    assert look(54)[used].keys() == {"bob"}


def test_others_of_whom_not_all_is_told_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_people, "MOST", 1)
    told = dict(metrics_people._most({"a": 1.5, "b": 2.0, "c": 3.0}))
    assert told == {'{user="a"}': 1.5, '{user="other"}': 5.0}
    untold = dict(metrics_people._most({"a": 1.5, "b": Missing("no"), "c": 3.0}))
    assert isinstance(untold['{user="other"}'], Missing)


def test_the_number_of_series_is_bounded_whatever_others_name() -> None:
    containers = tuple(
        Container(id=f"{index:064x}", name=f"c{index}", owner=Owner(name=f"u{index}")) for index in range(500)
    )
    processes = tuple(
        Process(pid=index + 1, gpu=demo.UUIDS[0], container=each.id, memory=1) for index, each in enumerate(containers)
    )
    people = tuple(Person(name=f"u{index}", memory=1, utilization=0) for index in range(500))
    found = parsed(exposition(containers=containers, processes=processes, people=people).text(["gpudock"]))
    assert len(found["gpudock_container_info"][2]) == metrics_people.MOST
    memory = found["gpudock_container_gpu_memory_bytes"][2]
    assert len(memory) == metrics_people.MOST + 1
    assert sum(each.value for each in memory) == 500
    assert of_gpu(found, "gpudock_container_gpu_memory_bytes", container="other").value == 300
    users = found["gpudock_user_gpu_memory_bytes"][2]
    assert len(users) == metrics_people.MOST + 1
    tally = Tally()
    tally.add(demo.sample(0))
    for tick in range(1, 4):
        tally.add(
            demo.sample(
                tick,
                processes=tuple(
                    replace(each, owner=Owner(name=f"x{tick}-{index}")) for index, each in enumerate(processes)
                ),
            )
        )
    assert len(tally.held) <= Tally.MOST + 1


def test_hostile_names_stay_in_their_label() -> None:
    evil = 'a"} 1\nevil_metric 1\\' + "x" * 1000
    sample = demo.sample()
    named = (replace(sample.containers[0], name=evil, image=evil, environment=evil), *sample.containers[1:])
    data = exposition(containers=named).text()
    found = parsed(data)
    assert "evil_metric" not in found
    label = of_gpu(found, "gpudock_container_info", id="a1a1a1a1a1a1").labels["container"]
    assert label == evil[:128]


def test_what_is_missing_is_absent_and_never_zero() -> None:
    gpu = Gpu(
        index=0, uuid="GPU-0", bus_id="0000:03:00.0", minor=0, memory=Memory(total=5), power=Power(draw=Missing("no"))
    )
    found = parsed(exposition(gpus=(gpu,), processes=(), containers=(), people=()).text())
    assert "DCGM_FI_DEV_POWER_USAGE" not in found
    assert "gpudock_gpu_power_watts" not in found
    assert of_gpu(found, "gpudock_gpu_memory_size_bytes", gpu="0").value == 5


def test_a_gpu_of_which_nobody_knows_whether_it_is_used_is_not_said_to_be() -> None:
    gpu = replace(demo.gpu(1, 0), utilization=Utilization(gpu=Missing("no")))
    assert "gpudock_gpu_idle_seconds" not in parsed(exposition(gpus=(gpu,)).text(["gpudock"]))


def test_old_samples_give_no_gpu_series_but_say_that_they_are_old() -> None:
    found = parsed(exposition(age=30.0).text())
    assert found["gpudock_collect_success"][2][0].value == 0
    assert found["gpudock_collect_age_seconds"][2][0].value == 30
    assert found["nvidia_smi_last_collect_success"][2][0].value == 0
    assert parsed(exposition(Choice(small=SMALL["bugroger"]), age=30.0).text())["nvidia_up"][2][0].value == 0
    assert not [name for name in found if "util" in name.lower() or "memory" in name or "held" in name]


def test_no_gpu_at_all() -> None:
    nothing: dict[str, Any] = {"gpus": Missing("no driver"), "processes": (), "containers": (), "people": ()}
    found = parsed(exposition(**nothing, age=3600.0).text())  # any more
    assert found["gpudock_collect_success"][2][0].value == 0
    assert found["gpudock_collect_age_seconds"][2][0].value == 3600
    assert found["nvidia_smi_last_collect_success_timestamp_seconds"][2][0].value == demo.START
    assert "gpudock_gpus" not in found
    never = parsed(exposition(**nothing, driver=Missing("not told")).text())
    assert never["gpudock_collect_success"][2][0].value == 0
    assert "gpudock_collect_age_seconds" not in never
    assert "nvidia_smi_last_collect_success_timestamp_seconds" not in never


def test_no_series_is_there_twice_however_names_are_cut() -> None:
    """Long names of pods, a person called as the sum is, ids with the same beginning, GPUs without a node."""
    owners = [Owner(name="n" * 128 + end) for end in ("/a", "/b")] + [Owner(name="other"), Owner(name="zoe")]
    containers = tuple(
        Container(id=f"{'a' * 12}{place:052x}", owner=Owner(name="n" * 200), use=Use(memory=place))
        for place in range(3)
    )
    processes = tuple(
        Process(pid=place + 1, gpu=demo.UUIDS[0], memory=1, owner=owner, container=containers[place % 3].id)
        for place, owner in enumerate(owners)
    )
    gpus = tuple(replace(demo.gpu(index, 0), minor=-1) for index in range(2))
    sample = demo.sample(processes=processes, containers=containers, gpus=gpus)
    tally = Tally()
    for tick in range(2):
        tally.add(replace(sample, time=demo.START + tick))
    changed = {"processes": processes, "containers": containers, "gpus": gpus, "people": gather.people(processes)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics_people, "MOST", 3)
        choices = [Choice(GROUPS, processes=True), *(Choice(small=small) for small in SMALL.values())]
        texts = [exposition(choice, tally, **changed).text().decode() for choice in choices]
    for lines in (text_.splitlines() for text_ in texts):
        series = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
        assert len(series) == len(set(series)) > 3
    held = of_gpu(parsed(texts[0].encode()), "gpudock_user_gpu_held_seconds_total", user="n" * 128)
    others = of_gpu(parsed(texts[0].encode()), "gpudock_user_gpu_held_seconds_total", user="other")
    assert (held.value, others.value) == (2, 2)  # both of one name; the one called so, and the sum
    assert of_gpu(parsed(texts[0].encode()), "gpudock_container_gpu_memory_bytes", uuid=demo.UUIDS[0]).value == 4


def test_each_sample_is_written_once() -> None:
    made = exposition()
    assert made.text() is made.text()
    assert made.text(["dcgm"]) is not made.text(["gpudock"])
    assert made.text(["unknown"]) == b""


def test_roguepandas_exporter_is_what_it_was() -> None:
    """Two K80, the second without thresholds, one process: as the real one answered. The order means nothing."""

    def k80(index: int, **thresholds: int) -> Gpu:
        return Gpu(
            index=index, uuid=f"GPU-{index}", bus_id=f"0000:0{index}:00.0", minor=index, name="Tesla K80",
            memory=Memory(total=11995578368, used=65011712, free=11930566656, reserved=Missing("counted as used")),
            temperature=Temperature(gpu=34 + index, **thresholds),
            utilization=Utilization(gpu=0),
        )  # fmt: skip

    gpus = (k80(0, slowdown=88, shutdown=93), k80(1))
    processes = (Process(pid=7, gpu="GPU-0"), Process(pid=8, gpu="GPU-0", kind="G"))
    made = exposition(Choice(small=SMALL["roguepanda"]), gpus=gpus, processes=processes, containers=(), people=())
    expected = (DATA / "roguepanda.txt").read_text()
    assert sorted(made.text().decode().splitlines()) == sorted(expected.splitlines())


@pytest.mark.parametrize(
    ("name", "metric", "labels", "value"),
    [
        ("mindprince", "nvidia_gpu_duty_cycle", {"minor_number": "0", "uuid": demo.UUIDS[0], "name": "NVIDIA H200"}, 73),
        ("mindprince", "nvidia_gpu_power_usage_milliwatts", {"minor_number": "0"}, 489_500),
        ("mindprince", "nvidia_gpu_num_devices", {}, 4),
        ("mindprince", "nvidia_gpu_memory_used_bytes", {"minor_number": "0"}, (40 << 30) + (615 << 20)),
        ("bugroger", "nvidia_up", {}, 1),
        ("bugroger", "nvidia_info", {"minor": "0", "uuid": demo.UUIDS[0], "name": "NVIDIA H200"}, 1),
        ("bugroger", "nvidia_utilization_gpu", {"minor": "0"}, 73),
        ("roguepanda", "nvidia_mem_used_bytes", {"device_index": "0"}, (40 << 30) + (615 << 20)),
    ],
)  # fmt: skip
def test_old_exporters(name: str, metric: str, labels: dict[str, str], value: float) -> None:
    data = exposition(Choice(small=SMALL[name])).text()
    assert of_gpu(parsed(data), metric, **labels).value == value
    assert set(types(data).values()) == {"gauge"}
    assert types(data).keys() <= {family.name for family in SMALL[name].families}


def test_what_is_listed_is_what_is_exported() -> None:
    gpu = replace(
        demo.gpu(1, 0), fan=50,
        profiling=Profiling(graphics=1.0, sm=1.0, occupancy=1.0, tensor=1.0, dram=1.0, pcie_sent=1, pcie_received=1),
        ecc=replace(demo.gpu(1, 0).ecc, retired_pending=False),
        encoder=Encoder(sessions=1, fps=60, latency=400), fabric=3, recovery=0, licensed=False,
        instances=(replace(demo.instance(0), profiling=Profiling(graphics=0.5, sm=0.5, occupancy=0.5, tensor=0.5)),),
    )  # fmt: skip
    tally = Tally()
    tally.add(demo.sample(0))
    tally.add(demo.sample(1))
    made = exposition(Choice(GROUPS, processes=True), tally, gpus=(gpu, *demo.sample().gpus[2:]))  # type: ignore[index]
    kinds = types(made.text())
    listed = {
        family.name: family.kind
        for module in (metrics_own, metrics_people, metrics_dcgm, metrics_smi)
        for family in (*module.FAMILIES, *getattr(module, "OF_PROCESSES", ()))
    }
    assert kinds == listed


def test_text_of_numbers() -> None:
    rows = [(written([("a", "b"), ("none", "")]), 1), ("", True), ("", 0.5), ("", None)]
    assert text([Metric(Family("x", "gauge", "X."), rows)]) == b'# HELP x X.\n# TYPE x gauge\nx{a="b"} 1\nx 1\nx 0.5\n'
    assert text([Metric(Family("x", "gauge", "X."), [("", Missing("no"))])]) == b""


def test_a_sample_without_processes_has_no_containers_series() -> None:
    found = parsed(exposition(processes=(), containers=(), people=()).text(["gpudock"]))
    assert not [name for name in found if "container" in name]
    sample: Sample = demo.sample()
    assert sample.containers


def test_a_gpu_of_which_nobody_tells_who_uses_it_is_not_free() -> None:
    told, untold = Gpu(index=0, uuid="GPU-0", bus_id="", minor=0), Gpu(index=1, uuid="GPU-1", bus_id="", minor=1)
    load = Utilization(gpu=0)
    told, untold = replace(told, utilization=load), replace(untold, utilization=load, untold=Missing("Not Supported"))

    def series(*gpus: Gpu) -> dict[str, list[object]]:
        sample = Sample(time=1.0, gpus=gpus)
        both = (*metrics_own.metrics(sample), *metrics_smi.metrics(sample, processes=True))
        return {each.family.name: [value for _, value in each.series] for each in both}

    found = series(told, untold)
    assert found["gpudock_gpu_held"] == [0, None]
    assert found["gpudock_gpu_idle_seconds"] == [0.0, None]
    assert found["nvidia_smi_compute_apps_last_collect_success"] == [0]
    assert series(told)["nvidia_smi_compute_apps_last_collect_success"] == [1]
