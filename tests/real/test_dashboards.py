"""A real Prometheus that scrapes us: the panels of popular dashboards and of our own have something to show."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gpudock import proc
from gpudock.monitor import grafana
from gpudock.monitor.metrics_smi import REASONS
from gpudock.testing.simulate import build, description
from gpudock.testing.simulate.machine import Process
from real.harness.page import serving
from real.harness.prometheus import Prometheus, prometheus
from unit.monitor.scene import SceneSource

pytestmark = pytest.mark.real

RULES = Path(grafana.__file__).parent / "gpudock-alerts.yml"
OF_INSTANCES = ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "DCGM_FI_DEV_FB_USED")
# Dashboard 12239 chooses by instance and gpu, since 2023 by Hostname and gpu, with instances of MIG on their own.
NVIDIA = (
    *(
        f'{name}{{{place}=~".+", gpu=~".*"}}'
        for name in (
            "DCGM_FI_DEV_GPU_TEMP",
            "DCGM_FI_DEV_POWER_USAGE",
            "DCGM_FI_DEV_SM_CLOCK",
            "DCGM_FI_DEV_GPU_UTIL",
            "DCGM_FI_DEV_FB_USED",
            "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        )
        for place in ("instance", "Hostname")
    ),
    *(f'max({name}{{gpu=~".*"}}) by (Hostname, gpu, GPU_I_ID, GPU_I_PROFILE)' for name in OF_INSTANCES),
)
# Dashboards 14574 (one GPU) and 25547 (all GPUs of a machine), and the alerts beside them: what they read of each GPU.
DETAIL = tuple(
    f"nvidia_smi_{name}"
    for name in (
        *("gpu_info", "index", "utilization_gpu_ratio", "utilization_memory_ratio", "pstate", "compute_mode"),
        *("memory_used_bytes", "memory_total_bytes", "temperature_gpu", "fan_speed_ratio"),
        *("power_draw_watts", "power_limit_watts", "enforced_power_limit_watts", "power_default_limit_watts"),
        *("energy_joules_total", "clocks_current_graphics_clock_hz", "clocks_current_sm_clock_hz"),
        *("clocks_current_memory_clock_hz", "clocks_current_video_clock_hz"),
        *("clocks_max_graphics_clock_hz", "clocks_max_memory_clock_hz"),
        *("pcie_throughput_tx_bytes_per_second", "pcie_throughput_rx_bytes_per_second"),
        *(f"clocks_{spelling}_reasons_{reason}" for spelling in ("event", "throttle") for reason in REASONS),
        *("ecc_errors_uncorrected_aggregate_total", "ecc_errors_uncorrected_volatile_total"),
        *("remapped_rows_failure", "remapped_rows_pending", "gpu_recovery_action", "fabric_state"),
        *("xid_errors_total", "xid_last_timestamp_seconds", "encoder_stats_session_count"),
        *("compute_app_info", "compute_app_used_memory_bytes"),
    )
)
OF_THE_MACHINE = tuple(
    f"nvidia_smi_{name}"
    for name in (
        *("last_collect_success", "last_collect_success_timestamp_seconds", "last_collect_duration_seconds"),
        "compute_apps_last_collect_success",
    )
)
OF_MIG = tuple(f"nvidia_smi_mig_{name}" for name in ("memory_used_bytes", "sm_activity_ratio", "tensor_activity_ratio"))


@pytest.fixture(scope="module")
def machine(session_root: Path) -> Path:
    """Two H200: one with everything that can be told, one with MIG."""
    made = description.make(2, "H200", "580.159.04", mig=("", "3g.71gb,1g.18gb"))
    holder = Process(pid=1, name="python3", used_memory=1 << 30, utilization=30)
    first = replace(
        made.gpus[0], utilization=40, power=350_000, pcie=5000, links=18, fan=55, xid=79, encoder=5, processes=(holder,)
    )
    folder = session_root / "dashboards"
    build.build(replace(made, gpus=(first, *made.gpus[1:])), str(folder), runner=proc.run)
    return folder


@pytest.fixture(scope="module")
def scraped(machine: Path, session_root: Path) -> Iterator[Prometheus]:
    """`gpudock serve` on simulated GPUs as the job serve, a busy server as the job scene."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    argv = [sys.executable, "-m", "gpudock", "serve", "--simulated", str(machine), "--listen", f"127.0.0.1:{port}"]
    argv += ["--families", "gpudock,dcgm,nvidia_smi", "--process-series", "--no-history"]
    env = os.environ | {"GPUDOCK_RUN_DIR": str(session_root / "dashboards-run")}
    running = subprocess.Popen(argv, stderr=subprocess.DEVNULL, env=env)
    folder = session_root / "prometheus"
    folder.mkdir()
    try:
        with serving(SceneSource()) as scene:
            targets = {"serve": f"127.0.0.1:{port}", "scene": scene.split("/")[2]}
            with prometheus(folder, targets, (RULES,)) as started:
                started.wait('DCGM_FI_DEV_GPU_TEMP{job="serve"}')
                started.wait('nvidia_smi_pcie_throughput_tx_bytes_per_second{job="serve"}')  # after two slow looks
                started.wait('increase(gpudock_user_gpu_held_seconds_total{job="scene"}[20s]) > 1')
                yield started
    finally:
        running.terminate()
        running.wait(10)


