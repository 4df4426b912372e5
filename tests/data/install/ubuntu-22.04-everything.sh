#!/bin/sh
# Made by gpudock 0.1.0: Docker and NVIDIA GPUs for ubuntu 22.04.
# Each step says what it does, looks whether it is done, does it, looks again, and can take it back.
# Run it as root, as often as you like: it does what is left. sh THIS-FILE check | list | undo
# POSIX sh. Not in it: curl piped into a shell, apt-key, unchecked keys, rm of anything it has not made.
# UNVERIFIED: docker from docker.com on ubuntu-22.04, the driver, proxies, gpudock by pip: never executed by gpudock's tests. Read it before you run it.

set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022

REMOVE_OLD=${REMOVE_OLD:-no}
COMMIT_OLD=${COMMIT_OLD:-no}
REMOVE_CONTAINERS=${REMOVE_CONTAINERS:-no}
export http_proxy=http://user:s%40cret@proxy.example:3128
export https_proxy=http://user:s%40cret@proxy.example:3128
export no_proxy=localhost,10.0.0.0/8,.example.org

# ---- the steps ----

# This is ubuntu 22.04, with 5 GiB free
#   why:  the other steps are written for it
check_machine() {
    [ "$(os_release ID) $(os_release VERSION_ID)" = 'ubuntu 22.04' ] ||
        die "this is $(os_release ID) $(os_release VERSION_ID), not ubuntu 22.04"
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

# The proxy proxy.example:3128 for apt, sudo and dockerd
#   why:  without it nothing can be fetched here
#   warn: the proxy's password is in these files (readable by root only)
check_proxies() {
    same_file /etc/apt/apt.conf.d/80gpudock-proxy <<'END' || return 1
Acquire::http::Proxy "http://user:s%40cret@proxy.example:3128";
Acquire::https::Proxy "http://user:s%40cret@proxy.example:3128";
END
    same_file /etc/sudoers.d/gpudock-proxy <<'END' || return 1
# gpudock: sudo passes the proxy on
Defaults env_keep += "http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY"
END
    if [ -d /run/systemd/system ]; then
    same_file /etc/systemd/system/docker.service.d/gpudock-proxy.conf <<'END' || return 1
[Service]
Environment="HTTP_PROXY=http://user:s%%40cret@proxy.example:3128"
Environment="HTTPS_PROXY=http://user:s%%40cret@proxy.example:3128"
Environment="NO_PROXY=localhost,10.0.0.0/8,.example.org"
END
    else
    grep -qxF 'export HTTP_PROXY=http://user:s%40cret@proxy.example:3128' /etc/default/docker 2>/dev/null
    fi
}
apply_proxies() {
    write_file /etc/apt/apt.conf.d/80gpudock-proxy 600 <<'END'
Acquire::http::Proxy "http://user:s%40cret@proxy.example:3128";
Acquire::https::Proxy "http://user:s%40cret@proxy.example:3128";
END
    write_file /etc/sudoers.d/gpudock-proxy 440 <<'END'
# gpudock: sudo passes the proxy on
Defaults env_keep += "http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY"
END
    if [ -d /run/systemd/system ]; then
    write_file /etc/systemd/system/docker.service.d/gpudock-proxy.conf 600 <<'END'
[Service]
Environment="HTTP_PROXY=http://user:s%%40cret@proxy.example:3128"
Environment="HTTPS_PROXY=http://user:s%%40cret@proxy.example:3128"
Environment="NO_PROXY=localhost,10.0.0.0/8,.example.org"
END
    systemctl daemon-reload
    else
    {
    cat /etc/default/docker 2>/dev/null || true
    cat <<'END'
export HTTP_PROXY=http://user:s%40cret@proxy.example:3128
export HTTPS_PROXY=http://user:s%40cret@proxy.example:3128
export NO_PROXY=localhost,10.0.0.0/8,.example.org
END
    } >"$STATE/default-docker"
    write_file /etc/default/docker 600 <"$STATE/default-docker"
    fi
}
undo_proxies() {
    restore_file /etc/apt/apt.conf.d/80gpudock-proxy
    restore_file /etc/sudoers.d/gpudock-proxy
    restore_file /etc/systemd/system/docker.service.d/gpudock-proxy.conf
    restore_file /etc/default/docker
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

# NVIDIA's repository, and its key
#   why:  its key counts only with the fingerprint EB693B3035CD5710E231E123A4B469963BF863CC, and only for this repository
check_driver_source() {
    ! has_gpu || has_source developer.download.nvidia.com
}
apply_driver_source() {
    key_into https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64/3bf863cc.pub EB693B3035CD5710E231E123A4B469963BF863CC /etc/apt/keyrings/gpudock-nvidia.gpg
    write_file /etc/apt/sources.list.d/gpudock-nvidia.sources 644 <<'END'
Types: deb
URIs: https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64/
Suites: /
Signed-By: /etc/apt/keyrings/gpudock-nvidia.gpg
END
    update_lists
}
undo_driver_source() {
    restore_file /etc/apt/sources.list.d/gpudock-nvidia.sources
    restore_file /etc/apt/keyrings/gpudock-nvidia.gpg
    update_lists_if_possible
}

# NVIDIA's driver, 580.95.05 (upgrades leave it alone), open kernel module, from NVIDIA's repository
#   why:  runs CUDA up to 13.0, maintained by NVIDIA until 2028-06; packages: nvidia-open-580
#   warn: with secure boot the module's own key must be enrolled (mokutil), or the firmware refuses the module;
#   warn: the driver's packages ask for it, on the console, at the next boot.
check_driver_packages() {
    ! has_gpu || driver_is_there || installed nvidia-open-580
}
apply_driver_packages() {
    write_file /etc/apt/preferences.d/gpudock-nvidia 644 <<'END'
Package: nvidia-* libnvidia-* libcuda1 libnvcuvid1 cuda-drivers* firmware-nvidia-* xserver-xorg-video-nvidia*
Pin: version 580.95.05*
Pin-Priority: 1001
END
    update_lists
    install_packages driver_packages --no-remove --no-install-recommends "$(kernel_headers)" nvidia-open-580
}
undo_driver_packages() {
    remove_packages driver_packages
    restore_file /etc/apt/preferences.d/gpudock-nvidia
}

# The driver's kernel module is loaded (a reboot, where it must be)
#   why:  nouveau, or another version of the module, goes only with a reboot
check_driver_loaded() {
    ! has_gpu || module_loaded
}
apply_driver_loaded() {
    if [ ! -d /sys/module/nouveau ] && modprobe nvidia 2>/dev/null && module_loaded; then
        say "      loaded without a reboot"
    else
        [ "$(cat "$STATE/rebooting" 2>/dev/null)" != "" ] && [ "$(cat "$STATE/rebooting")" != "$(boot_id)" ] &&
            die "the module does not load after a reboot either: dmesg | grep -i nvidia, and mokutil --sb-state"
        boot_id | put "$STATE/rebooting" 644
        reboot_now
    fi
}
undo_driver_loaded() {
    rm -f "$STATE/rebooting"
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
Suites: jammy
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

# Docker Engine 27.3.1 from docker.com: docker-ce, docker-ce-cli, containerd.io, docker-buildx-plugin, docker-compose-plugin; upgrades leave that version alone
#   why:  the engine that runs the containers
#   undo leaves: images, volumes and settings in /var/lib/docker and /etc/docker, unless --purge-data is given
check_docker_packages() {
    installed docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin && has_version docker-ce 27.3.1 && [ -e /etc/apt/preferences.d/gpudock-docker ]
}
apply_docker_packages() {
    update_lists
    version=$(full_version docker-ce 27.3.1)
    printf 'Package: docker-ce docker-ce-cli\nPin: version %s\nPin-Priority: 1001\n' "$version" | write_file /etc/apt/preferences.d/gpudock-docker 644
    install_packages docker_packages --no-remove --no-install-recommends --allow-downgrades \
        "docker-ce=$version" "docker-ce-cli=$version" containerd.io docker-buildx-plugin docker-compose-plugin
}
undo_docker_packages() {
    remove_packages docker_packages
    restore_file /etc/apt/preferences.d/gpudock-docker
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

# alice may use docker without sudo (group docker)
#   why:  asked for with --user
#   warn: whoever is in the group docker is root on this machine: docker run -v /:/host gives every file.
#   warn: Rootless docker and podman do not need it.
check_docker_user() {
    id -nG alice 2>/dev/null | tr ' ' '\n' | grep -qx docker
}
apply_docker_user() {
    id -u alice >/dev/null 2>&1 || die "there is no user alice"
    groupadd --system --force docker
    usermod --append --groups docker alice
    say "      holds for new sessions of alice"
}
undo_docker_user() {
    gpasswd --delete alice docker >/dev/null || true
}

# gpudock, in /usr/local/lib/gpudock
#   why:  in an environment of its own, owned by root: nothing of the distribution's Python is changed
check_gpudock() {
    program=$(gpudock_path) && "$program" --version >/dev/null 2>&1
}
apply_gpudock() {
    update_lists
    install_packages gpudock --no-remove --no-install-recommends python3.11 python3.11-venv
    rm -rf /usr/local/lib/gpudock
    quietly python3.11 -I -m venv /usr/local/lib/gpudock
    quietly /usr/local/lib/gpudock/bin/python -I -m pip install --disable-pip-version-check 'gpudock[web]==1.0'
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

# The last step: curl -fsS https://join.example/?token='a b' && echo "it's done"
#   why:  asked for with --then; it is run once
#   undo leaves: what that command did
check_then() {
    marked finished/then || [ "${RAN:-no}" = yes ]
}
apply_then() {
    sh -c 'curl -fsS https://join.example/?token='"'"'a b'"'"' && echo "it'"'"'s done"'
    RAN=yes
}
undo_then() {
    :
}

STEPS="machine proxies old_sources tools old_containers old_packages driver_source driver_packages driver_loaded docker_source docker_packages docker_service docker_user gpudock runtime units verify then"

title() {
    case $1 in
    machine) printf '%s\n' 'This is ubuntu 22.04, with 5 GiB free' ;;
    proxies) printf '%s\n' 'The proxy proxy.example:3128 for apt, sudo and dockerd' ;;
    old_sources) printf '%s\n' 'Without the ended sources of nvidia-docker and nvidia-container-runtime' ;;
    tools) printf '%s\n' 'curl and gpg, to fetch keys and to look at their fingerprints' ;;
    old_containers) printf '%s\n' 'Containers on volumes of nvidia-docker 1 are looked after' ;;
    old_packages) printf '%s\n' 'Without nvidia-docker, nvidia-docker2, nvidia-container-runtime, docker, docker-engine, lxc-docker, docker.io, docker-doc, podman-docker, containerd, runc' ;;
    driver_source) printf '%s\n' 'NVIDIA'"'"'s repository, and its key' ;;
    driver_packages) printf '%s\n' 'NVIDIA'"'"'s driver, 580.95.05 (upgrades leave it alone), open kernel module, from NVIDIA'"'"'s repository' ;;
    driver_loaded) printf '%s\n' 'The driver'"'"'s kernel module is loaded (a reboot, where it must be)' ;;
    docker_source) printf '%s\n' 'docker.com'"'"'s repository, and its key' ;;
    docker_packages) printf '%s\n' 'Docker Engine 27.3.1 from docker.com: docker-ce, docker-ce-cli, containerd.io, docker-buildx-plugin, docker-compose-plugin; upgrades leave that version alone' ;;
    docker_service) printf '%s\n' 'Docker runs, and does after each boot' ;;
    docker_user) printf '%s\n' 'alice may use docker without sudo (group docker)' ;;
    gpudock) printf '%s\n' 'gpudock, in /usr/local/lib/gpudock' ;;
    runtime) printf '%s\n' 'Docker knows gpudock'"'"'s runtime' ;;
    units) printf '%s\n' 'Driver tree and CDI specification, renewed at each boot and driver change' ;;
    verify) printf '%s\n' 'A container starts through gpudock'"'"'s runtime, with the GPUs where there are some' ;;
    then) printf '%s\n' 'The last step: curl -fsS https://join.example/?token='"'"'a b'"'"' && echo "it'"'"'s done"' ;;
    esac
}

