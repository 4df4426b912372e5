import json

import yaml

from gpudock.env.image import eject
from gpudock.env.image.dockerfile import Written
from gpudock.env.naming import Names
from gpudock.env.recipe import Recipe, Resources, Service

NAMES = Names("seg", "01234567")
WRITTEN = Written({"Dockerfile": ("FROM x\n", 0o644), "entry": ("", 0o755)})
RECIPE = Recipe(
    gpus="1",
    env={"PRICE": "$5", "HOME_OF": None},
    volumes=("/data:/data:ro",),
    resources=Resources(memory="8g", memory_swap="-1", cpus=2, cpuset="0-1", shm_size="1g", pids=100),
    services={
        "jupyter": None,
        "tensorboard": Service(port=7000, host_port=7001),
        "code": Service(extensions=("ms-python.python",)),
    },
)


def test_compose() -> None:
    text = eject.compose(RECIPE, NAMES, WRITTEN).files["compose.yaml"][0]
    assert "JUPYTER_TOKEN=... PASSWORD=... docker compose up" in text
    services = yaml.safe_load(text)["services"]
    assert set(services) == {"seg", "jupyter", "tensorboard", "code"}
    for each in services.values():
        assert each["volumes"] == ["..:/workspace", "/data:/data:ro"]
        assert each["mem_limit"] == "8g"
        assert each["memswap_limit"] == "-1"
        assert each["environment"]["GPUDOCK_UID"] == "${UID:?}"
        assert each["environment"]["PRICE"] == "$$5"
        (device,) = each["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert services["jupyter"]["environment"]["JUPYTER_TOKEN"] == "${JUPYTER_TOKEN:?}"
    assert services["jupyter"]["command"][0] == "jupyter"
    assert services["jupyter"]["ports"] == ["127.0.0.1:8888:8888"]
    assert services["tensorboard"]["ports"] == ["127.0.0.1:7001:7000"]
    assert "--config" not in services["code"]["command"]


def test_which_gpus() -> None:
    def devices(gpus: str) -> object:
        text = eject.compose(Recipe(gpus=gpus), NAMES, WRITTEN).files["compose.yaml"][0]
        found = yaml.safe_load(text)["services"]["seg"].get("deploy")
        return found and found["resources"]["reservations"]["devices"][0]

    assert devices("") is None
    assert devices("none") is None
    assert devices("all") == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert devices("device=0,2") == {"driver": "nvidia", "device_ids": ["0", "2"], "capabilities": ["gpu"]}


def test_a_dev_container() -> None:
    files = eject.devcontainer(RECIPE, NAMES, WRITTEN).files
    told = json.loads(files["devcontainer.json"][0])
    assert told["runArgs"][:2] == ["--gpus", "1"]
    assert "--memory-swap=-1" in told["runArgs"]
    assert told["remoteUser"] == "dev"
    assert "useradd --create-home --shell /bin/bash dev" in files["Dockerfile"][0]
    assert told["forwardPorts"] == [8888, 7000, 8000]
    assert told["customizations"]["vscode"]["extensions"] == ["ms-python.python"]
    assert told["containerEnv"] == {"PRICE": "$5"}
