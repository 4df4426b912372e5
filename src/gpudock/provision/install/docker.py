"""Docker Engine: from docker.com, the distribution, or files; its service; and who may use it. Pure."""

from gpudock.provision.install.step import Step, here, quoted
from gpudock.provision.install.target import Target
from gpudock.provision.install.wish import DEBS, DISTRIBUTION, DOCKER_COM, NONE, Wish

KEY = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"  # docs.docker.com/engine/install
KEYRING = "/etc/apt/keyrings/gpudock-docker.gpg"
SOURCE = "/etc/apt/sources.list.d/gpudock-docker.sources"
PIN = "/etc/apt/preferences.d/gpudock-docker"
FROM_DOCKER_COM = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin")
GROUP = (
    "whoever is in the group docker is root on this machine: docker run -v /:/host gives every file.\n"
    "Rootless docker and podman do not need it."
)


def steps(wish: Wish, target: Target) -> tuple[Step, ...]:
    if wish.docker == NONE:
        return ()
    source = (_source(target),) if wish.docker == DOCKER_COM else ()
    return (*source, _packages(wish, target), service(), *((_user(wish.user),) if wish.user else ()))


def _source(target: Target) -> Step:
    base = f"https://download.docker.com/linux/{target.system.id}"
    text = f"Types: deb\nURIs: {base}\nSuites: {target.system.codename}\nComponents: stable\nSigned-By: {KEYRING}\n"
    return Step(
        "docker_source",
        "docker.com's repository, and its key",
        f"its key counts only with the fingerprint {KEY}, and only for this repository",
        # A second entry with another key would stop apt: "Conflicting values set for Signed-By".
        "has_source download.docker.com",
        f"key_into {base}/gpg {KEY} {KEYRING}\n{here(text, SOURCE)}\nupdate_lists",
        f"restore_file {SOURCE}\nrestore_file {KEYRING}\nupdate_lists_if_possible",
        network=True,
    )


def _packages(wish: Wish, target: Target) -> Step:
    if wish.docker == DEBS:
        return _debs(wish.debs)
    names = target.system.docker if wish.docker == DISTRIBUTION else FROM_DOCKER_COM
    main, versioned = names[0], names if wish.docker == DISTRIBUTION else names[:2]
    where = "the distribution" if wish.docker == DISTRIBUTION else "docker.com"
    words = quoted(*names)
    options = f"--no-remove --no-install-recommends{_beside(wish)}"
    if not wish.docker_version:
        return Step(
            "docker_packages",
            f"Docker Engine from {where}: {', '.join(names)}",
            "the engine that runs the containers",
            f"installed {words}",
            f"update_lists\ninstall_packages docker_packages {options} {words}",
            "remove_packages docker_packages",
            network=True,
            keeps="images, volumes and settings in /var/lib/docker and /etc/docker, unless --purge-data is given",
        )
    wanted = quoted(wish.docker_version)
    others = [each for each in names if each not in versioned]
    pin = f"Package: {' '.join(versioned)}\\nPin: version %s\\nPin-Priority: 1001\\n"
    versions = " ".join(f'"{each}=$version"' for each in versioned)
    return Step(
        "docker_packages",
        f"Docker Engine {wish.docker_version} from {where}: {', '.join(names)}; upgrades leave that version alone",
        "the engine that runs the containers",
        f"installed {words} && has_version {main} {wanted} && [ -e {PIN} ]",
        f"""\
update_lists
version=$(full_version {main} {wanted})
printf '{pin}' "$version" | write_file {PIN} 644
install_packages docker_packages {options} --allow-downgrades \\
    {" ".join((versions, *map(quoted, others)))}""",
        f"remove_packages docker_packages\nrestore_file {PIN}",
        network=True,
        keeps="images, volumes and settings in /var/lib/docker and /etc/docker, unless --purge-data is given",
    )


def _beside(wish: Wish) -> str:
    """What the distribution's package only recommends, and docker cannot do without. Its service script uses ps."""
    return ' ca-certificates procps "$(apparmor_package)"' if wish.docker == DISTRIBUTION else ""


def _debs(folder: str) -> Step:
    where = quoted(folder)
    return Step(
        "docker_packages",
        f"Docker Engine from the files in {folder}",
        "this machine cannot reach a repository; nothing is fetched",
        f"""\
found=no
for file in {where}/*.deb; do
    [ -e "$file" ] || continue
    found=yes
    is_version "$(dpkg-deb -f "$file" Package)" "$(dpkg-deb -f "$file" Version)" || return 1
done
[ $found = yes ] || command -v dockerd >/dev/null""",
        f"""\
if [ -e {where}/SHA256SUMS ]; then
    (cd {where} && sha256sum --check --strict --quiet SHA256SUMS)
else
    say "      {folder} has no SHA256SUMS: the files are taken as they are"
fi
install_packages docker_packages --no-remove --no-download --no-install-recommends {where}/*.deb""",
        "remove_packages docker_packages",
        keeps="images, volumes and settings in /var/lib/docker and /etc/docker, unless --purge-data is given",
    )


def service() -> Step:
    return Step(
        "docker_service",
        "Docker runs, and does after each boot",
        "by systemd, or by its service script where there is no systemd",
        'docker_answers && { [ "$(service_kind)" != systemd ] || systemctl --quiet is-enabled docker.service; }',
        """\
case $(service_kind) in
systemd) systemctl enable --now docker.service docker.socket ;;
sysvinit)
    say "      no systemd here: started by /etc/init.d/docker; at boot, if this machine's init runs such scripts"
    docker_answers || service docker start
    ;;
none) docker_answers || die "neither systemd nor a service script: start dockerd in your way, then run this again" ;;
esac
await_docker""",
        """\
case $(service_kind) in
systemd) systemctl disable --now docker.service docker.socket || true ;;
sysvinit) service docker stop || true ;;
esac""",
        keeps="containers are stopped, not removed",
    )


def _user(name: str) -> Step:
    word = quoted(name)
    return Step(
        "docker_user",
        f"{name} may use docker without sudo (group docker)",
        "asked for with --user",
        f"id -nG {word} 2>/dev/null | tr ' ' '\\n' | grep -qx docker",
        f"""\
id -u {word} >/dev/null 2>&1 || die "there is no user {name}"
groupadd --system --force docker
usermod --append --groups docker {word}
say "      holds for new sessions of {name}\"""",
        f"gpasswd --delete {word} docker >/dev/null || true",
        warning=GROUP,
    )
