#!/usr/bin/env bash
# Installs the system packages that are missing for one purpose, and nothing when none is:
#     tools/system.sh demo    an engine where there is none, and what simulated GPUs need where there is no GPU
#     tools/system.sh test    what tests/real drives (Debian 12, Ubuntu 24.04)
# Never removes a package and starts no service. Without root it prints the command to run and exits 2.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-}
python=${PYTHON:-python3}
missing=()

has() { command -v "$1" >/dev/null; }

need_venv() {
    [ -x .venv/bin/python ] && return
    local package
    package=$("$python" -c '
import importlib.util, sys
if not importlib.util.find_spec("ensurepip"):
    print("python%d.%d-venv" % sys.version_info[:2])') || return 0 # tools/venv.sh says which Python is needed
    missing+=($package)
}

docker_with_cdi() { # running, 25 or newer, with CDI switched on
    has docker && timeout 5 docker info --format '{{json .CDISpecDirs}}' 2>/dev/null | grep -q '"'
}

need_for_demo() {
    # runc: Debian 12's crun refuses a machine with cgroup v1. iptables: Podman's default network.
    if has podman; then
        has runc || missing+=(runc)
    elif ! docker_with_cdi; then
        missing+=(podman runc iptables)
    fi
    if [ ! -e /dev/nvidiactl ] && [ ! -e /dev/dxg ]; then
        has cc || missing+=(gcc)
        [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
    fi
    has busybox || missing+=(busybox-static)
}

need_for_test() {
    local wanted=(
        podman buildah runc crun docker.io iptables uidmap slirp4netns fuse-overlayfs # engines
        mmdebstrap busybox-static musl-tools patchelf gcc libc6-dev           # images and a newer Docker
        podman-compose                                                        # what compose files are tried with
        iproute2 strace hyperfine xfsprogs                                    # what tests look and measure with
        prometheus openssl                                                    # who scrapes gpudock serve; a certificate
        fonts-droid-fallback                                                  # the web page, also in Japanese and Chinese
        xvfb xauth openssh-client                                             # windows and shells of environments
        shellcheck gpg                                                        # emitted scripts; keys in them
    )
    if grep -q '^ID=ubuntu' /etc/os-release; then # Debian 12 has no plugins: tests bring newer ones
        wanted+=(docker-buildx docker-compose-v2)
    else
        wanted+=(docker-compose chromium) # which Ubuntu has as a snap
    fi
    if ! has dpkg-query; then
        missing+=("${wanted[@]}")
        return
    fi
    local there package
    there=" $(dpkg-query -W -f='${db:Status-Status}/${Package} ' "${wanted[@]}" 2>/dev/null || true)"
    for package in "${wanted[@]}"; do
        [[ $there == *" installed/$package "* ]] || missing+=("$package")
    done
}

install_missing() {
    export DEBIAN_FRONTEND=noninteractive
    local options=(-qq -y --no-install-recommends --no-remove -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
    if [ ! -e /usr/sbin/policy-rc.d ]; then # dpkg's own way to install a service without starting it
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
    fi
    echo "Installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get update -qq && apt-get install "${options[@]}" "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        echo "These packages could not be installed: ${missing[*]}" >&2
        exit 2
    fi
    rm -f "$log"
}

case $mode in
demo) need_for_demo ;;
test) need_for_test ;;
*)
    echo "usage: tools/system.sh demo|test" >&2
    exit 2
    ;;
esac
need_venv
[ ${#missing[@]} -eq 0 ] && exit 0
if ! has apt-get; then
    echo "Please install what Debian calls: ${missing[*]}" >&2
    exit 2
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "System packages are missing. Please run: sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 2
fi
install_missing
