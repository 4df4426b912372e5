# ---- what the steps use ----

STATE=${GPUDOCK_INSTALL_STATE:-/var/lib/gpudock/install}
REBOOT_NEEDED=75 # exit code: reboot, then run this again

say() { printf '%s\n' "$*" >&2; }

one_line() { tr '\n' ' '; }

lower() { printf '%s' "$1" | tr '[:upper:]' '[:lower:]'; }

die() {
    say "$0: $*"
    exit 1
}

# Atomic: there is the old file or the new one, whole, whatever happens. The content comes from standard input.
put() { # PATH MODE
    mkdir -p "${1%/*}"
    cat >"$1.gpudock-new"
    chmod "$2" "$1.gpudock-new"
    sync "$1.gpudock-new"
    mv -f "$1.gpudock-new" "$1"
}

mark() { # NAME VALUE
    printf '%s\n' "$2" | put "$STATE/$1" 644
}

marked() { [ -e "$STATE/$1" ]; }

# As put, and what was there before is kept for `undo`.
write_file() { # PATH MODE
    kept=$STATE/files/$(printf '%s' "$1" | tr / %)
    if [ ! -e "$kept" ] && [ ! -e "$kept.none" ]; then
        mkdir -p "$STATE/files"
        if [ -e "$1" ]; then
            cp -p "$1" "$kept.new"
            mv -f "$kept.new" "$kept"
        else
            : >"$kept.none"
        fi
    fi
    put "$1" "$2"
}

restore_file() { # PATH
    kept=$STATE/files/$(printf '%s' "$1" | tr / %)
    if [ -e "$kept" ]; then
        cp -p "$kept" "$1.gpudock-new"
        mv -f "$1.gpudock-new" "$1"
    elif [ -e "$kept.none" ]; then
        rm -f "$1"
    fi
    rm -f "$kept" "$kept.none" "$1.gpudock-new"
}

same_file() { # PATH: is it what standard input says?
    [ -f "$1" ] && cmp -s - "$1"
}

# What it says goes into the log; the end of that is shown when it fails.
quietly() {
    code=0
    "$@" >"$STATE/said" 2>&1 || code=$?
    { printf '$ %s\n' "$*" && cat "$STATE/said"; } >>"$STATE/log"
    [ "$code" -eq 0 ] || {
        tail -n 25 "$STATE/said" >&2
        say "failed: $* (all it said: $STATE/log)"
        return "$code"
    }
}

# ---- packages ----

apt_get() {
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a LC_ALL=C.UTF-8 apt-get --yes --quiet \
        -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

# What has no time-out of its own: up to ten minutes while somebody else (unattended-upgrades, cloud-init) holds a lock.
patiently() {
    tries=0
    until said=$(LC_ALL=C.UTF-8 "$@" 2>&1); do
        case $said in
        *'Could not get lock'* | *'was locked by another process'* | *'is another process using it'*) ;;
        *)
            say "$said"
            return 1
            ;;
        esac
        tries=$((tries + 1))
        [ "$tries" -le 120 ] || die "a lock was held for ten minutes: $said"
        [ "$tries" -ne 1 ] || say "      waiting for a lock of the package manager"
        sleep 5
    done
}

update_lists() { patiently apt-get --quiet -o Acquire::Retries=3 update; }

# After undoing: what is taken back needs no network, and may bring back a repository that has ended.
update_lists_if_possible() {
    update_lists || say "      (the package lists are as they were; the next apt-get update renews them)"
}

# A dpkg that was killed leaves packages half configured; nothing else can be installed before that is finished.
repair_packages() {
    if [ -n "$(dpkg --audit)" ] || [ -n "$(ls -A /var/lib/dpkg/updates)" ]; then
        say "      finishing an interrupted dpkg"
        patiently env DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confdef --force-confold ||
            say "      (what a package depends on was not unpacked yet: apt does that now)"
        quietly apt_get install --fix-broken
    fi
}

