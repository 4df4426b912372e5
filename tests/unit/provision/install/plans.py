"""Plans that the golden files are of: one and more for each system, with everything that can be asked for somewhere."""

from pathlib import Path

from gpudock.provision.install import plan, target
from gpudock.provision.install.plan import Plan
from gpudock.provision.install.wish import Wish

FOLDER = Path(__file__).parents[3] / "data/install"
EVERYTHING = Wish(
    docker="docker.com",
    docker_version="27.3.1",
    driver="nvidia",
    driver_version="580.95.05",
    user="alice",
    proxy="http://user:s%40cret@proxy.example:3128",
    no_proxy="localhost,10.0.0.0/8,.example.org",
    then="curl -fsS https://join.example/?token='a b' && echo \"it's done\"",
    gpudock="gpudock[web]==1.0",
)
WISHES = {
    "plain": Wish(),
    "docker-com": Wish(docker="docker.com", driver="none"),
    "everything": EVERYTHING,
    "debs": Wish(docker="debs", debs="/srv/my debs", driver="distribution", module="proprietary"),
}


def named(system: str, wish: str) -> Plan:
    return plan.make(target.named(system), WISHES[wish])


NAMES = [(system, wish) for system in target.NAMES for wish in WISHES]
