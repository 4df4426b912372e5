#!/bin/sh
# Made by gpudock 0.1.0: Docker and NVIDIA GPUs for ubuntu 24.04.
# Each step says what it does, looks whether it is done, does it, looks again, and can take it back.
# Run it as root, as often as you like: it does what is left. sh THIS-FILE check | list | undo
# POSIX sh. Not in it: curl piped into a shell, apt-key, unchecked keys, rm of anything it has not made.
# UNVERIFIED: docker from docker.com on ubuntu-24.04, gpudock by pip: never executed by gpudock's tests. Read it before you run it.

set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022

REMOVE_OLD=${REMOVE_OLD:-no}
COMMIT_OLD=${COMMIT_OLD:-no}
REMOVE_CONTAINERS=${REMOVE_CONTAINERS:-no}

# ---- the steps ----

# This is ubuntu 24.04, with 5 GiB free
#   why:  the other steps are written for it
check_machine() {
    [ "$(os_release ID) $(os_release VERSION_ID)" = 'ubuntu 24.04' ] ||
        die "this is $(os_release ID) $(os_release VERSION_ID), not ubuntu 24.04"
    mkdir -p /var/lib
    free=$(df --output=avail -B1M /var/lib | tail -n 1)
    [ "$free" -ge 5120 ] || die "/var/lib has $free MiB free, 5120 are needed"
}
apply_machine() {
    :
}
undo_machine() {
    :
}

# Without the ended sources of nvidia-docker and nvidia-container-runtime
#   why:  apt-get update fails while they are there; what they had is in NVIDIA's newer repository
check_old_sources() {
    [ -z "$(old_sources)" ]
}
apply_old_sources() {
    for file in $(old_sources); do
        printf '%s\n' "$file" >>"$STATE/old-sources"
        without_ended "$file" >"$STATE/source"
        write_file "$file" 644 <"$STATE/source"
    done
}
undo_old_sources() {
    [ -e "$STATE/old-sources" ] || return 0
    while read -r file; do restore_file "$file"; done <"$STATE/old-sources"
    rm -f "$STATE/old-sources"
}

# curl and gpg, to fetch keys and to look at their fingerprints
#   why:  sources are trusted by the fingerprint of their key
check_tools() {
    installed ca-certificates curl gpg
}
apply_tools() {
    update_lists
    install_packages tools --no-remove --no-install-recommends ca-certificates curl gpg
}
undo_tools() {
    remove_packages tools
}

# Containers on volumes of nvidia-docker 1 are looked after
#   why:  they cannot start any more once its volume plugin is gone
#   undo leaves: removed containers stay removed; images made of them stay
check_old_containers() {
    [ -z "$(old_containers)" ] || marked old-containers
}
apply_old_containers() {
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
        die "to keep their files as images: COMMIT_OLD=yes (--commit-old); to go on: REMOVE_OLD=yes (--remove-old), \
    which leaves them there, unable to start, or REMOVE_CONTAINERS=yes (--remove-containers)"
    fi
    mark old-containers "$names"
}
undo_old_containers() {
    rm -f "$STATE/old-containers"
}

# Without nvidia-docker, nvidia-docker2, nvidia-container-runtime, docker, docker-engine, lxc-docker, docker.io, docker-doc, podman-docker, containerd, runc
#   why:  they are in the way of what is installed next, or of its updates
#   undo leaves: the packages are not installed again; the command that does is printed
check_old_packages() {
    [ -z "$(only_installed nvidia-docker nvidia-docker2 nvidia-container-runtime docker docker-engine lxc-docker docker.io docker-doc podman-docker containerd runc)" ]
}
apply_old_packages() {
    names=$(only_installed nvidia-docker nvidia-docker2 nvidia-container-runtime docker docker-engine lxc-docker docker.io docker-doc podman-docker containerd runc | one_line)
    [ "$REMOVE_OLD" = yes ] || die "in the way: $names- to have them removed: REMOVE_OLD=yes (--remove-old). \
    Images, volumes and settings in /var/lib/docker and /etc/docker stay."
    # shellcheck disable=SC2086,SC2016 # names of packages, a word each; dpkg's own variables
    marked old-packages || dpkg-query -W -f '${Package}=${Version}\n' $names | put "$STATE/old-packages" 644
    repair_packages
    # shellcheck disable=SC2086
    quietly apt_get remove $names
}
undo_old_packages() {
    if [ -e "$STATE/old-packages" ]; then
        say "      removed before; to have them again: apt-get install $(one_line <"$STATE/old-packages")"
    fi
}

# docker.com's repository, and its key
#   why:  its key counts only with the fingerprint 9DC858229FC7DD38854AE2D88D81803C0EBFCD88, and only for this repository
check_docker_source() {
    has_source download.docker.com
}
apply_docker_source() {
    key_into https://download.docker.com/linux/ubuntu/gpg 9DC858229FC7DD38854AE2D88D81803C0EBFCD88 /etc/apt/keyrings/gpudock-docker.gpg
    write_file /etc/apt/sources.list.d/gpudock-docker.sources 644 <<'END'
Types: deb
URIs: https://download.docker.com/linux/ubuntu
Suites: noble
Components: stable
Signed-By: /etc/apt/keyrings/gpudock-docker.gpg
END
    update_lists
}
undo_docker_source() {
    restore_file /etc/apt/sources.list.d/gpudock-docker.sources
    restore_file /etc/apt/keyrings/gpudock-docker.gpg
    update_lists_if_possible
}

