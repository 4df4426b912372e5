"""What earlier installations left: packages and sources in the way, containers on old volumes. Pure."""

import re

from gpudock.provision.install.step import Step, quoted
from gpudock.provision.install.target import Target
from gpudock.provision.install.wish import DEBS, DISTRIBUTION, DOCKER_COM, Wish

NVIDIA_DOCKER = ("nvidia-docker", "nvidia-docker2", "nvidia-container-runtime")
ANCIENT = ("docker", "docker-engine", "lxc-docker")
_DOCKER_COM = ("docker-ce", "docker-ce-cli", "docker-ce-rootless-extras", "containerd.io")
_DISTRIBUTION = ("docker.io", "docker-doc", "podman-docker", "containerd", "runc")
ENDED = re.compile(r"nvidia\.github\.io/(?:nvidia-docker|nvidia-container-runtime)")  # repositories
IN_THE_WAY = {
    DISTRIBUTION: (*ANCIENT, *_DOCKER_COM),
    DOCKER_COM: (*ANCIENT, *_DISTRIBUTION),
    DEBS: ANCIENT,
}


def sources(target: Target) -> tuple[Step, ...]:
    """Before anything asks apt, which refuses to read the lists of a repository that has ended."""
    if target.packages is not None and not any(ENDED.search(line) for line in target.sources):
        return ()
    return (
        Step(
            "old_sources",
            "Without the ended sources of nvidia-docker and nvidia-container-runtime",
            "apt-get update fails while they are there; what they had is in NVIDIA's newer repository",
            '[ -z "$(old_sources)" ]',
            """\
for file in $(old_sources); do
    printf '%s\\n' "$file" >>"$STATE/old-sources"
    without_ended "$file" >"$STATE/source"
    write_file "$file" 644 <"$STATE/source"
done""",
            """\
[ -e "$STATE/old-sources" ] || return 0
while read -r file; do restore_file "$file"; done <"$STATE/old-sources"
rm -f "$STATE/old-sources\"""",
        ),
    )


def steps(wish: Wish, target: Target) -> tuple[Step, ...]:
    """Nothing where the machine is known to have none of it."""
    names = (*NVIDIA_DOCKER, *IN_THE_WAY.get(wish.docker, ()))
    there = names if target.packages is None else tuple(each for each in names if each in target.packages)
    v1 = target.packages is None or "nvidia-docker" in target.packages
    return (*((_containers(),) if v1 else ()), *((_packages(there),) if there else ()))


def _containers() -> Step:
    return Step(
        "old_containers",
        "Containers on volumes of nvidia-docker 1 are looked after",
        "they cannot start any more once its volume plugin is gone",
        '[ -z "$(old_containers)" ] || marked old-containers',
        """\
names=$(old_containers | one_line)
say "      on volumes of nvidia-docker 1: $names"
if [ "$COMMIT_OLD" = yes ]; then
    for name in $names; do
        docker commit "$name" "gpudock-kept/$(lower "$name")" >/dev/null
        say "      $name is kept as the image gpudock-kept/$(lower "$name")"
    done
fi
if [ "$REMOVE_CONTAINERS" = yes ]; then
    for name in $names; do docker rm --force "$name" >/dev/null; done
elif [ "$REMOVE_OLD" != yes ]; then
    die "to keep their files as images: COMMIT_OLD=yes (--commit-old); to go on: REMOVE_OLD=yes (--remove-old), \\
which leaves them there, unable to start, or REMOVE_CONTAINERS=yes (--remove-containers)"
fi
mark old-containers "$names\"""",
        'rm -f "$STATE/old-containers"',
        keeps="removed containers stay removed; images made of them stay",
    )


def _packages(names: tuple[str, ...]) -> Step:
    words = quoted(*names)
    kept = " Docker from docker.com stays with --docker docker.com." if "docker-ce" in names else ""
    return Step(
        "old_packages",
        f"Without {', '.join(names)}",
        "they are in the way of what is installed next, or of its updates",
        f'[ -z "$(only_installed {words})" ]',
        f"""\
names=$(only_installed {words} | one_line)
[ "$REMOVE_OLD" = yes ] || die "in the way: $names- to have them removed: REMOVE_OLD=yes (--remove-old). \\
Images, volumes and settings in /var/lib/docker and /etc/docker stay.{kept}"
# shellcheck disable=SC2086,SC2016 # names of packages, a word each; dpkg's own variables
marked old-packages || dpkg-query -W -f '${{Package}}=${{Version}}\\n' $names | put "$STATE/old-packages" 644
repair_packages
# shellcheck disable=SC2086
quietly apt_get remove $names""",
        """\
if [ -e "$STATE/old-packages" ]; then
    say "      removed before; to have them again: apt-get install $(one_line <"$STATE/old-packages")"
fi""",
        keeps="the packages are not installed again; the command that does is printed",
    )