installed() { # PACKAGE...
    for each in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$each" 2>/dev/null) in
        installed) ;;
        *) return 1 ;;
        esac
    done
}

is_version() { # PACKAGE VERSION: installed in that version, or in any when VERSION is empty
    installed "$1" && { [ -z "$2" ] || [ "$(dpkg-query -W -f '${Version}' "$1")" = "$2" ]; }
}

package_list() { dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' | sed -n 's/^installed //p' | LC_ALL=C sort; }

# Installs, and notes which packages were not there before: `undo` removes those and no others.
install_packages() { # STEP apt-get's words...
    step=$1
    shift
    marked "$step.before" || package_list | put "$STATE/$step.before" 644
    repair_packages
    quietly apt_get install "$@"
}

new_packages() { # STEP
    marked "$1.before" || return 0
    package_list >"$STATE/$1.now"
    if marked "$1.after"; then
        LC_ALL=C comm -12 "$STATE/$1.after" "$STATE/$1.now" >"$STATE/$1.left"
    else
        cp "$STATE/$1.now" "$STATE/$1.left"
    fi
    LC_ALL=C comm -13 "$STATE/$1.before" "$STATE/$1.left"
}

# Refuses when something that was installed since would go as well.
remove_packages() { # STEP
    repair_packages
    ours=$(new_packages "$1")
    [ -n "$ours" ] || return 0
    # shellcheck disable=SC2086 # names of packages, a word each
    others=$(apt_get --simulate remove $ours | sed -n 's/^Remv \([^ ]*\).*/\1/p' | while read -r name; do
        printf '%s\n' "$ours" | sed 's/:.*//' | grep -qxF "${name%%:*}" || printf ' %s' "$name"
    done)
    [ -z "$others" ] || die "these need what would be removed; remove them first:$others"
    # shellcheck disable=SC2086
    quietly apt_get remove $ours
    if [ "${PURGE_DATA:-no}" != yes ]; then # Debian's docker.io would else remove all images and volumes
        rm -f /var/lib/docker/nuke-graph-directory.sh
    fi
    # shellcheck disable=SC2086
    patiently dpkg --purge $ours
    rm -f "$STATE/$1.before" "$STATE/$1.after" "$STATE/$1.now" "$STATE/$1.left"
}

has_source() { # HOST: does apt know it already, by whatever file?
    grep -hsE '^(deb |URIs:)' /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources |
        grep -qF "//$1/"
}

fetch() { # URL FILE
    curl --fail --silent --show-error --location --proto '=https' --retry 3 --output "$2" "$1" ||
        die "cannot fetch $1"
}

# A key is believed by its fingerprint alone, and only for the one source that names its file.
key_into() { # URL FINGERPRINT FILE
    work=$(mktemp -d)
    fetch "$1" "$work/key"
    found=$(GNUPGHOME=$work gpg --batch --show-keys --with-colons "$work/key" 2>/dev/null | awk -F: '
        $1 == "pub" { primary = 1 }
        $1 == "fpr" && primary { print $10; primary = 0 }')
    if [ "$found" != "$2" ]; then
        rm -rf "$work"
        die "the key at $1 has the fingerprint ${found:-(none)}, not $2: not used"
    fi
    GNUPGHOME=$work gpg --batch --quiet --dearmor <"$work/key" | write_file "$3" 644
    rm -rf "$work"
}

# ---- the machine ----

os_release() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" /etc/os-release; }

has_gpu() {
    for device in "${GPUDOCK_SYS:-/sys}"/bus/pci/devices/*; do
        [ -e "$device/vendor" ] || continue
        read -r vendor <"$device/vendor"
        read -r class <"$device/class"
        case $vendor:$class in
        0x10de:0x03*) return 0 ;;
        esac
    done
    [ -e /dev/dxg ]
}

module_loaded() { [ -e /proc/driver/nvidia/version ] || [ -e /dev/dxg ]; }

boot_id() { cat /proc/sys/kernel/random/boot_id; }

apparmor_package() { # docker needs its parser where the kernel has AppArmor on; else a package that is there anyway
    if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; then echo apparmor; else echo dpkg; fi
}

service_kind() { # of docker
    if [ -d /run/systemd/system ]; then
        echo systemd
    elif [ -x /etc/init.d/docker ] && command -v service >/dev/null; then
        echo sysvinit
    else
        echo none
    fi
}

docker_answers() { timeout 20 docker info >/dev/null 2>&1; }

await_docker() {
    tries=0
    until docker_answers; do
        tries=$((tries + 1))
        [ "$tries" -le 60 ] || die "docker does not answer after 60 s; see journalctl -u docker, or /var/log/docker.log"
        sleep 1
    done
}

gpudock_path() {
    for each in "${GPUDOCK:-}" /usr/local/lib/gpudock/bin/gpudock /opt/gpudock/current/bin/gpudock \
        /usr/local/bin/gpudock /usr/bin/gpudock; do
        if [ -n "$each" ] && [ -x "$each" ]; then
            printf '%s\n' "$each"
            return
        fi
    done
    return 1
}

gpudock() {
    program=$(gpudock_path) || die "there is no gpudock here any more"
    "$program" "$@"
}

# ---- what earlier installations left ----

only_installed() { # PACKAGE...
    for package in "$@"; do
        if installed "$package"; then printf '%s\n' "$package"; fi
    done
}

ENDED='nvidia[.]github[.]io/(nvidia-docker|nvidia-container-runtime)'

old_sources() {
    grep -lsE "^[^#]*$ENDED" /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources || true
}

without_ended() { # FILE: what it says besides them
    case $1 in
    *.sources) awk -v RS= -v ORS='\n\n' -v ended="(^|\n)[^#\n]*$ENDED" '$0 !~ ended' "$1" ;;
    *) grep -vE "^[^#]*$ENDED" "$1" || true ;;
    esac
}

old_containers() { # names, one a line
    if command -v docker >/dev/null && docker_answers; then
        docker ps --all --quiet --no-trunc | while read -r id; do
            docker inspect --format '{{.Name}} {{range .Mounts}}{{.Driver}} {{end}}' "$id"
        done | sed -n 's,^/\([^ ]*\) \(.* \)*nvidia-docker .*,\1,p'
    fi
}

# ---- versions ----

has_version() { # PACKAGE VERSION: installed in it; "27.3.1" also stands for "5:27.3.1-1~debian.12~bookworm"
    case $(dpkg-query -W -f '${Version}' "$1" 2>/dev/null) in
    "$2" | *:"$2" | "$2"[-+.]* | *:"$2"[-+.]*) return 0 ;;
    *) return 1 ;;
    esac
}

full_version() { # PACKAGE VERSION
    apt-cache madison "$1" | awk '{ print $3 }' | while read -r each; do
        case $each in
        "$2" | *:"$2" | "$2"[-+.]* | *:"$2"[-+.]*)
            printf '%s\n' "$each"
            break
            ;;
        esac
    done | grep . || die "there is no version $2 of $1; these are there: $(apt-cache madison "$1" | awk '{ print $3 }' | tr '\n' ' ')"
}

# ---- the driver ----

driver_is_there() { # from wherever it came: packages, a .run file, the cloud's image
    [ -e /proc/driver/nvidia/version ] || { command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; }
}

kernel_headers() {
    if apt-cache show "linux-headers-$(uname -r)" >/dev/null 2>&1; then
        printf 'linux-headers-%s\n' "$(uname -r)"
        return
    fi
    case $(uname -r) in
    *-cloud-*) printf 'linux-headers-cloud-%s\n' "$(dpkg --print-architecture)" ;;
    *) printf 'linux-headers-%s\n' "$(dpkg --print-architecture)" ;;
    esac
}

debian_sources() { # files that name Debian's own archives
    # shellcheck disable=SC2016 # apt's own variable
    apt-get indextargets --format '$(SOURCESENTRY)' 'Identifier: Packages' 'Origin: Debian' 'Component: main' |
        sed 's/:[0-9]*$//' | sort -u
}

with_non_free() { # of both styles of sources; what stands there already stays
    awk '
        (/^Components:/ || /^deb(-src)?[ \t]/) && /[ \t]main([ \t]|$)/ {
            split("contrib non-free non-free-firmware", parts, " ")
            for (i = 1; i <= 3; i++) if ((" " $0 " ") !~ ("[ \t]" parts[i] "[ \t]")) $0 = $0 " " parts[i]
        }
        { print }'
}

add_non_free() {
    for file in $(debian_sources); do
        with_non_free <"$file" >"$STATE/source"
        write_file "$file" 644 <"$STATE/source"
        printf '%s\n' "$file" >>"$STATE/debian-sources"
    done
}

remove_non_free() {
    [ -e "$STATE/debian-sources" ] || return 0
    while read -r file; do restore_file "$file"; done <"$STATE/debian-sources"
    rm -f "$STATE/debian-sources"
}

linux_drivers() { # packages that bring libcuda or the kernel module
    # shellcheck disable=SC2016 # dpkg's own variables
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -nE \
        's/^installed ((nvidia-(driver|dkms|kernel|headless|open)|libnvidia-compute|cuda-drivers)[^ ]*|libcuda1)$/\1/p'
}

reboot_now() {
    if [ "${REBOOT:-no}" = yes ]; then
        say "      rebooting; the rest follows after it"
        shutdown -r now
    else
        say "reboot now, then run this again: it goes on where it was"
    fi
    exit "$REBOOT_NEEDED"
}

# ---- gpudock ----

note_own_files() { # only what is not there yet goes with `undo`
    if ! marked own-files && [ ! -e /usr/libexec/gpudock ] && [ ! -e /opt/gpudock ]; then mark own-files yes; fi
}

remove_own_files() {
    marked own-files || return 0
    case $(readlink /usr/local/sbin/gpudock) in /opt/gpudock/*) rm -f /usr/local/sbin/gpudock ;; esac
    rm -rf /usr/libexec/gpudock /opt/gpudock /run/gpudock
    if grep -qs '/gpudock/driver/' /proc/[0-9]*/mountinfo; then # also those in containers
        say "      left, because mounted: /var/lib/gpudock/driver"
    else
        rm -rf /var/lib/gpudock/driver /var/lib/gpudock/source.json
    fi
    rm -f "$STATE/own-files"
}

units_are_there() {
    [ ! -d /run/systemd/system ] || systemctl --quiet is-enabled gpudock-refresh.service 2>/dev/null
}

forget_proof() { # also that of a run that was interrupted
    docker rm --force gpudock-verify >/dev/null 2>&1 || true
    for each in $(docker images --quiet gpudock-verify); do docker rmi --force "$each" >/dev/null 2>&1 || true; done
}

verify_container() {
    image=gpudock-verify:made
    forget_proof
    {
        echo /bin/true
        ldd /bin/true | grep -o '/[^ ]*'
        ldconfig -p | sed -n 's,.*=> \(/.*/lib\(c\|m\|dl\|rt\|pthread\)\.so\..*\),\1,p'
        command -v ldconfig
    } | sort -u | tar --create --dereference --files-from - --absolute-names --transform 's,^/,,' |
        docker import - "$image" >/dev/null
    worked=yes
    docker run --rm --name gpudock-verify --network none --runtime gpudock "$image" /bin/true || worked=no
    if [ $worked = yes ] && has_gpu; then
        gpudock verify --engine docker || worked=no
    fi
    forget_proof
    [ $worked = yes ] || die "the container did not start; gpudock doctor says more"
    if has_gpu; then
        say "      a container started through the runtime and saw the GPUs"
    else
        say "      a container started through the runtime (no NVIDIA GPU here)"
    fi
}