def test_dashboard_12239_has_no_empty_panel(scraped: Prometheus) -> None:
    """Also what needs a Hopper GPU: these are."""
    assert [query for query in NVIDIA if not scraped.values(query.replace("{", '{job="serve", ', 1))] == []
    for name in OF_INSTANCES:
        (of_instance,) = scraped.values(f'{name}{{job="serve", GPU_I_PROFILE="3g.71gb"}}')
        assert of_instance["metric"]["GPU_I_ID"]


def test_dashboards_14574_and_25547_have_no_empty_panel(scraped: Prometheus) -> None:
    """They choose job, then node, then GPU by what gpu_info says, and join MIG's figures with mig_info."""
    first, second = (scraped.values(f'nvidia_smi_index{{job="serve"}} == {place}')[0]["metric"] for place in (0, 1))
    assert not first["uuid"].startswith("GPU-")
    of_gpu = f'instance="{first["instance"]}", job="serve"'
    queries = [f'{name}{{uuid="{first["uuid"]}", {of_gpu}}}' for name in DETAIL]
    queries += [f"{name}{{{of_gpu}}}" for name in OF_THE_MACHINE]
    info = f'nvidia_smi_mig_info{{uuid="{second["uuid"]}", {of_gpu}}}'
    profiles = (
        f'max by (uuid, gpu_instance_id, profile) (label_replace({info}, "profile", "$1", "profile", "^[0-9]+c.(.*)$"))'
    )
    queries += [
        f'{name}{{uuid="{second["uuid"]}"}} * on (uuid, gpu_instance_id) group_left (profile) ({profiles})'
        for name in OF_MIG
    ]
    queries.append(f'sum(increase(nvidia_smi_energy_joules_total{{uuid="{first["uuid"]}"}}[24h]))')
    assert [query for query in queries if not scraped.values(query)] == []
    joined = f"nvidia_smi_utilization_gpu_ratio{{{of_gpu}}} * on (uuid) group_left (name) nvidia_smi_gpu_info"
    assert scraped.values(joined)[0]["metric"]["name"] == "NVIDIA H200"


def panels(name: str) -> list[tuple[str, str]]:
    board = json.loads(grafana.files()[name])
    return [(panel["title"], each["expr"]) for panel in board["panels"] for each in panel["targets"]]


@pytest.mark.parametrize("name", ["gpudock-gpus.json", "gpudock-people.json"])
def test_our_dashboards_have_no_empty_panel(scraped: Prometheus, name: str) -> None:
    empty = []
    for title, expression in panels(name):
        query = expression.replace("$__rate_interval", "10s").replace("$__range", "20s")
        query = re.sub(r"\$(instance|gpu|user)", ".*", query)
        assert "$" not in query, query
        if not scraped.values(query):
            empty.append(f"{title}: {query}")
    assert empty == []


def test_what_dashboards_choose_from(scraped: Prometheus) -> None:
    for name in grafana.NAMES[:2]:
        for variable in json.loads(grafana.files()[name])["templating"]["list"][1:]:
            found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert found is not None
            series = scraped.values(found[1].replace("$instance", ".*"))
            assert {each["metric"][found[2]] for each in series} > set()


def test_alerts_are_good_rules(scraped: Prometheus) -> None:
    checked = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "12 rules found" in checked.stdout
    loaded = [rule for group in scraped.ask("rules")["groups"] for rule in group["rules"]]
    assert [rule["lastError"] for rule in loaded if rule.get("lastError")] == []
    assert len(loaded) == 12


def test_alerts_over_time(tmp_path: Path) -> None:
    """promtool runs the rules on invented hours."""
    source = Path(__file__).parents[1] / "data" / "monitor" / "alerts_test.yml"
    test = tmp_path / "alerts_test.yml"
    test.write_text(source.read_text().replace("gpudock-alerts.yml", str(RULES)))
    ran = subprocess.run(["promtool", "test", "rules", test], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