# Docker Engine from docker.com: docker-ce, docker-ce-cli, containerd.io, docker-buildx-plugin, docker-compose-plugin
#   why:  the engine that runs the containers
#   undo leaves: images, volumes and settings in /var/lib/docker and /etc/docker, unless --purge-data is given
check_docker_packages() {
    installed docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin
}
apply_docker_packages() {
    update_lists
    install_packages docker_packages --no-remove --no-install-recommends docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin
}
undo_docker_packages() {
    remove_packages docker_packages
}

# Docker runs, and does after each boot
#   why:  by systemd, or by its service script where there is no systemd
#   undo leaves: containers are stopped, not removed
check_docker_service() {
    docker_answers && { [ "$(service_kind)" != systemd ] || systemctl --quiet is-enabled docker.service; }
}
apply_docker_service() {
    case $(service_kind) in
    systemd) systemctl enable --now docker.service docker.socket ;;
    sysvinit)
        say "      no systemd here: started by /etc/init.d/docker; at boot, if this machine's init runs such scripts"
        docker_answers || service docker start
        ;;
    none) docker_answers || die "neither systemd nor a service script: start dockerd in your way, then run this again" ;;
    esac
    await_docker
}
undo_docker_service() {
    case $(service_kind) in
    systemd) systemctl disable --now docker.service docker.socket || true ;;
    sysvinit) service docker stop || true ;;
    esac
}

# gpudock, in /usr/local/lib/gpudock
#   why:  in an environment of its own, owned by root: nothing of the distribution's Python is changed
check_gpudock() {
    program=$(gpudock_path) && "$program" --version >/dev/null 2>&1
}
apply_gpudock() {
    update_lists
    install_packages gpudock --no-remove --no-install-recommends python3 python3-venv
    rm -rf /usr/local/lib/gpudock
    quietly python3 -I -m venv /usr/local/lib/gpudock
    quietly /usr/local/lib/gpudock/bin/python -I -m pip install --disable-pip-version-check gpudock==0.1.0
    ln -sfn /usr/local/lib/gpudock/bin/gpudock /usr/local/bin/gpudock
}
undo_gpudock() {
    rm -rf /usr/local/lib/gpudock
    rm -f /usr/local/bin/gpudock
    remove_packages gpudock
}

# Docker knows gpudock's runtime
#   why:  for docker run --runtime gpudock --gpus all, compose files and swarm
check_runtime() {
    docker info --format '{{range $name, $_ := .Runtimes}}{{$name}} {{end}}' 2>/dev/null | grep -qw gpudock
}
apply_runtime() {
    note_own_files
    quietly gpudock configure docker --restart
    await_docker
}
undo_runtime() {
    quietly gpudock configure docker --undo
    remove_own_files
}

# Driver tree and CDI specification, renewed at each boot and driver change
#   why:  containers then always have the driver that is loaded
#   undo leaves: the driver tree, while containers may have it mounted: /var/lib/gpudock/driver
check_units() {
    ! has_gpu || { [ -e /var/run/cdi/gpudock.json ] && gpudock cdi validate >/dev/null 2>&1 && units_are_there; }
}
apply_units() {
    note_own_files
    if [ -d /run/systemd/system ]; then
        quietly gpudock refresh --install-units
    else
        say "      no systemd here: run gpudock refresh after each boot and each driver upgrade"
        quietly gpudock refresh
    fi
}
undo_units() {
    if [ -d /run/systemd/system ]; then gpudock refresh --remove-units || true; fi
    rm -f /var/run/cdi/gpudock.json
}

# A container starts through gpudock's runtime, with the GPUs where there are some
#   why:  the proof: an image made of this machine's own files, so nothing is fetched
check_verify() {
    [ "${VERIFIED:-no}" = yes ]
}
apply_verify() {
    verify_container
    VERIFIED=yes
}
undo_verify() {
    :
}

STEPS="machine old_sources tools old_containers old_packages docker_source docker_packages docker_service gpudock runtime units verify"

title() {
    case $1 in
    machine) printf '%s\n' 'This is ubuntu 24.04, with 5 GiB free' ;;
    old_sources) printf '%s\n' 'Without the ended sources of nvidia-docker and nvidia-container-runtime' ;;
    tools) printf '%s\n' 'curl and gpg, to fetch keys and to look at their fingerprints' ;;
    old_containers) printf '%s\n' 'Containers on volumes of nvidia-docker 1 are looked after' ;;
    old_packages) printf '%s\n' 'Without nvidia-docker, nvidia-docker2, nvidia-container-runtime, docker, docker-engine, lxc-docker, docker.io, docker-doc, podman-docker, containerd, runc' ;;
    docker_source) printf '%s\n' 'docker.com'"'"'s repository, and its key' ;;
    docker_packages) printf '%s\n' 'Docker Engine from docker.com: docker-ce, docker-ce-cli, containerd.io, docker-buildx-plugin, docker-compose-plugin' ;;
    docker_service) printf '%s\n' 'Docker runs, and does after each boot' ;;
    gpudock) printf '%s\n' 'gpudock, in /usr/local/lib/gpudock' ;;
    runtime) printf '%s\n' 'Docker knows gpudock'"'"'s runtime' ;;
    units) printf '%s\n' 'Driver tree and CDI specification, renewed at each boot and driver change' ;;
    verify) printf '%s\n' 'A container starts through gpudock'"'"'s runtime, with the GPUs where there are some' ;;
    esac
}

