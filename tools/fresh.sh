#!/usr/bin/env bash
# The two commands on a machine where nothing was prepared: a new Debian root with Python, git and make, and nothing else.
#     tools/fresh.sh [SUITE] [TARGET...]      default: bookworm demo test
# MIRROR and KEYRING name another archive ("deb ADDRESS noble main universe", or a file of such lines). Needs root, mmdebstrap and the archive. The root lies below /var/tmp and goes away afterwards; KEEP=1 leaves it there.
# What is committed is tried, in namespaces of its own for mounts and processes; the machine's network is used.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-bookworm}
shift || true
[ $# -gt 0 ] || set -- demo test
root=$(mktemp -d /var/tmp/gpudock-fresh.XXXXXX)
clear_root() {
    [ -n "${KEEP:-}" ] && { echo "left: $root"; return; }
    rm -rf --one-file-system "$root"
}
trap clear_root EXIT
mmdebstrap --quiet ${KEYRING:+--keyring="$KEYRING"} --variant=minbase --include=apt,python3,git,make,ca-certificates "$suite" "$root/root" ${MIRROR:+"$MIRROR"}
# What this machine's network asks of its users: name servers, and authorities of a proxy that looks into TLS.
cp -L /etc/resolv.conf "$root/root/etc/resolv.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/root/etc/ssl/certs/ca-certificates.crt"
git clone --quiet . "$root/root/gpudock"
targets=$*
unshare --mount --pid --fork --kill-child bash -c '
    set -e
    mount --make-rprivate /
    mount --bind "$0" "$0" # a root of its own, as a machine has
    cd "$0"
    mount -t proc proc proc
    mount --rbind /sys sys
    mount --rbind /dev dev
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o size=12g tmpfs tmp
    pivot_root . mnt # not chroot: nobody in one may make a user namespace, as rootless engines do
    umount -l mnt
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 CI=true \
        PIP_CERT=/etc/ssl/certs/ca-certificates.crt ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} \
        sh -c "cd /gpudock && for target in $1; do echo \"== make \$target\"; make \$target || exit; done"
' "$root/root" "$targets"
