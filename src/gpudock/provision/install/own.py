"""gpudock itself, its runtime and its units; the proof that a container starts; and the last command. Pure."""

from gpudock.provision.install.step import Step, quoted
from gpudock.provision.install.target import Target
from gpudock.provision.install.wish import NONE, Wish

VENV = "/usr/local/lib/gpudock"
LINK = "/usr/local/bin/gpudock"
_RUNTIMES = "docker info --format '{{range $name, $_ := .Runtimes}}{{$name}} {{end}}' 2>/dev/null"


def steps(wish: Wish, target: Target) -> tuple[Step, ...]:
    program = () if target.here else (_program(wish.gpudock, target),)
    docker = () if wish.docker == NONE else (_runtime(),)
    units = () if target.gpus == () else (_units(),)
    proof = () if wish.docker == NONE else (_verify(),)
    return (*program, *docker, *units, *proof, *((_then(wish.then),) if wish.then else ()))


def _program(spec: str, target: Target) -> Step:
    python = target.system.interpreter
    return Step(
        "gpudock",
        f"gpudock, in {VENV}",
        "in an environment of its own, owned by root: nothing of the distribution's Python is changed",
        'program=$(gpudock_path) && "$program" --version >/dev/null 2>&1',
        f"""\
update_lists
install_packages gpudock --no-remove --no-install-recommends {quoted(*target.system.python)}
rm -rf {VENV}
quietly {python} -I -m venv {VENV}
quietly {VENV}/bin/python -I -m pip install --disable-pip-version-check {quoted(spec)}
ln -sfn {VENV}/bin/gpudock {LINK}""",
        f"rm -rf {VENV}\nrm -f {LINK}\nremove_packages gpudock",
        network=True,
    )


def _runtime() -> Step:
    return Step(
        "runtime",
        "Docker knows gpudock's runtime",
        "for docker run --runtime gpudock --gpus all, compose files and swarm",
        f"{_RUNTIMES} | grep -qw gpudock",
        "note_own_files\nquietly gpudock configure docker --restart\nawait_docker",
        "quietly gpudock configure docker --undo\nremove_own_files",
    )


def _units() -> Step:
    return Step(
        "units",
        "Driver tree and CDI specification, renewed at each boot and driver change",
        "containers then always have the driver that is loaded",
        "! has_gpu || { [ -e /var/run/cdi/gpudock.json ] && gpudock cdi validate >/dev/null 2>&1 && units_are_there; }",
        """\
note_own_files
if [ -d /run/systemd/system ]; then
    quietly gpudock refresh --install-units
else
    say "      no systemd here: run gpudock refresh after each boot and each driver upgrade"
    quietly gpudock refresh
fi""",
        """\
if [ -d /run/systemd/system ]; then gpudock refresh --remove-units || true; fi
rm -f /var/run/cdi/gpudock.json""",
        keeps="the driver tree, while containers may have it mounted: /var/lib/gpudock/driver",
    )


def _verify() -> Step:
    return Step(
        "verify",
        "A container starts through gpudock's runtime, with the GPUs where there are some",
        "the proof: an image made of this machine's own files, so nothing is fetched",
        '[ "${VERIFIED:-no}" = yes ]',
        "verify_container\nVERIFIED=yes",
    )


def _then(command: str) -> Step:
    return Step(
        "then",
        f"The last step: {command}",
        "asked for with --then; it is run once",
        'marked finished/then || [ "${RAN:-no}" = yes ]',
        f"sh -c {quoted(command)}\nRAN=yes",
        keeps="what that command did",
    )
